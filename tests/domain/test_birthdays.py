"""Birthdays: local midnight, the lead, once in 365 days, 29 February, and catching up."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain import actions, db
from domain.actions import Birthday, Kind
from domain.errors import DomainError
from domain.programs import Actions, BirthdayRule
from domain.scope import Actor, Door
from tests.ledger import rows
from tests.shop import NOON, Shop, rate

DAY = timedelta(days=1)


def with_birthday(points: int = 200, zone: str = "UTC", **more: Any) -> Any:
    return rate(1, time_zone=zone, actions=Actions(birthday=BirthdayRule(points, **more)))


async def tell(shop: Shop, customer_id: Any, month: int, day: int, year: int | None = None, at: datetime = NOON) -> Birthday:
    async with db.transaction(shop.scope(at)):
        return await actions.set_birthday(shop.scope(at), customer_id=customer_id, month=month, day=day, year=year)


async def give(shop: Shop, at: datetime) -> None:
    """As the job does: until nothing is due, and once more."""
    worked = 1
    while worked:
        async with db.transaction(shop.scope(at)):
            worked = await actions.give_birthdays(shop.scope(at), 10)


async def given(shop: Shop, customer_id: Any) -> list[datetime]:
    """When birthdays began for which there were points."""
    found = await actions.page(shop.scope(), 100, None, customer_id, Kind.BIRTHDAY)
    return sorted(one.occurred_at for one in found if one.deserved)


async def test_a_birthday_is_given_for_at_local_midnight(shop: Shop) -> None:
    await shop.publish(with_birthday(zone="America/New_York"))
    customer = await shop.customer()
    kept = await tell(shop, customer.id, 5, 17)
    midnight = datetime(2026, 5, 17, 4, tzinfo=UTC)
    assert kept.due_at == midnight
    await give(shop, midnight - timedelta(microseconds=1))
    assert await shop.balance(customer.id) == (0, 0)
    await give(shop, midnight)
    assert await rows(shop, customer.id) == [(200, 0, "confirmed:1", None)]


@pytest.mark.parametrize(
    ("month", "day", "due"),
    [
        # Noon of 2 March and 30 days are noon of 1 April: the first birthday that begins after it is the 2nd's.
        (4, 1, date(2027, 4, 1)),
        (4, 2, date(2026, 4, 2)),
        (3, 2, date(2027, 3, 2)),
        (2, 29, date(2027, 2, 28)),
    ],
)
async def test_thirty_days_lie_between_setting_and_the_gift(shop: Shop, month: int, day: int, due: date) -> None:
    await shop.publish(with_birthday())
    customer = await shop.customer()
    assert (await tell(shop, customer.id, month, day)).due_at.date() == due


async def test_a_change_is_counted_and_begins_the_lead_anew_and_the_same_date_does_not(shop: Shop) -> None:
    await shop.publish(with_birthday())
    customer = await shop.customer()
    first = await tell(shop, customer.id, 5, 17, 1990)
    assert await tell(shop, customer.id, 5, 17, 1990, at=NOON + DAY) == first
    changed = await tell(shop, customer.id, 5, 18, 1990, at=NOON + 60 * DAY)
    assert (changed.changes, changed.due_at.date()) == (1, date(2027, 5, 18))
    assert await actions.birthday(shop.scope(), customer.id) == changed


async def test_who_moves_their_birthday_gets_one_in_365_days(shop: Shop) -> None:
    await shop.publish(with_birthday())
    customer = await shop.customer()
    await tell(shop, customer.id, 5, 17)
    await give(shop, datetime(2026, 5, 17, tzinfo=UTC))
    moved = await tell(shop, customer.id, 8, 1, at=datetime(2026, 5, 18, tzinfo=UTC))
    assert moved.due_at.date() == date(2027, 8, 1)
    back = await tell(shop, customer.id, 5, 17, at=datetime(2026, 5, 19, tzinfo=UTC))
    assert (back.due_at.date(), back.changes) == (date(2027, 5, 17), 2)


async def test_29_february_comes_every_year_and_downtime_is_caught_up(shop: Shop) -> None:
    await shop.publish(with_birthday(zone="Europe/Berlin"))
    customer = await shop.customer()
    await tell(shop, customer.id, 2, 29, 2000)
    await give(shop, datetime(2029, 6, 1, tzinfo=UTC))
    days = [at.astimezone(UTC) + timedelta(hours=1) for at in await given(shop, customer.id)]
    assert [at.date() for at in days] == [date(2027, 2, 28), date(2028, 2, 29), date(2029, 2, 28)]
    assert {at.hour for at in days} == {0}
    assert await shop.balance(customer.id) == (600, 0)


async def test_summer_time_takes_no_year_away(shop: Shop) -> None:
    """29 March is a day of winter time in one year and of summer time in the next, an hour less than 365 days apart."""
    await shop.publish(with_birthday(zone="Europe/Berlin"))
    customer = await shop.customer()
    await tell(shop, customer.id, 3, 29, at=datetime(2026, 1, 1, tzinfo=UTC))
    await give(shop, datetime(2030, 1, 1, tzinfo=UTC))
    assert [at.year for at in await given(shop, customer.id)] == [2026, 2027, 2028, 2029]


async def test_each_is_decided_by_the_program_of_its_midnight(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.publish(with_birthday(100), at=datetime(2027, 1, 1, tzinfo=UTC))
    await shop.publish(with_birthday(300, hold_days=5), at=datetime(2028, 1, 1, tzinfo=UTC))
    customer = await shop.customer()
    await tell(shop, customer.id, 5, 17)
    await give(shop, datetime(2028, 5, 18, tzinfo=UTC))
    assert await shop.balance(customer.id) == (100, 300)
    found = await actions.page(shop.scope(), 10, None, customer.id, None)
    assert sorted((one.key.rpartition(".")[2], one.deserved, one.reason) for one in found) == [
        ("1", 0, "NOT_OFFERED"),
        ("2", 100, None),
        ("3", 300, None),
    ]


async def test_a_new_time_zone_moves_what_is_due(shop: Shop) -> None:
    await shop.publish(with_birthday())
    customer = await shop.customer()
    await tell(shop, customer.id, 5, 17)
    await shop.publish(with_birthday(zone="America/New_York"), at=NOON + DAY)
    await give(shop, datetime(2026, 5, 17, tzinfo=UTC))
    assert await shop.balance(customer.id) == (0, 0)
    await give(shop, datetime(2026, 5, 17, 4, tzinfo=UTC))
    assert await shop.balance(customer.id) == (200, 0)


@pytest.mark.parametrize(
    ("month", "day", "year", "field"),
    [
        (2, 30, None, "month"),
        (13, 1, None, "month"),
        (0, 1, None, "month"),
        (2, 29, 2001, "month"),
        (1, 1, 1899, "year"),
        (3, 3, 2026, "year"),
        (1, 1, 10_000, "month"),
        (2**31, -1, None, "month"),
    ],
)
async def test_no_birthday(shop: Shop, month: int, day: int, year: int | None, field: str) -> None:
    customer = await shop.customer()
    with pytest.raises(DomainError) as refused:
        await tell(shop, customer.id, month, day, year)
    assert (refused.value.code, refused.value.field) == ("DATE_INVALID", (field,))
    assert await actions.birthday(shop.scope(), customer.id) is None


async def test_the_date_lies_sealed_and_staffs_changes_are_audited_without_it(shop: Shop) -> None:
    customer = await shop.customer()
    staff = type(shop.scope())(shop.merchant.id, Actor(Door.STAFF, "7"), NOON)
    async with db.transaction(staff):
        await actions.set_birthday(staff, customer_id=customer.id, month=5, day=17, year=1990)
    async with db.connection(shop.scope()) as connection:
        sealed = await connection.fetchval("select sealed from birthdays where customer_id = $1", customer.id)
        audited = await connection.fetchval("select after::text from audit_entries where action = 'customer_birthday.set'")
    assert b"1990" not in sealed
    assert audited == '{"changes": 0}'
