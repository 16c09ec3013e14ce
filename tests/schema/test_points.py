"""The ledger as the API shows it, and the adjustment by hand."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.points import POINTS_MAX
from tests.schema.rows import errors, rows
from tests.shop import NOON, Shop, order, rate

ADJUST = """mutation ($customer: ID!, $points: Points!, $reason: String!, $key: String!) {
    pointsAdjust(customerId: $customer, points: $points, reason: $reason, idempotencyKey: $key) {
        pointsTransaction { id type points pointsPending balanceAfter pendingAfter version source sourceId purpose reason hash
            programVersion trace { points } customerId }
        customer { id pointsBalance pointsPending pointsVersion }
        userErrors { code message field }
    }
}"""
PAGE = """query ($first: Int!, $after: String, $filter: TransactionFilter) {
    pointsTransactions(first: $first, after: $after, filter: $filter) {
        nodes { id type points pointsPending balanceAfter sourceId }
        pageInfo { hasNextPage endCursor }
    }
}"""


async def adjust(shop: Shop, token: str | None = None, **given: Any) -> dict[str, Any]:
    variables = {"points": 5, "reason": "gift", "key": "key-1"} | given
    return await shop.ask(ADJUST, token=token, **variables)


def gid(customer: Any) -> str:
    return f"gid://loyalnest/Customer/{customer.id}"


async def test_an_adjustment_shows_its_entry_and_the_customer_after_it(shop: Shop) -> None:
    customer = await shop.customer()
    await adjust(shop, customer=gid(customer), points=300, key="first")
    answer = await adjust(shop, customer=gid(customer), points=-120, reason="broken cup", key="second")
    payload = answer["data"]["pointsAdjust"]
    link = payload["pointsTransaction"].pop("hash")
    assert payload == {
        "pointsTransaction": {
            "id": f"gid://loyalnest/PointsTransaction/{customer.id}.2",
            "type": "ADJUST",
            "points": -120,
            "pointsPending": 0,
            "balanceAfter": 180,
            "pendingAfter": 0,
            "version": 2,
            "source": "adjustment",
            "sourceId": "second",
            "purpose": "adjust",
            "reason": "broken cup",
            "programVersion": None,
            "trace": None,
            "customerId": gid(customer),
        },
        "customer": {"id": gid(customer), "pointsBalance": 180, "pointsPending": 0, "pointsVersion": 2},
        "userErrors": [],
    }
    assert len(bytes.fromhex(link)) == 32
    assert await shop.balance(customer.id) == (180, 0)


async def test_a_repeat_gives_the_identical_answer_and_moves_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    first = await adjust(shop, customer=gid(customer))
    after_first = await rows(shop)
    assert await adjust(shop, customer=gid(customer)) == first
    assert await rows(shop) == after_first
    assert await shop.balance(customer.id) == (5, 0)


async def test_twenty_repeats_at_once_are_one(shop: Shop) -> None:
    customer = await shop.customer()
    answers = await asyncio.gather(*(adjust(shop, customer=gid(customer)) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert await shop.balance(customer.id) == (5, 0)


REFUSALS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "zero": ({"points": 0}, "POINTS_ZERO", ["points"]),
    "above the range": ({"points": POINTS_MAX}, "POINTS_OUT_OF_RANGE", ["points"]),
    "below zero": ({"points": -11}, "INSUFFICIENT_POINTS", ["points"]),
    "far below zero": ({"points": -POINTS_MAX}, "INSUFFICIENT_POINTS", ["points"]),
    "no reason": ({"reason": ""}, "BLANK", ["reason"]),
    "blank reason": ({"reason": " \n\t "}, "BLANK", ["reason"]),
    "long reason": ({"reason": "x" * 501}, "TOO_LONG", ["reason"]),
    "no key": ({"key": ""}, "IDEMPOTENCY_KEY_REQUIRED", ["idempotencyKey"]),
    "blank key": ({"key": "   "}, "IDEMPOTENCY_KEY_REQUIRED", ["idempotencyKey"]),
    "long key": ({"key": "k" * 256}, "TOO_LONG", ["idempotencyKey"]),
    "unknown customer": ({"customer": f"gid://loyalnest/Customer/{uuid4()}"}, "NOT_FOUND", ["customerId"]),
    "malformed customer": ({"customer": "gid://loyalnest/Customer/5"}, "NOT_FOUND", ["customerId"]),
    "an order for a customer": ({"customer": "gid://loyalnest/Order/5"}, "NOT_FOUND", ["customerId"]),
    "empty customer": ({"customer": ""}, "NOT_FOUND", ["customerId"]),
    "used key, other points": ({"key": "used", "points": 11}, "IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"]),
    "used key, other reason": ({"key": "used", "reason": "other"}, "IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"]),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_adjustment_says_why_and_changes_nothing(shop: Shop, name: str) -> None:
    given, code, field = REFUSALS[name]
    customer = await shop.customer()
    await adjust(shop, customer=gid(customer), points=10, key="used")
    before = await rows(shop)
    answer = await adjust(shop, **{"customer": gid(customer)} | given)
    payload = answer["data"]["pointsAdjust"]
    [refusal] = payload["userErrors"]
    assert (refusal["code"], refusal["field"]) == (code, field)
    assert refusal["message"].endswith(".")
    assert (payload["pointsTransaction"], payload["customer"]) == (None, None)
    assert "errors" not in answer
    assert await rows(shop) == before
    assert await shop.balance(customer.id) == (10, 0)


async def test_a_foreign_customer_is_refused_like_nobody(shop: Shop, other_shop: Shop) -> None:
    foreign = await other_shop.customer()
    before = await rows(other_shop)
    answer = await adjust(shop, customer=gid(foreign))
    assert answer == await adjust(shop, customer=f"gid://loyalnest/Customer/{uuid4()}")
    assert answer["data"]["pointsAdjust"]["userErrors"] == [
        {"code": "NOT_FOUND", "message": "There is no such customer.", "field": ["customerId"]}
    ]
    assert await rows(other_shop) == before


async def test_the_one_character_that_postgresql_cannot_hold_is_refused(shop: Shop) -> None:
    customer = await shop.customer()
    before = await rows(shop)
    for given in ({"reason": "x\u0000y"}, {"key": "x\u0000y"}):
        answer = await adjust(shop, customer=gid(customer), **given)
        assert answer["data"]["pointsAdjust"]["userErrors"] == [
            {"code": "BAD_INPUT", "message": "A text holds the character U+0000, which cannot be stored.", "field": []}
        ]
    assert await rows(shop) == before


async def test_the_longest_texts_and_largest_numbers_are_kept(shop: Shop) -> None:
    customer = await shop.customer()
    answer = await adjust(shop, customer=gid(customer), points=POINTS_MAX, reason="ü" * 500, key="🔑" * 255)
    entry = answer["data"]["pointsAdjust"]["pointsTransaction"]
    assert (entry["points"], entry["reason"], entry["sourceId"]) == (POINTS_MAX, "ü" * 500, "🔑" * 255)
    assert await shop.balance(customer.id) == (POINTS_MAX, 0)


async def test_only_staff_adjust(shop: Shop) -> None:
    customer = await shop.customer()
    tokens = shop.customer_token(customer.id), await shop.partner_key()
    before = await rows(shop)
    for token in tokens:
        answer = await adjust(shop, token=token, customer=gid(customer))
        assert errors(answer) == [("FORBIDDEN", "This credential does not open this field.", ["pointsAdjust"])]
        assert answer.get("data") is None
    assert await rows(shop) == before


async def ledger(shop: Shop) -> tuple[str, str]:
    """Two customers: one with an order pending and then confirmed and an adjustment, one with an adjustment."""
    await shop.publish(rate(10))
    one, two = await shop.customer(31), await shop.customer(32)
    for hour, status in ((0, "pending"), (1, "paid")):
        at = (NOON + timedelta(hours=hour)).isoformat()
        await shop.deliver("orders/updated", order(900, customer=31, financial_status=status, updated_at=at))
        await shop.work()
    await adjust(shop, customer=gid(one), points=7, key="a")
    await adjust(shop, customer=gid(two), points=9, key="b")
    return gid(one), gid(two)


async def shown(shop: Shop, token: str | None = None, **given: Any) -> list[tuple[str, int, int, int]]:
    data = await shop.data(PAGE, token=token, **{"first": 100} | given)
    return [
        (node["type"], node["points"], node["pointsPending"], node["balanceAfter"])
        for node in data["pointsTransactions"]["nodes"]
    ]


ALL = [("ADJUST", 9, 0, 9), ("ADJUST", 7, 0, 1007), ("EARN", 1000, -1000, 1000), ("EARN", 0, 1000, 0)]


async def test_the_ledger_is_shown_newest_first(shop: Shop) -> None:
    await ledger(shop)
    assert await shown(shop) == ALL
    assert await shown(shop, token=await shop.partner_key()) == ALL


async def test_the_ledgers_filters_hold_together(shop: Shop) -> None:
    await ledger(shop)
    assert await shown(shop, filter={"type": "EARN"}) == ALL[2:]
    assert await shown(shop, filter={"type": "REDEEM"}) == []
    for number in ("900", "gid://shopify/Order/900"):
        assert await shown(shop, filter={"orderId": number}) == ALL[2:]
    assert await shown(shop, filter={"orderId": "901"}) == []
    assert await shown(shop, filter={"type": "ADJUST", "orderId": "900"}) == []
    times = (await shop.data("{ pointsTransactions(first: 10) { nodes { occurredAt } } }"))["pointsTransactions"]["nodes"]
    newest, second = times[0]["occurredAt"], times[1]["occurredAt"]
    assert await shown(shop, filter={"from": newest}) == ALL[:1]
    assert await shown(shop, filter={"until": newest}) == ALL[1:]
    assert await shown(shop, filter={"from": second, "until": newest}) == ALL[1:2]


async def test_a_customer_sees_their_own_entries(shop: Shop) -> None:
    one, _ = await ledger(shop)
    token = shop.customer_token(type(uuid4())(one.rpartition("/")[2]))
    assert await shown(shop, token=token) == ALL[1:]
    nested = "{ customer { pointsTransactions(first: 1, filter: {type: ADJUST}) { nodes { points } pageInfo { hasNextPage } } } }"
    data = await shop.data(nested, token=token)
    assert data["customer"]["pointsTransactions"] == {"nodes": [{"points": 7}], "pageInfo": {"hasNextPage": False}}


async def test_the_ledgers_pages_hold_every_entry_once(shop: Shop) -> None:
    await ledger(shop)
    seen: list[int] = []
    after = None
    while True:
        page = (await shop.data(PAGE, first=1, after=after))["pointsTransactions"]
        seen += [node["points"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [9, 7, 1000, 0]


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"orderId": "x"}, "`orderId` is Shopify's id of an order."),
        ({"orderId": "gid://shopify/Customer/1"}, "`orderId` is Shopify's id of an order."),
        ({"from": "2026-03-02T12:00:00"}, "An instant needs a time zone, such as 2026-11-21T12:00:00Z."),
        ({"until": "2026-03-02T12:00:00"}, "An instant needs a time zone, such as 2026-11-21T12:00:00Z."),
        ({"from": "0001-01-01T00:00:00+14:00"}, "The instant is outside the years 1 to 9999."),
        ({"until": "9999-12-31T23:00:00-14:00"}, "The instant is outside the years 1 to 9999."),
    ],
)
async def test_a_filter_that_cannot_be_read(shop: Shop, filter: dict[str, Any], message: str) -> None:
    answer = await shop.ask(PAGE, first=1, filter=filter)
    assert errors(answer) == [("BAD_INPUT", message, ["pointsTransactions"])]


async def test_an_entry_explains_itself_and_is_found_again(shop: Shop) -> None:
    one, _ = await ledger(shop)
    document = (
        "query ($id: ID!) { node(id: $id) { ... on PointsTransaction { points purpose programVersion trace { points base } } } }"
    )
    identifier = f"{one.replace('Customer', 'PointsTransaction')}.2"
    assert await shop.data(document, id=identifier) == {
        "node": {
            "points": 1000,
            "purpose": "confirmed:2",
            "programVersion": 1,
            "trace": {"points": 1000, "base": "100.00"},
        }
    }
    for wrong in (".0", ".4", ".-1", ".x", ".", "", ".1.1", ".99999999999999999999", ".\u0661"):
        identifier = f"{one.replace('Customer', 'PointsTransaction')}{wrong}"
        assert await shop.data(document, id=identifier) == {"node": None}, wrong
