"""What time does to points: lots expire, inactivity takes all, customers are warned, and downtime changes nothing of it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from domain import db, orders, outbox, points, schedules
from domain.points import ExpiryReason, InsufficientPoints
from domain.programs import Period, Unit
from domain.scope import Scope
from tests.ledger import converge, spend
from tests.shop import NOON, Shop, order, rate
from workers.due import DUE, merchants_with
from workers.points import daily, expire
from workers.sweeper import dispatcher

DAY = timedelta(days=1)
Clock = Callable[[datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets what the workers take for the present."""

    def set_to(at: datetime) -> None:
        monkeypatch.setattr("domain.scope.now", lambda: at)

    return set_to


async def run(shop: Shop, clock: Clock, at: datetime) -> None:
    """All that is due at an instant, twice."""
    clock(at)
    shop.at = at
    await daily(shop.scope())
    await daily(shop.scope())


async def bought(shop: Shop, customer: int, price: str, at: datetime) -> None:
    shop.at = at
    instant = at.isoformat()
    await converge(shop, order(customer=customer, price=price, created_at=instant, updated_at=instant))


async def told(shop: Shop, customer_id: UUID) -> list[tuple[int, datetime, ExpiryReason]]:
    found = await points.activity_since(shop.scope(), customer_id, (0, 0), 100)
    return [(one.notice.points, one.notice.expires_at, one.notice.reason) for one in found if one.notice]


async def sources(shop: Shop, customer_id: UUID) -> list[tuple[str, int, int]]:
    return [(row.source, row.points, row.pending) for row in await points.since(shop.scope(), customer_id, 0, 100)]


async def test_a_lot_expires_at_its_instant_and_not_before(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10, points_expire_after=Period(30, Unit.DAYS), time_zone="America/New_York"))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    # The end of 1 April in New York, where the clocks have gone forward meanwhile.
    end = datetime(2026, 4, 2, 4, 0, tzinfo=UTC)
    await run(shop, clock, end - timedelta(microseconds=1))
    assert await shop.balance(customer.id) == (100, 0)
    await run(shop, clock, end)
    assert await shop.balance(customer.id) == (0, 0)
    assert (await sources(shop, customer.id))[1:] == [("expiry", -100, 0)]


async def test_lots_that_expire_off_midnight_need_no_midnight(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    off = NOON + timedelta(hours=1, microseconds=7)
    async with db.transaction(shop.scope()):
        entry = points.Entry(customer.id, points.TransactionType.IMPORT, 5, 0, "import", "1", "import", expires_at=off)
        await points.post(shop.scope(), [entry])
    for at, left in ((off - timedelta(microseconds=1), 5), (off, 0), (off, 0)):
        clock(at)
        await expire(shop.scope())
        assert await shop.balance(customer.id) == (left, 0)


async def test_inactivity_takes_all_that_is_spendable_and_nothing_that_is_pending(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10, hold_days=3))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    await bought(shop, customer.shopify_id, "7.00", NOON + DAY)
    switched_on = NOON + timedelta(days=20)
    shop.at = switched_on
    await shop.publish(rate(10, hold_days=60, inactivity_expires_after=Period(1, Unit.MONTHS)), at=switched_on)
    await bought(shop, customer.shopify_id, "5.00", switched_on + DAY)
    assert await shop.balance(customer.id) == (0, 220)
    # Active on 23 March, so all of 23 April is still theirs.
    end = datetime(2026, 4, 24, tzinfo=UTC)
    await run(shop, clock, end - timedelta(microseconds=1))
    assert await shop.balance(customer.id) == (170, 50)
    await run(shop, clock, end + timedelta(hours=5))
    assert await shop.balance(customer.id) == (0, 50)
    assert (await sources(shop, customer.id))[-1] == ("inactivity", -170, 0)
    assert await points.open_lots(shop.scope(), customer.id, 10) == []
    # What was pending comes as it was promised, and a past deadline does not take it.
    await run(shop, clock, end + timedelta(days=100))
    assert await shop.balance(customer.id) == (50, 0)


