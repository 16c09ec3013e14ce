"""Several shops of one merchant: both must say so, nothing of their own is left behind, and from then on they are one."""

import pytest

from domain import db, identity, merchants
from domain.errors import Code, DomainError
from domain.merchants import stores
from domain.merchants.stores import STORES_MAX, Store
from tests.domain.test_guests import account
from tests.shop import NOON, Shop, open_shop, order, rate


@pytest.fixture
async def outlet(application: object) -> Shop:
    return await open_shop(application)


async def invite(shop: Shop, domain: str) -> None:
    async with db.transaction(shop.scope()):
        await stores.invite(shop.scope(), domain)


async def join(shop: Shop, domain: str) -> merchants.Merchant:
    async with db.transaction(shop.scope()):
        return await stores.join(shop.scope(), domain)


async def remove(shop: Shop, domain: str) -> None:
    async with db.transaction(shop.scope()):
        await stores.remove(shop.scope(), domain)


async def known(shop: Shop) -> list[Store]:
    return await stores.of_merchant(shop.scope(), shop.merchant.id)


async def speaks_for(shop: Shop) -> object:
    found = await merchants.by_shop_domain(shop.merchant.shop_domain.upper())
    assert found is not None
    return found.id


async def refusal(work: object) -> tuple[Code, tuple[str, ...]]:
    with pytest.raises(DomainError) as refused:
        await work  # type: ignore[misc]
    return refused.value.code, refused.value.field


async def actions(shop: Shop) -> list[str]:
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch("select action from audit_entries where merchant_id = $1 order by id", shop.merchant.id)
    return [row["action"] for row in rows]


async def test_a_shop_joins_whom_it_was_invited_by(shop: Shop, outlet: Shop) -> None:
    home, other = shop.merchant.shop_domain, outlet.merchant.shop_domain
    await invite(shop, f" {other.upper()} ")
    await invite(shop, other)
    assert await known(shop) == [Store(home, NOON), Store(other, None)]
    assert await speaks_for(outlet) == outlet.merchant.id
    assert (await join(outlet, home)).id == shop.merchant.id
    assert await known(shop) == [Store(home, NOON), Store(other, NOON)]
    assert await known(outlet) == []
    assert await speaks_for(outlet) == await speaks_for(shop) == shop.merchant.id
    assert (await merchants.register(other, "Again", "USD", NOON)).id == shop.merchant.id
    # Its staff ask again, now in a session that speaks for the merchant: nothing is left to do.
    assert (await join(shop, home)).id == shop.merchant.id
    assert await actions(shop) == ["store.invited"]
    assert await actions(outlet) == ["store.joined"]
    await remove(shop, other)
    assert await speaks_for(outlet) == outlet.merchant.id
    assert await known(shop) == [Store(home, NOON)]
    assert await refusal(join(outlet, home)) == (Code.NOT_FOUND, ("shopDomain",))


async def test_nobody_joins_uninvited(shop: Shop, outlet: Shop, application: object) -> None:
    home, third = shop.merchant.shop_domain, await open_shop(application)
    await invite(shop, third.merchant.shop_domain)
    assert await refusal(join(outlet, home)) == (Code.NOT_FOUND, ("shopDomain",))
    assert await refusal(join(outlet, "nowhere.myshopify.com")) == (Code.NOT_FOUND, ("shopDomain",))
    await remove(shop, third.merchant.shop_domain)
    assert await refusal(join(third, home)) == (Code.NOT_FOUND, ("shopDomain",))
    assert await refusal(remove(shop, third.merchant.shop_domain)) == (Code.NOT_FOUND, ("shopDomain",))
    assert await refusal(remove(shop, home)) == (Code.STORE_IN_USE, ("shopDomain",))
    assert await refusal(invite(shop, home)) == (Code.STORE_IN_USE, ("shopDomain",))
    for nonsense in ("", "example.com", "a.b.myshopify.com", "x" * 101 + ".myshopify.com", "\x00.myshopify.com"):
        assert await refusal(invite(shop, nonsense)) == (Code.BAD_INPUT, ("shopDomain",))
    assert await known(shop) == [Store(home, NOON)]
    assert await speaks_for(third) == third.merchant.id


async def test_a_ledger_of_its_own_keeps_a_shop_where_it_is(shop: Shop, outlet: Shop) -> None:
    home, other = shop.merchant.shop_domain, outlet.merchant.shop_domain
    await invite(shop, other)
    customer = await outlet.customer()
    await outlet.deliver("orders/create", order(customer=customer.shopify_id))
    assert await refusal(join(outlet, home)) == (Code.STORE_IN_USE, ("shopDomain",))
    # It has no program, so that the order gives nothing; with it out of the way nothing is in the way.
    await outlet.work()
    assert (await join(outlet, home)).id == shop.merchant.id
    await remove(shop, other)
    await outlet.publish(rate(1))
    await outlet.deliver("orders/create", order(customer=customer.shopify_id))
    await outlet.work()
    await invite(shop, other)
    assert await refusal(join(outlet, home)) == (Code.STORE_IN_USE, ("shopDomain",))
    assert await speaks_for(outlet) == outlet.merchant.id


