"""Guests' orders wait for whoever proves to be the guest, in whatever order the two are told."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from domain import db, identity, inbox, orders
from domain.orders import Order
from tests.ledger import rows
from tests.shop import NOON, Shop, order, rate

EMAIL = "Guest@Example.com"


def guest(number: int, **changes: Any) -> dict[str, Any]:
    return order(number, **{"email": EMAIL} | changes)


def account(number: int = 7, *, email: str = EMAIL, minutes: int = 0, **changes: Any) -> dict[str, Any]:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    return {
        "id": number,
        "created_at": NOON.isoformat(),
        "updated_at": at,
        "email": email,
        "first_name": "Gwen",
        "verified_email": True,
        "state": "enabled",
    } | changes


async def found(shop: Shop, number: int) -> Order:
    one = await orders.by_shopify_id(shop.scope(), number)
    assert one is not None
    return one


async def test_a_guests_order_waits_and_is_claimed(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=10))
    await shop.deliver("orders/create", guest(1))
    await shop.deliver("orders/create", order(2, email="another@example.com"))
    await shop.deliver("orders/create", order(3, email=None))
    await shop.work()
    assert [(await found(shop, number)).reason for number in (1, 2, 3)] == ["GUEST_UNCLAIMED", "GUEST_UNCLAIMED", "NO_CUSTOMER"]
    await shop.deliver("customers/update", account())
    await shop.work()
    claimed = await found(shop, 1)
    customer = await shop.customer(7)
    assert (claimed.reason, claimed.deserved, claimed.customer_id, claimed.claimed_by) == (None, 100, customer.id, 7)
    assert await shop.balance(customer.id) == (110, 0)
    assert (await found(shop, 2)).reason == "GUEST_UNCLAIMED"
    # The claim stays when the address does not, and no bonus comes twice.
    await shop.deliver("customers/update", account(email="new@example.com", minutes=5))
    await shop.deliver("orders/updated", guest(1, updated_at=(NOON + timedelta(minutes=9)).isoformat(), price="70.00"))
    await shop.work()
    assert await shop.balance(customer.id) == (80, 0)


@pytest.mark.parametrize("order_of_events", list(itertools.permutations(range(3))))
async def test_whatever_comes_first_it_ends_alike(shop: Shop, order_of_events: tuple[int, ...]) -> None:
    await shop.publish(rate(1))
    events = [
        ("orders/create", guest(1, financial_status="pending")),
        ("orders/updated", guest(1, updated_at=(NOON + timedelta(minutes=1)).isoformat(), price="90.00")),
        ("customers/create", account()),
    ]
    for index in order_of_events:
        await shop.deliver(*events[index])
        await shop.work()
    assert await shop.balance((await shop.customer(7)).id) == (90, 0)


@pytest.mark.parametrize("changes", [{"verified_email": False}, {"state": "disabled"}, {"state": "invited"}, {"state": None}])
async def test_an_address_that_nobody_vouches_for_claims_nothing(shop: Shop, changes: dict[str, Any]) -> None:
    await shop.publish(rate(1))
    await shop.deliver("customers/update", account(**changes))
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    assert (await found(shop, 1)).reason == "GUEST_UNCLAIMED"
    assert await shop.balance((await shop.customer(7)).id) == (0, 0)


async def test_a_telling_without_the_address_takes_nothing_back(shop: Shop) -> None:
    """The order doctor's file and bulk queries have no address."""
    await shop.publish(rate(1))
    await shop.deliver("customers/update", account())
    await shop.deliver("orders/create", guest(1))
    await shop.deliver("orders/create", order(2, email="late@example.com"))
    await shop.work()
    for number in (1, 2):
        await shop.deliver("orders/updated", order(number, email=None, updated_at=(NOON + timedelta(minutes=1)).isoformat()))
    await shop.deliver("customers/update", account(8, email="late@example.com"))
    await shop.work()
    assert await shop.balance((await shop.customer(7)).id) == (100, 0)
    assert await shop.balance((await shop.customer(8)).id) == (100, 0)


@pytest.mark.parametrize("minutes", [0, 1])
async def test_an_address_that_comes_late_is_taken_from_the_same_or_an_older_telling(shop: Shop, minutes: int) -> None:
    """The doctor has booked an order without its address before the delivery comes that has it."""
    await shop.publish(rate(1))
    await shop.deliver("customers/update", account())
    await shop.deliver("orders/updated", order(1, email=None, updated_at=(NOON + timedelta(minutes=minutes)).isoformat()))
    await shop.work()
    assert (await found(shop, 1)).reason == "NO_CUSTOMER"
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    assert await shop.balance((await shop.customer(7)).id) == (100, 0)


