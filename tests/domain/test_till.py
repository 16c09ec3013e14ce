"""Sales at the till: answered one by one, and the same points whatever order and however often they come."""

import asyncio
import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain import actions, db
from domain.actions import Movement, TillEntry
from domain.actions.till import ENTRIES_MAX
from domain.errors import DomainError
from domain.programs import Actions, Goal
from tests.ledger import rows
from tests.shop import NOON, Shop, rate


def sale(client_id: str, customer_id: Any, amount: str = "10.00", *, at: datetime = NOON, currency: str = "USD") -> TillEntry:
    return TillEntry(client_id, Movement.SALE, at, amount, currency, customer_id, None)


def refund(client_id: str, sale_id: str | None, amount: str, *, currency: str = "USD") -> TillEntry:
    return TillEntry(client_id, Movement.REFUND, NOON, amount, currency, None, sale_id)


async def sync(shop: Shop, *entries: TillEntry) -> list[tuple[str, str | None, int | None]]:
    """(outcome, code, points of the sale as they stand) of each entry."""
    async with db.transaction(shop.scope()):
        answers = await actions.sync(shop.scope(), entries)
    assert [one.client_id for one in answers] == [one.client_id for one in entries]
    return [(one.outcome, one.refusal and one.refusal.code, one.claim and one.claim.deserved) for one in answers]


async def test_each_entry_is_answered_on_its_own(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    good = sale("a", customer.id)
    answers = await sync(
        shop,
        good,
        good,
        sale("a", customer.id, "11.00"),
        sale("b", uuid4()),
        sale("c", None),
        sale("d", customer.id, "0.00"),
        sale("e", customer.id, "1.001"),
        sale("f", customer.id, currency="ZZZ"),
        sale("g", customer.id, at=NOON + timedelta(minutes=11)),
        sale("h", customer.id, at=NOON.replace(tzinfo=None)),
        sale("h", customer.id, at=datetime.fromisoformat("0001-01-01T00:00:00+14:00")),
        sale(" ", customer.id),
        sale("x" * 101, customer.id),
        sale("i\n", customer.id),
        sale("j", customer.id, "10000000001.00"),
        refund("k", None, "1.00"),
        refund("l", "unknown", "1.00"),
    )
    assert answers == [
        ("accepted", None, 100),
        ("duplicate", None, 100),
        ("refused", "IDEMPOTENCY_KEY_REUSED", None),
        ("refused", "NOT_FOUND", None),
        ("refused", "NOT_FOUND", None),
        ("refused", "AMOUNT_INVALID", None),
        ("refused", "AMOUNT_INVALID", None),
        ("refused", "CURRENCY_UNKNOWN", None),
        ("refused", "INSTANT_INVALID", None),
        ("refused", "INSTANT_INVALID", None),
        ("refused", "INSTANT_INVALID", None),
        ("refused", "BLANK", None),
        ("refused", "TOO_LONG", None),
        ("refused", "BAD_INPUT", None),
        ("refused", "AMOUNT_INVALID", None),
        ("refused", "BLANK", None),
        ("accepted", None, None),
    ]
    assert await shop.balance(customer.id) == (100, 0)


async def test_every_order_and_every_division_into_calls_ends_alike(shop: Shop) -> None:
    await shop.publish(rate(10))
    for index, order_ in enumerate(itertools.permutations(range(3))):
        customer = await shop.customer()
        name = str(index)
        queue = [
            sale(f"s{name}", customer.id, "30.00"),
            refund(f"r{name}", f"s{name}", "12.50"),
            refund(f"q{name}", f"s{name}", "7.50"),
        ]
        shuffled = [queue[place] for place in order_]
        if index % 2:
            await sync(shop, *shuffled)
        else:
            for one in shuffled:
                await sync(shop, one)
        assert {answer[0] for answer in await sync(shop, *queue, *queue)} == {"duplicate"}
        assert await shop.balance(customer.id) == (100, 0)


async def test_twenty_tills_that_send_one_queue_at_once_book_it_once(shop: Shop) -> None:
    await shop.publish(rate(1))
    customer = await shop.customer()
    queue = [sale("s", customer.id, "50.00"), refund("r", "s", "20.00")]
    answers = await asyncio.gather(*(sync(shop, *(queue if number % 2 else queue[::-1])) for number in range(20)))
    outcomes = [answer[0] for one in answers for answer in one]
    assert (outcomes.count("accepted"), outcomes.count("duplicate")) == (2, 38)
    assert await shop.balance(customer.id) == (30, 0)


async def test_a_refund_reverses_its_sale_and_never_more_than_it(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await sync(shop, sale("s", customer.id, "10.00"))
    await sync(shop, refund("r", "s", "4.00"), refund("other", "s", "1.00", currency="EUR"))
    assert await rows(shop, customer.id) == [(100, 0, "confirmed:1", None), (-40, 0, "reversed:2", 1)]
    assert await sync(shop, refund("q", "s", "99.00")) == [("accepted", None, 0)]
    assert await shop.balance(customer.id) == (0, 0)


async def test_a_late_sale_is_decided_by_the_program_of_its_time(shop: Shop) -> None:
    await shop.publish(rate(1, hold_days=3))
    await shop.publish(rate(5), at=NOON)
    customer = await shop.customer()
    await sync(shop, sale("old", customer.id, at=NOON - timedelta(days=1)), sale("new", customer.id))
    assert await shop.balance(customer.id) == (50, 10)
    await sync(shop, sale("ancient", customer.id, at=NOON - timedelta(days=4000)))
    found = {one.key: (one.deserved, one.reason) for one in await actions.page(shop.scope(), 10, None, customer.id, None)}
    assert found == {"old": (10, None), "new": (50, None), "ancient": (0, "NO_PROGRAM")}


async def test_a_daily_cap_counts_the_day_as_it_was_and_not_as_it_was_told(shop: Shop) -> None:
    caps = {"caps": {"per_day": 150}}
    for hours in itertools.permutations((1, 2, 3)):
        customer = await shop.customer()
        await shop.publish(rate(10, earning=caps))
        for hour in hours:
            await sync(shop, sale(f"{customer.id} {hour}", customer.id, f"{hour * 3}.00", at=NOON + timedelta(hours=hour - 24)))
        found = {one.key[-1]: one.deserved for one in await actions.page(shop.scope(), 10, None, customer.id, None)}
        assert found == {"1": 30, "2": 60, "3": 60}
        assert await shop.balance(customer.id) == (150, 0)


async def test_a_sale_counts_towards_goals(shop: Shop) -> None:
    goal = Goal("till", points=500, spend="25.00", currency="USD")
    await shop.publish(rate(1, actions=Actions(goals=(goal,))))
    customer = await shop.customer()
    await sync(shop, sale("s", customer.id, "30.00"))
    assert await shop.balance(customer.id) == (530, 0)
    await sync(shop, refund("r", "s", "6.00"))
    assert await shop.balance(customer.id) == (24, 0)


async def test_a_full_queue_is_taken_and_one_entry_more_is_not(shop: Shop) -> None:
    await shop.publish(rate(1))
    owners = [(await shop.customer()).id for _ in range(5)]
    queue = [sale(f"s{number}", owners[number % 5], "2.00") for number in range(ENTRIES_MAX)]
    assert set(await sync(shop, *queue)) == {("accepted", None, 2)}
    assert [await shop.balance(owner) for owner in owners] == [(100, 0)] * 5
    with pytest.raises(DomainError) as refused:
        await sync(shop, *queue, sale("more", owners[0]))
    assert (refused.value.code, refused.value.field) == ("TOO_MANY", ("entries",))