async def test_switching_inactivity_on_takes_nothing_for_the_time_before(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10))
    customer, other = await shop.customer(), await shop.customer()
    for one in (customer, other):
        await bought(shop, one.shopify_id, "10.00", NOON)
    shop.at = NOON + timedelta(days=500)
    # In force from long ago, and yet it counts from its publication.
    await shop.publish(rate(10, inactivity_expires_after=Period(30, Unit.DAYS)))
    published = shop.at
    await run(shop, clock, published + timedelta(days=5))
    # Another version that changes nothing of it lets the clock run on; one that changes the period starts it anew.
    await shop.publish(rate(20, inactivity_expires_after=Period(30, Unit.DAYS)), at=shop.at)
    await run(shop, clock, published + timedelta(days=30))
    assert await shop.balance(customer.id) == (100, 0)
    await spend(shop, other.id, 1)
    await run(shop, clock, published + timedelta(days=31))
    assert await shop.balance(customer.id) == (0, 0)
    assert await shop.balance(other.id) == (99, 0)
    await shop.publish(rate(20, inactivity_expires_after=Period(1, Unit.DAYS)), at=shop.at)
    await run(shop, clock, published + timedelta(days=32))
    assert await shop.balance(other.id) == (99, 0)
    await run(shop, clock, published + timedelta(days=33))
    assert await shop.balance(other.id) == (0, 0)


async def test_what_comes_behind_the_deadline_stays(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10, inactivity_expires_after=Period(10, Unit.DAYS)))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    await run(shop, clock, NOON + timedelta(days=40))
    assert await shop.balance(customer.id) == (0, 0)
    async with db.transaction(shop.scope()):
        await points.adjust(shop.scope(), customer_id=customer.id, points=25, reason="sorry", idempotency_key="gift")
    await run(shop, clock, NOON + timedelta(days=80))
    assert await shop.balance(customer.id) == (25, 0)


async def test_downtime_ends_as_if_there_had_been_none(shop: Shop, other_shop: Shop, clock: Clock) -> None:
    """One shop's workers run every day, the other's only at the end; what matures before the deadline and behind it differs."""
    customers: dict[str, UUID] = {}
    for one in (shop, other_shop):
        await one.publish(rate(10, hold_days=8, points_expire_after=Period(2, Unit.MONTHS)))
        customer = await one.customer()
        customers[one.merchant.shop_domain] = customer.id
        await bought(one, customer.shopify_id, "10.00", NOON)
        one.at = NOON + DAY
        await one.publish(
            rate(10, hold_days=30, points_expire_after=Period(2, Unit.MONTHS), inactivity_expires_after=Period(20, Unit.DAYS)),
            at=NOON + DAY,
        )
        await bought(one, customer.shopify_id, "3.00", NOON + 2 * DAY)
    end = NOON + timedelta(days=60)
    at = NOON + 2 * DAY
    while at < end:
        at += DAY
        await run(shop, clock, at)
    await run(other_shop, clock, end)
    found = [await sources(one, customers[one.merchant.shop_domain]) for one in (shop, other_shop)]
    assert found[0] == found[1]
    assert found[0][2:] == [("order", 100, -100), ("inactivity", -100, 0), ("order", 30, -30)]
    assert await other_shop.balance(customers[other_shop.merchant.shop_domain]) == (30, 0)
    due = [await schedules.next_due(one.scope(), schedules.DAILY) for one in (shop, other_shop)]
    assert due == [datetime(2026, 5, 2, tzinfo=UTC)] * 2


async def test_confirming_does_not_overtake_a_midnight(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=1, inactivity_expires_after=Period(1, Unit.DAYS)))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    shop.at = NOON + timedelta(days=9)
    assert await schedules.reached(shop.scope(), schedules.DAILY) == datetime(2026, 3, 3, tzinfo=UTC)
    async with db.transaction(shop.scope()):
        assert await orders.mature(shop.scope(), 10, datetime(2026, 3, 3, tzinfo=UTC)) == 0
        assert await orders.mature(shop.scope(), 10, datetime(2026, 3, 3, 12, 0, tzinfo=UTC)) == 1


async def test_customers_are_told_once_before_points_expire(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10, points_expire_after=Period(60, Unit.DAYS), expiry_warning_days=10))
    customer, spender = await shop.customer(), await shop.customer()
    for one in (customer, spender):
        await bought(shop, one.shopify_id, "10.00", NOON)
    await bought(shop, customer.shopify_id, "2.00", NOON + timedelta(hours=1))
    await spend(shop, spender.id, 100)
    end = datetime(2026, 5, 2, tzinfo=UTC)
    await run(shop, clock, end - timedelta(days=10, microseconds=1))
    assert await told(shop, customer.id) == []
    for at in (end - timedelta(days=10), end - timedelta(days=5), end - timedelta(microseconds=1)):
        await run(shop, clock, at)
        # Two lots that expire at one instant are one thing to be told.
        assert await told(shop, customer.id) == [(120, end, ExpiryReason.LOT)]
    assert await told(shop, spender.id) == []
    await run(shop, clock, end)
    assert await shop.balance(customer.id) == (0, 0)
    assert await told(shop, customer.id) == [(120, end, ExpiryReason.LOT)]