async def test_only_what_is_alike_joins(shop: Shop, application: object) -> None:
    home = shop.merchant.shop_domain
    for other in (await open_shop(application, "JPY"), await open_shop(application, sandbox=True)):
        await invite(shop, other.merchant.shop_domain)
        assert await refusal(join(other, home)) == (Code.STORE_DIFFERS, ("shopDomain",))
        assert await speaks_for(other) == other.merchant.id
        # The invitation is still there: the refusal undid nothing of it.
        assert Store(other.merchant.shop_domain, None) in await known(shop)


async def test_a_shop_that_others_joined_joins_nobody(shop: Shop, outlet: Shop, application: object) -> None:
    third = await open_shop(application)
    await invite(outlet, third.merchant.shop_domain)
    await join(third, outlet.merchant.shop_domain)
    await invite(shop, outlet.merchant.shop_domain)
    assert await refusal(join(outlet, shop.merchant.shop_domain)) == (Code.STORE_IN_USE, ("shopDomain",))


async def test_there_is_an_end_to_invitations(shop: Shop) -> None:
    for number in range(STORES_MAX - 1):
        await invite(shop, f"outlet-{number}.myshopify.com")
    assert await refusal(invite(shop, "one-more.myshopify.com")) == (Code.STORE_IN_USE, ("shopDomain",))
    assert len(await known(shop)) == STORES_MAX


async def test_two_shops_earn_for_one_merchant(shop: Shop, outlet: Shop) -> None:
    """The whole way, by webhook and GraphQL."""
    call = "mutation ($shop: String!) { %s(shopDomain: $shop) { stores { shopDomain connectedAt } userErrors { code } } }"
    await shop.publish(rate(1))
    invited = await shop.data(call % "storeInvite", shop=outlet.merchant.shop_domain)
    assert [one["shopDomain"] for one in invited["storeInvite"]["stores"]] == [
        shop.merchant.shop_domain,
        outlet.merchant.shop_domain,
    ]
    joined = await outlet.data(call % "storeJoin", shop=shop.merchant.shop_domain)
    assert None not in [one["connectedAt"] for one in joined["storeJoin"]["stores"]]
    customer = await shop.customer()
    assert (await outlet.webhook("orders/create", order(customer=customer.shopify_id))).status_code == 200
    await shop.work()
    assert await shop.balance(customer.id) == (100, 0)
    seen = await outlet.data("{ merchant { shopDomain stores { shopDomain } } }")
    assert seen["merchant"] == {
        "shopDomain": shop.merchant.shop_domain,
        "stores": [{"shopDomain": shop.merchant.shop_domain}, {"shopDomain": outlet.merchant.shop_domain}],
    }
    left = await outlet.data(call % "storeRemove", shop=outlet.merchant.shop_domain)
    assert left["storeRemove"]["stores"] == [{"shopDomain": shop.merchant.shop_domain, "connectedAt": NOON.isoformat()}]
    assert (await outlet.data("{ merchant { shopDomain } }"))["merchant"]["shopDomain"] == outlet.merchant.shop_domain


async def test_who_buys_in_two_shops_has_one_balance(shop: Shop, outlet: Shop) -> None:
    """By the verified address, whichever shop tells of it; not by one that nobody has verified."""
    await shop.publish(rate(1, signup_points=10))
    await shop.deliver("customers/create", account(7))
    await shop.deliver("orders/create", order(customer=7))
    await shop.work()
    await invite(shop, outlet.merchant.shop_domain)
    await join(outlet, shop.merchant.shop_domain)
    # From here on the outlet's deliveries come to the one merchant.
    await shop.deliver("orders/create", order(customer=8, price="50.00"))
    await shop.deliver("customers/create", account(8, verified_email=False))
    await shop.work()
    one, other = await shop.customer(7), await shop.customer(8)
    assert (await shop.balance(one.id), await shop.balance(other.id)) == ((110, 0), (60, 0))
    await shop.deliver("customers/update", account(8, minutes=5))
    await shop.work()
    assert (await shop.balance(one.id), await shop.balance(other.id)) == ((160, 0), (0, 0))
    await shop.deliver("orders/create", order(customer=8, price="5.00"))
    await shop.deliver("customers/update", account(8, minutes=6))
    await shop.work()
    assert await shop.balance(one.id) == (165, 0)
    # What staff take apart stays apart.
    async with db.transaction(shop.scope()):
        await identity.undo(shop.scope(), customer_id=other.id)
    await shop.deliver("customers/update", account(8, minutes=7))
    await shop.work()
    assert (await shop.balance(one.id), await shop.balance(other.id)) == ((110, 0), (65, 0))


async def test_in_one_shop_an_address_unites_nobody(shop: Shop) -> None:
    await shop.publish(rate(1))
    for number in (7, 8):
        await shop.deliver("customers/create", account(number))
        await shop.deliver("orders/create", order(customer=number))
    await shop.work()
    for number in (7, 8):
        assert await shop.balance((await shop.customer(number)).id) == (100, 0)
