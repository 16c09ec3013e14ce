"""Tiers and segments in the API: who may say them, who sees them, and what rewards say of them."""

from domain.customers import Customer
from tests.rewards import definition, offer
from tests.shop import Shop

SET = """mutation ($id: ID!, $tier: String, $segments: [String!]!) {
    customerTierSet(customerId: $id, tier: $tier) { customer { tier segments } userErrors { code field } }
    customerSegmentsSet(customerId: $id, segments: $segments) { customer { tier segments } userErrors { code field } }
}"""
MINE = "{ customer { tier } rewards(first: 5) { nodes { availability { obstacles } } } }"


def gid(customer: Customer) -> str:
    return f"gid://loyalnest/Customer/{customer.id}"


async def test_staff_and_partners_say_who_belongs_to_what(shop: Shop) -> None:
    customer = await shop.customer()
    await offer(shop, definition(tiers=["gold"], segments=["vip"]))
    own = shop.customer_token(customer.id)
    before = await shop.data(MINE, token=own)
    assert before["customer"] == {"tier": None}
    assert before["rewards"]["nodes"][0]["availability"]["obstacles"] == [
        "TIER_REQUIRED",
        "SEGMENT_REQUIRED",
        "INSUFFICIENT_POINTS",
    ]
    for token in (shop.staff_token(), await shop.partner_key("write", "read")):
        said = await shop.data(SET, token=token, id=gid(customer), tier="gold", segments=["vip", "b2b"])
        whole = {"tier": "gold", "segments": ["b2b", "vip"]}
        assert said["customerTierSet"]["customer"]["tier"] == "gold"
        assert said["customerSegmentsSet"] == {"customer": whole, "userErrors": []}
    after = await shop.data(MINE, token=own)
    assert after["customer"] == {"tier": "gold"}
    assert after["rewards"]["nodes"][0]["availability"]["obstacles"] == ["INSUFFICIENT_POINTS"]


async def test_who_may_not(shop: Shop) -> None:
    customer = await shop.customer()
    for token in (shop.customer_token(customer.id), await shop.partner_key("read"), await shop.partner_key("points")):
        answer = await shop.ask(SET, token=token, id=gid(customer), tier="gold", segments=[])
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
    seen = await shop.ask("{ customer { tier segments } }", token=shop.customer_token(customer.id))
    assert seen["data"] == {"customer": {"tier": None, "segments": None}}


async def test_what_is_refused_says_where(shop: Shop, other_shop: Shop) -> None:
    customer, foreign = await shop.customer(), await other_shop.customer()
    said = await shop.data(SET, id=gid(customer), tier="No Handle", segments=["x", ""])
    assert said["customerTierSet"] == {"customer": None, "userErrors": [{"code": "HANDLE_INVALID", "field": ["tier"]}]}
    assert said["customerSegmentsSet"] == {"customer": None, "userErrors": [{"code": "HANDLE_INVALID", "field": ["segments"]}]}
    for nobody in (gid(foreign), "gid://loyalnest/Reward/1", "x"):
        said = await shop.data(SET, id=nobody, tier="gold", segments=[])
        missing = {"customer": None, "userErrors": [{"code": "NOT_FOUND", "field": ["customerId"]}]}
        assert said == {"customerTierSet": missing, "customerSegmentsSet": missing}


async def test_a_page_of_customers_reads_them_once(shop: Shop) -> None:
    everybody = [await shop.customer() for _ in range(5)]
    await shop.data(SET, id=gid(everybody[2]), tier="gold", segments=[])
    page = (await shop.data("{ customers(first: 5) { nodes { id tier segments } } }"))["customers"]["nodes"]
    assert {one["id"]: one["tier"] for one in page} == {gid(one): "gold" if one is everybody[2] else None for one in everybody}