async def test_an_older_address_does_not_take_the_place_of_a_newer_one(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/updated", guest(1, email="new@example.com", updated_at=(NOON + timedelta(minutes=1)).isoformat()))
    await shop.work()
    await shop.deliver("orders/create", guest(1))
    await shop.deliver("customers/update", account(7))
    await shop.deliver("customers/update", account(8, email="new@example.com"))
    await shop.work()
    assert await shop.balance((await shop.customer(7)).id) == (0, 0)
    assert await shop.balance((await shop.customer(8)).id) == (100, 0)


async def test_a_claimed_order_keeps_no_address(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    assert (await found(shop, 1)).email_term is not None
    await shop.deliver("customers/update", account())
    await shop.deliver("orders/updated", guest(1, updated_at=(NOON + timedelta(minutes=1)).isoformat()))
    await shop.work()
    claimed = await found(shop, 1)
    assert (claimed.email_term, claimed.claimed_by) == (None, 7)
    assert "email" not in claimed.snapshot


async def test_the_shop_may_name_the_customer_later(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    await shop.deliver("orders/updated", order(1, customer=9, updated_at=(NOON + timedelta(minutes=1)).isoformat()))
    await shop.deliver("customers/update", account())
    await shop.work()
    assert await shop.balance((await shop.customer(9)).id) == (100, 0)
    assert await shop.balance((await shop.customer(7)).id) == (0, 0)
    one = await found(shop, 1)
    assert (one.email_term, one.claimed_by) == (None, None)


async def test_a_claim_follows_a_merge(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", guest(1))
    await shop.deliver("customers/update", account())
    await shop.work()
    merge = {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/8",
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/7",
        "admin_graphql_api_job_id": None,
        "status": "completed",
    }
    await shop.deliver("customers/merge", merge | {"status": "failed"})
    await shop.work()
    assert await shop.balance((await shop.customer(7)).id) == (100, 0)
    await shop.deliver("customers/merge", merge)
    await shop.work()
    await shop.deliver("orders/updated", guest(1, updated_at=(NOON + timedelta(minutes=1)).isoformat(), price="40.00"))
    await shop.work()
    kept = await shop.customer(8)
    assert kept.id == (await shop.customer(7)).id
    assert await shop.balance(kept.id) == (40, 0)


async def test_of_two_with_the_address_the_first_claims_and_only_their_own_shops(shop: Shop, other_shop: Shop) -> None:
    await shop.publish(rate(1))
    await other_shop.publish(rate(1))
    await other_shop.deliver("customers/update", account())
    await other_shop.work()
    await shop.deliver("customers/update", account(11))
    await shop.work()
    await shop.deliver("customers/update", account(12))
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    assert await shop.balance((await shop.customer(11)).id) == (100, 0)
    assert await rows(other_shop, (await other_shop.customer(7)).id) == []


async def test_an_order_and_its_customer_at_the_same_moment_find_each_other(shop: Shop) -> None:
    """The order is written and not yet seen when the customer comes: the customer waits for it before looking."""
    await shop.publish(rate(1))
    await shop.deliver("orders/create", guest(1))
    await shop.deliver("customers/update", account())
    written, customer_waits = asyncio.Event(), asyncio.Event()

    async def take(kind: inbox.Kind) -> None:
        waiting = await inbox.claim(shop.scope(), kind, 10)
        assert len(waiting) == 1
        await inbox.work_off(shop.scope(), kind, waiting)

    async def order_comes() -> None:
        async with db.transaction(shop.scope()):
            await take(inbox.Kind.ORDERS)
            written.set()
            await customer_waits.wait()

    async def customer_comes() -> None:
        await written.wait()
        async with db.transaction(shop.scope()):
            await take(inbox.Kind.CUSTOMERS)

    coming = asyncio.create_task(order_comes())
    following = asyncio.create_task(customer_comes())
    await written.wait()
    await until_blocked()
    assert not following.done()
    customer_waits.set()
    await asyncio.gather(coming, following)
    assert await shop.balance((await shop.customer(7)).id) == (100, 0)


async def until_blocked() -> None:
    """Return when some connection waits for the shop's turn lock."""
    async with db.reference() as connection:
        while not await connection.fetchval(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted and database = "
            "(select oid from pg_database where datname = current_database()))"
        ):
            await connection.fetchval("select pg_sleep(0.01)")


async def test_an_order_that_came_while_its_guest_was_merged_is_theirs_when_that_is_undone(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("customers/update", account())
    await shop.work()
    gone = await shop.customer(7)
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=8, gone=7)
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    assert (await found(shop, 1)).reason == "GUEST_UNCLAIMED"
    async with db.transaction(shop.scope()):
        await identity.undo(shop.scope(), customer_id=gone.id)
    assert await shop.balance(gone.id) == (100, 0)
