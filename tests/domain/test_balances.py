"""A balance at any instant: the past as the chain proves it, the future as the jobs will make it."""

import contextlib
import hashlib
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest

from domain import actions, balances, db, points
from domain.balances import ChangeKind
from domain.errors import DomainError
from domain.programs import Actions, EventRule, Period, Unit
from tests.ledger import converge, spend
from tests.shop import NOON, Shop, order, rate
from workers.points import daily

DAY = timedelta(days=1)
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham")


async def at(shop: Shop, customer_id: UUID, instant: datetime) -> balances.Balance:
    found = await balances.as_of(shop.scope(), customer_id, instant)
    assert found is not None
    return found


async def test_the_past_is_what_the_ledger_said_and_can_be_proved(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=1))
    customer = await shop.customer()
    for day in range(3):
        shop.at = NOON + day * DAY
        await converge(shop, order(customer=customer.shopify_id, created_at=shop.at.isoformat(), updated_at=shop.at.isoformat()))
    entries = await points.since(shop.scope(), customer.id, 0, 10)
    before = await at(shop, customer.id, NOON - timedelta(microseconds=1))
    assert (before.balance, before.pending) == (0, 0)
    assert before.proof is not None
    assert (before.proof.position, before.proof.hash) == (0, points.genesis(shop.merchant.id, customer.id))
    previous = before.proof.hash
    for day, entry in enumerate(entries):
        found = await at(shop, customer.id, NOON + day * DAY)
        proof = found.proof
        assert proof is not None
        assert (found.balance, found.pending) == (0, 1000 * (day + 1))
        assert (proof.position, proof.hash, proof.previous_hash) == (day + 1, entry.hash, previous)
        assert (proof.head_position, proof.head_hash) == (3, entries[-1].hash)
        # A stranger computes the link from what is shown.
        numbers = b"".join(one.to_bytes(8, "big", signed=True) for one in (proof.position, found.balance, found.pending))
        assert proof.digest is not None
        assert hashlib.sha256(previous + numbers + proof.digest).digest() == proof.hash
        previous = proof.hash
    assert await balances.as_of(shop.scope(), uuid4(), NOON) is None


async def test_the_future_tells_what_comes_and_when(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=14, points_expire_after=Period(30, Unit.DAYS)))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="10.00"))
    await converge(shop, order(customer=customer.shopify_id, price="5.00", financial_status="pending"))
    matures = NOON + 14 * DAY
    found = await at(shop, customer.id, NOON + timedelta(days=365))
    assert (found.balance, found.pending, found.proof) == (0, 50, None)
    confirmed, expired = found.changes
    assert (confirmed.at, confirmed.kind, confirmed.points, confirmed.pending) == (matures, ChangeKind.CONFIRMED, 100, -100)
    assert (expired.at, expired.kind, expired.points) == (datetime.fromisoformat("2026-04-16T00:00Z"), ChangeKind.EXPIRED, -100)
    assert [(change.balance_after, change.pending_after) for change in found.changes] == [(100, 50), (0, 50)]
    assert (await at(shop, customer.id, matures - timedelta(microseconds=1))).changes == []
    assert (await at(shop, customer.id, matures)).changes == [confirmed]


async def test_the_future_knows_what_is_pending_of_other_things_than_orders(shop: Shop) -> None:
    rules = Actions(events=(EventRule("visit", 40, hold_days=3),))
    await shop.publish(rate(10, hold_days=3, actions=rules, points_expire_after=Period(30, Unit.DAYS)))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="10.00"))
    async with db.transaction(shop.scope()):
        await actions.record_event(
            shop.scope(), name="visit", customer_id=customer.id, occurred_at=NOON, event_id="e", properties=None
        )
    found = await at(shop, customer.id, NOON + 40 * DAY)
    assert [(one.kind, one.points, one.balance_after, one.pending_after) for one in found.changes] == [
        (ChangeKind.CONFIRMED, 100, 100, 40),
        (ChangeKind.CONFIRMED, 40, 140, 0),
        (ChangeKind.EXPIRED, -100, 40, 0),
        (ChangeKind.EXPIRED, -40, 0, 0),
    ]


async def _live(shop: Shop, customer_id: UUID, number: int, random: Random) -> None:
    """A few weeks of a customer: orders, refunds of what was spent already, spending, and changes of the program."""
    for _ in range(random.randint(2, 7)):
        shop.at += timedelta(days=random.randint(0, 9), minutes=random.randint(0, 1440))
        instant = shop.at.isoformat()
        match random.choice(("order", "order", "order", "spend", "cancel", "publish")):
            case "order" | "cancel" as what:
                placed = order(
                    customer=number,
                    price=f"{random.randint(1, 40)}.00",
                    created_at=instant,
                    updated_at=instant,
                    financial_status=random.choice(("paid", "paid", "paid", "pending")),
                )
                await converge(shop, placed)
                if what == "cancel":
                    with contextlib.suppress(DomainError):
                        await spend(shop, customer_id, 5, f"s{shop.at}")
                    await converge(shop, placed | {"cancelled_at": instant, "updated_at": instant})
            case "spend":
                with contextlib.suppress(DomainError):
                    await spend(shop, customer_id, random.randint(1, 300), f"s{shop.at}")
            case "publish":
                await _publish(shop, random)


async def _publish(shop: Shop, random: Random) -> None:
    await shop.publish(
        rate(
            random.randint(1, 10),
            hold_days=random.choice((0, 1, 14, 40)),
            time_zone=random.choice(ZONES),
            points_expire_after=random.choice((None, Period(random.randint(1, 40), Unit.DAYS), Period(1, Unit.MONTHS))),
            inactivity_expires_after=random.choice((None, Period(random.randint(1, 40), Unit.DAYS), Period(1, Unit.MONTHS))),
            expiry_warning_days=random.choice((0, 5)),
        ),
        at=shop.at,
    )


@pytest.mark.parametrize("seed", range(24))
async def test_what_is_foreseen_is_what_the_jobs_do(shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """However the clock is advanced: in one jump, or in steps of any size."""
    random = Random(seed)
    monkeypatch.setattr("domain.scope.now", lambda: shop.at)
    await _publish(shop, random)
    customer = await shop.customer()
    await _live(shop, customer.id, customer.shopify_id, random)
    if random.random() < 0.5:
        await daily(shop.scope())
    known = await shop.balance(customer.id)
    begun = len(await points.since(shop.scope(), customer.id, 0, 1000))
    stops = sorted(shop.at + timedelta(days=random.randint(0, 100), minutes=random.randint(1, 1440)) for _ in range(4))
    if random.random() < 0.5:
        stops = stops[-1:]
    foreseen = [await at(shop, customer.id, stop) for stop in stops]
    for stop, expected in zip(stops, foreseen, strict=True):
        shop.at = stop
        await daily(shop.scope())
        assert await shop.balance(customer.id) == (expected.balance, expected.pending), (seed, known, expected)
    kinds = {"order": ChangeKind.CONFIRMED, "expiry": ChangeKind.EXPIRED, "inactivity": ChangeKind.INACTIVE}
    booked = [
        (kinds[row.source], row.points, row.pending) for row in (await points.since(shop.scope(), customer.id, begun, 1000))
    ]
    assert sorted(booked) == sorted((change.kind, change.points, change.pending) for change in foreseen[-1].changes)
