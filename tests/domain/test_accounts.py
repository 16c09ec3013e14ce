"""Accounts that are closed neither earn nor spend, and catch up when they are opened."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest

from domain import actions, customers, db, identity, orders, points
from domain.errors import Code
from domain.points import AccountClosed, Entry, TransactionType
from domain.programs import Actions, Goal
from tests.domain.test_guests import account, found, guest
from tests.ledger import converge, give_back, rows, spend
from tests.shop import NOON, Shop, order, rate


async def tell(shop: Shop, topic: str, minutes: int = 0, number: int = 7) -> None:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    await shop.deliver(topic, {"id": number, "state": "disabled", "updated_at": at, "email": "x@example.com"})
    await shop.work()


async def earn(shop: Shop, *customer_ids: Any, amount: int = 5, name: str = "e") -> None:
    async with db.transaction(shop.scope()):
        await points.post(
            shop.scope(),
            [
                Entry(one, TransactionType.EARN, amount, 0, "test", f"{name}{index}", "earn")
                for index, one in enumerate(customer_ids)
            ],
        )


async def test_a_disabled_account_neither_earns_nor_spends(shop: Shop) -> None:
    customer, other = await shop.customer(7), await shop.customer(8)
    await earn(shop, customer.id, amount=50)
    position = await spend(shop, customer.id, 10)
    await tell(shop, "customers/disable")
    for act in (earn(shop, customer.id, name="f"), spend(shop, customer.id, 5, "s"), earn(shop, other.id, customer.id, name="g")):
        with pytest.raises(AccountClosed) as refusal:
            await act
        assert refusal.value.code is Code.ACCOUNT_CLOSED
    assert (await shop.balance(customer.id), await shop.balance(other.id)) == ((40, 0), (0, 0))
    # What was spent before can be given back, what is there expires, and staff can set it right.
    await give_back(shop, customer.id, position, 10, "r1")
    async with db.transaction(shop.scope()):
        await points.adjust(shop.scope(), customer_id=customer.id, points=-1, reason="x", idempotency_key="k")
    assert await shop.balance(customer.id) == (49, 0)
    # A cause that is posted already is passed over as ever.
    await earn(shop, customer.id, amount=50)
    await tell(shop, "customers/enable", 1)
    await spend(shop, customer.id, 49, "all")
    assert await shop.balance(customer.id) == (0, 0)


async def test_orders_wait_and_converge_when_the_account_is_opened(shop: Shop) -> None:
    await shop.publish(rate(1, hold_days=7))
    later = (NOON + timedelta(minutes=3)).isoformat()
    await converge(shop, order(1, customer=7), order(2, customer=7))
    customer = await shop.customer(7)
    async with db.transaction(shop.scope()):
        await identity.disable(shop.scope(), 7, NOON)
    await converge(shop, order(3, customer=7), order(2, customer=7, updated_at=later, cancelled_at=later), order(4, customer=8))
    at = shop.scope(NOON + timedelta(days=8))
    async with db.transaction(at):
        assert await orders.mature(at, 10) == 1
    assert await shop.balance(customer.id) == (0, 200)
    assert [(await found(shop, number)).reason for number in (1, 2, 3)] == ["ACCOUNT_CLOSED"] * 3
    assert (await found(shop, 3)).program_version == 1
    for _ in range(2):
        async with db.transaction(at):
            await identity.enable(at, 7, at.at)
    assert await shop.balance(customer.id) == (200, 0)
    assert [(await found(shop, number)).reason for number in (1, 2, 3)] == [None, "ORDER_CANCELLED", None]


@pytest.mark.parametrize("told", list(itertools.permutations([("disable", 1), ("enable", 2), ("disable", 2)])))
async def test_the_newest_telling_counts(shop: Shop, told: tuple[tuple[str, int], ...]) -> None:
    for what, minutes in told:
        await tell(shop, f"customers/{what}", minutes)
    found_ = await customers.by_shopify_id(shop.scope(), 7)
    assert found_ is not None
    assert found_.state == "disabled"


async def test_signup_points_and_guests_orders_come_when_the_account_is_opened(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=10))
    await tell(shop, "customers/disable")
    await shop.deliver("customers/create", account(minutes=1))
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    customer = await shop.customer(7)
    assert await rows(shop, customer.id) == []
    await tell(shop, "customers/enable", 2)
    assert await shop.balance(customer.id) == (110, 0)


async def test_a_deleted_customer_is_forgotten_and_stays_closed(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=10))
    await shop.deliver("customers/create", account())
    await shop.work()
    await shop.deliver("customers/delete", {"id": 7})
    await shop.work()
    await tell(shop, "customers/enable", 60)
    await shop.deliver("customers/update", account(minutes=90))
    await shop.work()
    customer = await shop.customer(7)
    assert (customer.state, customer.profile().email, customer.balance) == ("deleted", None, 10)
    with pytest.raises(AccountClosed):
        await spend(shop, customer.id, 5)


async def test_a_disabled_customer_is_merged_and_the_orders_that_waited_are_booked(shop: Shop) -> None:
    await shop.publish(rate(1))
    await tell(shop, "customers/disable")
    await shop.deliver("orders/create", order(1, customer=7))
    await shop.work()
    gone, kept = await shop.customer(7), await shop.customer(8)
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=8, gone=7)
    assert await shop.balance(kept.id) == (100, 0)
    async with db.transaction(shop.scope()):
        await identity.undo(shop.scope(), customer_id=gone.id)
    again = await customers.by_id(shop.scope(), gone.id)
    assert again is not None
    assert (again.state, await shop.balance(kept.id), await shop.balance(gone.id)) == ("disabled", (0, 0), (100, 0))


async def test_every_closing_and_opening_is_audited(shop: Shop) -> None:
    await tell(shop, "customers/disable")
    await tell(shop, "customers/disable")
    await tell(shop, "customers/enable", 1)
    async with db.connection(shop.scope()) as connection:
        written = await connection.fetch("select action from audit_entries where merchant_id = $1 order by id", shop.merchant.id)
    assert [row["action"] for row in written] == ["customer.disabled", "customer.opened"]


async def merged(shop: Shop) -> tuple[customers.Customer, customers.Customer]:
    """8 is kept, and 7 is gone."""
    gone, kept = await shop.customer(7), await shop.customer(8)
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=8, gone=7)
    return gone, kept


async def apart(shop: Shop, gone: customers.Customer) -> str:
    """How who was gone stands, once the merge is undone."""
    async with db.transaction(shop.scope()):
        await identity.undo(shop.scope(), customer_id=gone.id)
    again = await customers.by_id(shop.scope(), gone.id)
    assert again is not None
    return again.state


async def test_who_is_closed_while_merged_is_closed_when_that_is_undone(shop: Shop) -> None:
    await shop.publish(rate(1, hold_days=7))
    await converge(shop, order(1, customer=7))
    gone, kept = await merged(shop)
    await tell(shop, "customers/disable", 1)
    # Nothing is closed for who stands for them.
    await converge(shop, order(2, customer=7))
    assert await shop.balance(kept.id) == (0, 200)
    assert await apart(shop, gone) == "disabled"
    with pytest.raises(AccountClosed):
        await earn(shop, gone.id)
    await converge(shop, order(3, customer=7))
    # What came under the old number since is theirs, and waits with what comes now.
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (0, 100))
    # It is opened at the present, when the hold has passed.
    await tell(shop, "customers/enable", 2)
    assert await shop.balance(gone.id) == (300, 0)


async def test_who_is_opened_while_merged_is_open_when_that_is_undone(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=10))
    await tell(shop, "customers/disable")
    await shop.deliver("customers/create", account())
    await shop.deliver("orders/create", guest(1))
    await shop.work()
    gone, kept = await merged(shop)
    await tell(shop, "customers/enable", 1)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (0, 0))
    assert await apart(shop, gone) == "open"
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (110, 0))


@pytest.mark.parametrize("told", list(itertools.permutations([("disable", 1), ("enable", 2), ("disable", 2)])))
async def test_the_newest_telling_counts_while_merged_too(shop: Shop, told: tuple[tuple[str, int], ...]) -> None:
    gone, _ = await merged(shop)
    for what, minutes in told:
        await tell(shop, f"customers/{what}", minutes)
    assert await apart(shop, gone) == "disabled"
    await tell(shop, "customers/enable", 2)
    found_ = await customers.by_id(shop.scope(), gone.id)
    assert found_ is not None
    assert found_.state == "disabled"


async def test_that_who_goes_is_deleted_is_the_merge_itself(shop: Shop) -> None:
    gone, _ = await merged(shop)
    await shop.deliver("customers/delete", {"id": 7})
    await shop.work()
    assert await apart(shop, gone) == "open"


async def test_what_is_told_while_merged_is_audited(shop: Shop) -> None:
    await merged(shop)
    for minutes in (1, 1, 2):
        await tell(shop, "customers/disable", minutes)
    async with db.connection(shop.scope()) as connection:
        written = await connection.fetch(
            "select action, before, after from audit_entries where merchant_id = $1 and action <> 'customer.merged'",
            shop.merchant.id,
        )
    [(action, before, after)] = [tuple(row) for row in written]
    assert (action, json.loads(before), json.loads(after)) == ("customer.disabled", {"state": "open"}, {"state": "disabled"})


async def test_an_order_that_becomes_somebodys_who_is_closed_leaves_whose_it_was(shop: Shop) -> None:
    """Its points, and what it counts towards their goals; both are the other's once their account is opened."""
    goal = Goal("hundred", points=30, spend="100.00", currency="USD")
    await shop.publish(rate(1, actions=Actions(goals=(goal,))))
    first = order(1, customer=8)
    await converge(shop, first)
    before, after = await shop.customer(8), await shop.customer(7)
    assert await shop.balance(before.id) == (130, 0)
    await tell(shop, "customers/disable")
    later = (NOON + timedelta(minutes=3)).isoformat()
    await converge(shop, first | {"customer": {"id": 7}, "updated_at": later})
    assert (await shop.balance(before.id), await shop.balance(after.id)) == ((0, 0), (0, 0))
    await tell(shop, "customers/enable", 5)
    assert (await shop.balance(before.id), await shop.balance(after.id)) == ((0, 0), (130, 0))
    assert await actions.wrong_totals(shop.scope()) == []