async def test_customers_are_told_before_inactivity_takes_all(shop: Shop, clock: Clock) -> None:
    await shop.publish(rate(10, inactivity_expires_after=Period(30, Unit.DAYS), expiry_warning_days=7))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    end = datetime(2026, 4, 2, tzinfo=UTC)
    await run(shop, clock, end - timedelta(days=7, microseconds=1))
    assert await told(shop, customer.id) == []
    await run(shop, clock, end - timedelta(days=7))
    await run(shop, clock, end - timedelta(days=6))
    assert await told(shop, customer.id) == [(100, end, ExpiryReason.INACTIVITY)]
    await spend(shop, customer.id, 1)
    later = datetime(2026, 4, 27, tzinfo=UTC)
    await run(shop, clock, later - timedelta(days=7))
    assert await told(shop, customer.id) == [(100, end, ExpiryReason.INACTIVITY), (99, later, ExpiryReason.INACTIVITY)]
    await run(shop, clock, later)
    assert await shop.balance(customer.id) == (0, 0)


async def test_a_notice_is_an_event_and_has_its_place(shop: Shop) -> None:
    await shop.publish(rate(10, points_expire_after=Period(60, Unit.DAYS)))
    customer = await shop.customer()
    await bought(shop, customer.shopify_id, "10.00", NOON)
    await bought(shop, customer.shopify_id, "1.00", NOON + DAY)
    scope = shop.scope()
    await outbox.forget(scope, await outbox.unsent(scope, 100))
    for expected in (customer.id, None):
        async with db.transaction(scope):
            assert await points.warn_of_lots(scope, NOON + timedelta(days=365), None, 10) == expected
    payload = {"customer_id": str(customer.id), "version": 2}
    assert [(event.name, event.payload) for event in await outbox.unsent(scope, 100)] == [
        ("points.expiring", payload | {"number": number}) for number in (1, 2)
    ]
    await bought(shop, customer.shopify_id, "1.00", NOON + DAY)
    found = await points.activity_since(scope, customer.id, (0, 0), 100)
    assert [(one.position, one.number) for one in found] == [(1, 0), (2, 0), (2, 1), (2, 2), (3, 0)]
    newest_first = await points.activity_page(scope, customer.id, None, 100)
    assert newest_first == found[::-1]
    for place in ((1, 0), (2, 0), (2, 1), (2, 2), (3, 0)):
        assert (
            await points.activity_since(scope, customer.id, place, 1)
            == [one for one in found if (one.position, one.number) > place][:1]
        )
        assert (
            await points.activity_page(scope, customer.id, place, 1)
            == [one for one in newest_first if (one.position, one.number) < place][:1]
        )


async def test_expiry_and_spending_at_the_same_time_come_one_after_the_other(shop: Shop) -> None:
    await shop.publish(rate(10, points_expire_after=Period(30, Unit.DAYS), inactivity_expires_after=Period(40, Unit.DAYS)))
    buyers = [await shop.customer() for _ in range(12)]
    for one in buyers:
        await bought(shop, one.shopify_id, "10.00", NOON)
    shop.at = NOON + timedelta(days=90)
    scope = shop.scope()
    rule = await points.inactivity(scope, shop.at)
    assert rule is not None
    midnight = rule.deadline(NOON)

    async def take(customer_id: UUID, number: int) -> None:
        with contextlib.suppress(InsufficientPoints):
            await spend(shop, customer_id, 60, f"{customer_id}-{number}")

    async def lots() -> None:
        async with db.transaction(scope):
            await points.expire(scope, 100)

    async def inactive() -> None:
        async with db.transaction(scope):
            await points.expire_inactive(scope, rule, midnight, None, 100)

    await asyncio.gather(
        *(take(one.id, number) for number in range(3) for one in buyers[:6]),
        lots(),
        inactive(),
        *(take(one.id, number) for number in range(3) for one in buyers[6:]),
    )
    await lots()
    for one in buyers:
        assert await shop.balance(one.id) == (0, 0)
        moved = await sources(shop, one.id)
        assert sum(taken for _, taken, _ in moved) == 0
        assert [source for source, _, _ in moved].count("redemption") <= 1


