"""Lots: what is spent first, what expires, and where points go back to."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import customers, db, points
from domain.customers import CustomerSnapshot, Profile
from domain.errors import Code, DomainError
from domain.programs import Period, Unit
from tests.ledger import converge, give_back, later, lots, spend
from tests.shop import NOON, Shop, order, rate


async def test_what_has_expired_is_not_taken_a_second_time(shop: Shop) -> None:
    await shop.publish(rate(10, points_expire_after=Period(12, Unit.MONTHS)))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await spend(shop, customer.id, 300)
    shop.at = datetime(2027, 3, 3, tzinfo=UTC)
    for expected in (1, 0):
        async with db.transaction(shop.scope()):
            assert await points.expire(shop.scope(), 10) == expected
    assert await shop.balance(customer.id) == (0, 0)
    await converge(shop, first | {"updated_at": later(1), "cancelled_at": later(1)})
    # 700 expired and are gone; the 300 that were spent are owed.
    assert await shop.balance(customer.id) == (-300, 0)


async def test_points_expire_at_the_end_of_the_local_day(shop: Shop) -> None:
    await shop.publish(rate(10, points_expire_after=Period(1, Unit.MONTHS), time_zone="Asia/Tokyo"))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id))
    [entry] = await points.since(shop.scope(), customer.id, 0, 10)
    # 2 March, 21:00 in Tokyo; valid through 2 April there.
    assert entry.expires_at == datetime(2026, 4, 2, 15, 0, tzinfo=UTC)


async def test_the_earliest_expiry_is_spent_first_and_given_back_where_it_came_from(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="10.00"))
    await shop.publish(rate(10, points_expire_after=Period(30, Unit.DAYS)), at=NOON + timedelta(minutes=1))
    shop.at = NOON + timedelta(hours=1)
    await converge(shop, order(customer=customer.shopify_id, price="6.00", created_at=later(60), updated_at=later(60)))
    position = await spend(shop, customer.id, 100)
    assert await lots(shop, customer.id) == [(1, 60)]
    given = await give_back(shop, customer.id, position, 50, "x1")
    assert len(given) == 2
    # 60 and 40 were taken, so 50 go back as 30 and 20.
    assert await lots(shop, customer.id) == [(2, 30), (1, 80)]
    assert await give_back(shop, customer.id, position, 50, "x1") == []
    await give_back(shop, customer.id, position, 50, "x2")
    assert await lots(shop, customer.id) == [(2, 60), (1, 100)]
    assert await shop.balance(customer.id) == (160, 0)
    with pytest.raises(DomainError) as refusal:
        await give_back(shop, customer.id, position, 1, "x3")
    assert refusal.value.code is Code.NOTHING_TO_RESTORE
    assert await shop.balance(customer.id) == (160, 0)


async def test_given_back_points_have_the_grace_of_the_program(shop: Shop) -> None:
    await shop.publish(rate(10, points_expire_after=Period(30, Unit.DAYS), restore_grace_days=7))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="10.00"))
    position = await spend(shop, customer.id, 40)
    await give_back(shop, customer.id, position, 40, "x")
    first, second = await points.open_lots(shop.scope(), customer.id, 10)
    assert (first.lot, first.remaining, second.lot, second.remaining) == (1, 60, 3, 40)
    assert first.expires_at is not None
    assert second.expires_at == first.expires_at + timedelta(days=7)


async def test_signup_points_last_as_long_as_the_program_says_from_the_day_of_joining(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=50, points_expire_after=Period(10, Unit.DAYS), time_zone="Europe/Berlin"))
    shop.at = NOON + timedelta(days=2)
    async with db.transaction(shop.scope()):
        told = CustomerSnapshot(7, NOON, shop.at), Profile("seven@example.com")
        await points.award_signups(shop.scope(), await customers.arrive(shop.scope(), [told]))
    [lot] = await points.open_lots(shop.scope(), (await shop.customer(7)).id, 10)
    assert (lot.remaining, lot.expires_at) == (50, datetime(2026, 3, 12, 23, 0, tzinfo=UTC))
