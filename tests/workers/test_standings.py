"""What checkout is told of customers, on the stand-in."""

import json
from dataclasses import replace

import asyncpg

from domain import db, identity, memberships
from domain.customers import Customer
from domain.rewards import standings
from integrations.shopify import standings as at_checkout
from local.shopify_stand_in.faults import Fault
from local.shopify_stand_in.shop import Json
from tests.rewards import give, rich
from tests.stand_in import Beside, later, member, work
from workers.relay import relay

Connection = asyncpg.Connection  # type: ignore[type-arg]


async def test_checkout_is_told_of_thirty_customers_in_two_calls(here: Beside) -> None:
    members = [await member(here, 10 + index) for index in range(30)]
    await here.shop.work()
    await relay(here.shop.now())
    await work(here)
    for index, one in enumerate(members):
        assert told(here, one) == {"version": 1, "balance": 10 + index, "account_version": 1}
    assert here.state.calls["LoyaltySet"] == 2


async def test_what_is_newer_at_checkout_is_not_replaced(here: Beside) -> None:
    """Two workers write: the one with the older figures finds the newer ones there, and leaves them."""
    customer = await member(here, 10)
    await mark(here, customer)
    scope = here.shop.now()
    async with db.transaction(scope):
        [older] = await standings.claim(scope)
    newer = replace(older, value=older.value.replace('"account_version":1', '"account_version":2'), wanted=2)
    assert await at_checkout.write(here.shopify, scope, [newer])
    await at_checkout.write(here.shopify, scope, [older])
    assert told(here, customer)["account_version"] == 2


async def test_whom_shopify_does_not_know_does_not_hold_up_the_others(here: Beside) -> None:
    known, unknown = await member(here, 10), await rich(here.shop, 10)
    for one in (known, unknown):
        await mark(here, one)
    await work(here)
    assert told(here, known)["balance"] == 10


async def test_a_change_while_checkout_is_told_is_told_too(here: Beside) -> None:
    customer = await member(here, 10)
    await mark(here, customer)
    scope = here.shop.now()
    async with db.transaction(scope):
        leased_ = await standings.claim(scope)
    await give(here.shop, customer.id, 5)
    await mark(here, customer)
    done = await at_checkout.write(here.shopify, scope, leased_)
    async with db.transaction(scope):
        await standings.written(scope, done)
    await work(here)
    assert told(here, customer)["balance"] == 15


async def test_checkout_is_told_when_shopify_is_back(here: Beside, owner: Connection) -> None:
    customer = await member(here, 10)
    await mark(here, customer)
    here.stand_in.faults.coming.append(Fault("LoyaltySet", "unavailable", times=2))
    await work(here)
    await later(here, owner)
    await work(here)
    assert told(here, customer)["balance"] == 10


def told(here: Beside, customer: Customer) -> Json:
    """What checkout knows of a customer."""
    return json.loads(here.state.customers[customer.shopify_id]["metafields"]["$app", "loyalty"])


async def mark(here: Beside, customer: Customer) -> None:
    scope = here.shop.now()
    async with db.transaction(scope):
        assert await standings.mark(scope, [customer.id])


async def test_checkout_is_told_of_tier_and_segments_and_never_of_older_ones(here: Beside) -> None:
    """A ledger that stands still does not hold them up: they have a version of their own."""
    customer = await member(here, 10)
    scope = here.shop.now()
    async with db.transaction(scope):
        await memberships.set_segments(scope, customer_id=customer.id, segments=["vip", "b2b"])
    await relay(here.shop.now())
    scope = here.shop.now()
    async with db.transaction(scope):
        [older] = await standings.claim(scope)
    async with db.transaction(scope):
        await memberships.set_tier(scope, customer_id=customer.id, tier="gold")
    await relay(here.shop.now())
    await work(here)
    await at_checkout.write(here.shopify, scope, [older])
    assert told(here, customer) == {
        "version": 1,
        "balance": 10,
        "account_version": 1,
        "membership_revision": 2,
        "tier": "gold",
        "segments": ["b2b", "vip"],
    }


async def test_checkout_is_told_of_a_merge_without_points(here: Beside) -> None:
    kept, gone = await member(here, 10), await here.shop.customer()
    scope = here.shop.now()
    async with db.transaction(scope):
        await memberships.set_tier(scope, customer_id=gone.id, tier="gold")
    scope = here.shop.now()
    async with db.transaction(scope):
        await identity.merge(scope, kept=kept.shopify_id, gone=gone.shopify_id)
    await relay(here.shop.now())
    await work(here)
    assert told(here, kept)["tier"] == "gold"
    scope = here.shop.now()
    async with db.transaction(scope):
        await identity.undo(scope, customer_id=gone.id)
    await relay(here.shop.now())
    await work(here)
    assert told(here, kept) == {"version": 1, "balance": 10, "account_version": 1, "membership_revision": 2}


async def test_checkout_knows_nothing_of_who_was_erased(here: Beside) -> None:
    """By the shop's own word, told twice; and an older word that comes late does not bring it back."""
    customer, other = await member(here, 10), await member(here, 20)
    async with db.transaction(here.shop.now()):
        await memberships.set_tier(here.shop.now(), customer_id=customer.id, tier="gold")
    for one in (customer, other):
        await mark(here, one)
    await work(here)
    assert told(here, customer)["tier"] == "gold"
    await mark(here, customer)
    scope = here.shop.now()
    async with db.transaction(scope):
        late = await standings.claim(scope)
    payload = {"shop_id": 1, "customer": {"id": customer.shopify_id}, "orders_to_redact": []}
    for delivery in ("first", "second"):
        await here.shop.deliver("customers/redact", payload, delivery)
        await here.shop.work()
        await relay(here.shop.now())
        await work(here)
        assert here.state.customers[customer.shopify_id]["metafields"] == {}
    assert here.state.calls["LoyaltyDelete"] == 1
    done = await at_checkout.write(here.shopify, here.shop.now(), late)
    async with db.transaction(scope := here.shop.now()):
        await standings.written(scope, done)
    await work(here)
    assert here.state.customers[customer.shopify_id]["metafields"] == {}
    assert await standings.is_told(here.shop.now(), customer.id)
    assert told(here, other)["balance"] == 20


async def test_whom_shopify_has_erased_already_is_forgotten_without_a_word(here: Beside) -> None:
    customer = await member(here, 10)
    await mark(here, customer)
    await work(here)
    del here.state.customers[customer.shopify_id]
    await here.shop.deliver("customers/redact", {"shop_id": 1, "customer": {"id": customer.shopify_id}, "orders_to_redact": []})
    await here.shop.work()
    await relay(here.shop.now())
    await work(here)
    assert await standings.is_told(here.shop.now(), customer.id)
    assert "LoyaltyDelete" not in here.state.calls


async def test_of_a_shop_that_is_erased_nothing_is_written(here: Beside) -> None:
    """The app is gone by then, and Shopify removes what it had written with it."""
    customer = await member(here, 10)
    await mark(here, customer)
    await work(here)
    before = dict(here.state.calls)
    await here.shop.deliver("shop/redact", {"shop_id": 1, "shop_domain": here.shop.merchant.shop_domain})
    await here.shop.work()
    await relay(here.shop.now())
    await work(here)
    assert here.state.calls == before
