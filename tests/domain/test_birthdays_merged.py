"""Birthdays through chains of merges: taken apart again, in whatever order that can be done, everything is as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import actions, db, identity
from domain.actions import Kind
from domain.actions.birthdays import _unsealed  # pyright: ignore[reportPrivateUsage]
from domain.customers import Customer
from domain.programs import Actions, BirthdayRule
from tests.domain.test_birthdays import give, tell
from tests.domain.test_merges import merge, undo
from tests.shop import NOON, Shop, open_shop, rate

NUMBERS = (11, 12, 13, 14)
PROGRAM = rate(1, actions=Actions(birthday=BirthdayRule(30)))


async def four(shop: Shop) -> list[Customer]:
    return [await shop.customer(number) for number in NUMBERS]


async def state(shop: Shop, people: list[Customer]) -> list[Any]:
    """Each one's birthday as it is kept, the claims for it, and the points."""
    found: list[Any] = []
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch("select * from birthdays where merchant_id = $1", shop.merchant.id)
    kept = {row["customer_id"]: row for row in rows if row["sealed"] is not None}
    for one in people:
        row = kept.get(one.id)
        date = None if row is None else (_unsealed(shop.scope(), row), row["due_at"], row["due_when_open"], row["set_at"])
        claims = await actions.page(shop.scope(), 100, None, one.id, Kind.BIRTHDAY)
        found += [date, sorted((claim.key, claim.deserved, claim.told_of) for claim in claims), await shop.balance(one.id)]
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 12), st.integers(1, 28))), min_size=4, max_size=4),
    given_before=st.booleans(),
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3),
)
async def test_the_last_merge_undone_first_leaves_nothing_behind(
    application: object, days: list[tuple[int, int] | None], given_before: bool, pairs: list[tuple[int, int]]
) -> None:
    shop = await open_shop(application)
    await shop.publish(PROGRAM)
    people = await four(shop)
    for one, day in zip(people, days, strict=True):
        if day is not None:
            await tell(shop, one.id, *day)
    if given_before:
        await give(shop, NOON + timedelta(days=150))
        shop.at = NOON + timedelta(days=150)
    done: list[tuple[Customer, list[Any]]] = []
    gone: set[int] = set()
    for kept, going in pairs:
        if kept != going and not {kept, going} & gone:
            done.append((people[going], await state(shop, people)))
            assert await merge(shop, NUMBERS[kept], NUMBERS[going]) is not None
            gone.add(going)
    while done:
        leaving, before = done.pop()
        await undo(shop, leaving.id)
        assert await state(shop, people) == before


JUNE, LATER = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)


async def claimed(shop: Shop, customer: Customer) -> list[tuple[str, int]]:
    found = await actions.page(shop.scope(), 100, None, customer.id, Kind.BIRTHDAY)
    return sorted((one.occurred_at.date().isoformat(), one.deserved) for one in found)


async def test_a_gift_at_the_end_of_a_chain_goes_back_to_its_beginning(shop: Shop) -> None:
    """14 into 13 into 12 into 11: the birthday is 14's all the way, and so is what is given for it."""
    await shop.publish(PROGRAM)
    people = await four(shop)
    await tell(shop, people[3].id, 5, 17)
    for place in (3, 2, 1):
        await merge(shop, NUMBERS[place - 1], NUMBERS[place])
    await give(shop, JUNE)
    shop.at = JUNE
    assert await claimed(shop, people[0]) == [("2026-05-17", 30)]
    for place in (1, 2, 3):
        await undo(shop, people[place].id)
        assert await claimed(shop, people[place]) == [("2026-05-17", 30)]
        assert await shop.balance(people[place].id) == (30, 0)
        assert await actions.birthday(shop.scope(), people[place - 1].id) is None
    found = await actions.birthday(shop.scope(), people[3].id)
    assert found is not None
    assert (found.month, found.day, found.due_at) == (5, 17, datetime(2027, 5, 17, tzinfo=UTC))
    await give(shop, LATER)
    assert await claimed(shop, people[3]) == [("2026-05-17", 30), ("2027-05-17", 30)]
    assert [await claimed(shop, one) for one in people[:3]] == [[], [], []]


@pytest.mark.parametrize("closed", [False, True])
async def test_who_is_left_of_several_lends_their_birthday(shop: Shop, closed: bool) -> None:
    """12 and 13 into 11, and 12 goes: 11 is as if 12 had never been there."""
    await shop.publish(PROGRAM)
    people = await four(shop)
    await tell(shop, people[1].id, 5, 17)
    await tell(shop, people[2].id, 8, 1)
    before = await state(shop, people)
    await merge(shop, NUMBERS[0], NUMBERS[1])
    await merge(shop, NUMBERS[0], NUMBERS[2])
    found = await actions.birthday(shop.scope(), people[0].id)
    assert found is not None
    assert (found.month, found.day) == (5, 17)
    if closed:
        async with db.transaction(shop.scope()):
            await identity.disable(shop.scope(), NUMBERS[0], NOON)
    await undo(shop, people[1].id)
    found = await actions.birthday(shop.scope(), people[0].id)
    assert found is not None
    assert (found.month, found.day) == (8, 1)
    await give(shop, datetime(2026, 9, 1, tzinfo=UTC))
    assert await claimed(shop, people[0]) == ([] if closed else [("2026-08-01", 30)])
    assert await claimed(shop, people[1]) == [("2026-05-17", 30)]
    if closed:
        async with db.transaction(shop.scope()):
            await identity.enable(shop.scope(), NUMBERS[0], NOON + timedelta(minutes=1))
        await undo(shop, people[2].id)
        assert (await state(shop, people))[0] == before[0]


async def test_a_birthday_that_was_changed_meanwhile_stays_at_the_end_of_the_chain(shop: Shop) -> None:
    await shop.publish(PROGRAM)
    people = await four(shop)
    await tell(shop, people[2].id, 5, 17)
    before = await state(shop, people)
    await merge(shop, NUMBERS[1], NUMBERS[2])
    await merge(shop, NUMBERS[0], NUMBERS[1])
    await tell(shop, people[2].id, 9, 9)
    await undo(shop, people[1].id)
    await undo(shop, people[2].id)
    assert (await state(shop, people))[3:] == before[3:]
    found = await actions.birthday(shop.scope(), people[0].id)
    assert found is not None
    assert (found.month, found.day, found.changes) == (9, 9, 1)