async def waking(shop: Shop) -> tuple[datetime, datetime, int, str | None]:
    """(for when the merchant's daily work is, when it is next looked at, attempts, failure)."""
    async with db.connection(shop.scope()) as connection:
        row = await connection.fetchrow(
            "select due_at, wakes_at, attempts, failure from schedules where merchant_id = $1", shop.merchant.id
        )
    assert row is not None
    return tuple(row)


def spoil(monkeypatch: pytest.MonkeyPatch, shop: Shop, error: Exception) -> None:
    """Let one merchant's expiry by inactivity fail."""
    whole = points.expire_inactive

    async def spoilt(scope: Scope, *given: Any) -> UUID | None:
        if scope.merchant_id == shop.merchant.id:
            raise error
        return await whole(scope, *given)

    monkeypatch.setattr("domain.points.expire_inactive", spoilt)


async def test_a_midnight_that_fails_is_put_off_longer_each_time_and_told_louder(
    shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.publish(rate(1, inactivity_expires_after=Period(5, Unit.DAYS)))
    midnight = (await waking(shop))[0]
    assert midnight == datetime(2026, 3, 3, tzinfo=UTC)
    spoil(monkeypatch, shop, InsufficientPoints("for a test"))
    at = midnight + timedelta(seconds=1)
    with structlog.testing.capture_logs() as logs:
        for attempt, seconds in ((1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 960), (7, 1920), (8, 3600), (9, 3600)):
            clock(at)
            await daily(shop.scope())
            assert await waking(shop) == (midnight, at + timedelta(seconds=seconds), attempt, "INSUFFICIENT_POINTS")
            at += timedelta(seconds=seconds)
    told = [one for one in logs if one["event"] == "daily.put_off"]
    assert [one["log_level"] for one in told] == ["warning"] * 2 + ["error"] * 3 + ["critical"] * 4
    assert {(one["merchant_id"], one["midnight"], one["failure"]) for one in told} == {
        (str(shop.merchant.id), midnight.isoformat(), "INSUFFICIENT_POINTS")
    }
    # Mended, it is worked off with all that came meanwhile, and nothing is left of the failing.
    monkeypatch.undo()
    monkeypatch.setattr("domain.scope.now", lambda: at)
    await daily(shop.scope())
    assert await waking(shop) == (datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC), 0, None)


async def test_one_merchants_midnight_that_fails_stops_nobody_elses(
    shop: Shop, other_shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (shop, other_shop):
        await one.publish(rate(1, inactivity_expires_after=Period(5, Unit.DAYS)))
    spoil(monkeypatch, shop, RuntimeError("a fault of ours"))
    at = datetime(2026, 3, 3, 0, 0, 1, tzinfo=UTC)
    clock(at)
    due = next(one for one in DUE if one.table == "schedules")
    connection = await dispatcher()
    try:
        mine = {shop.merchant.id, other_shop.merchant.id}
        assert mine & await merchants_with(connection, due, at, {}) == mine
        for one in (shop, other_shop):
            await daily(one.scope())
        assert [(await waking(one))[2:] for one in (shop, other_shop)] == [(1, "RuntimeError"), (0, None)]
        # Nobody is sent for it again before its time.
        assert mine & await merchants_with(connection, due, at + timedelta(seconds=29), {}) == set()
        assert mine & await merchants_with(connection, due, at + timedelta(seconds=30), {}) == {shop.merchant.id}
    finally:
        await connection.close()


async def test_who_is_killed_at_a_midnight_is_waited_for_as_well(
    shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.publish(rate(1, inactivity_expires_after=Period(5, Unit.DAYS)))
    at = datetime(2026, 3, 3, 0, 0, 1, tzinfo=UTC)
    clock(at)

    async def killed(*_: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("domain.points.expire_inactive", killed)
    with pytest.raises(asyncio.CancelledError):
        await daily(shop.scope())
    assert await waking(shop) == (datetime(2026, 3, 3, tzinfo=UTC), at + timedelta(seconds=30), 1, None)
