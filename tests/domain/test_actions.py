"""Follows and partners' events: claimed once, capped, decided by the program of their time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain import actions, db
from domain.errors import DomainError
from domain.points import open_lots
from domain.programs import Actions, BirthdayRule, EventRule, FollowRule, Goal, Network, Period, ReviewRule, Unit
from domain.programs.rules import validate
from tests.ledger import rows
from tests.shop import NOON, Shop, rate

INSTAGRAM = FollowRule(Network.INSTAGRAM, 50, "https://instagram.com/cedar", hold_days=2)


async def follow(shop: Shop, customer_id: Any, network: Network = Network.INSTAGRAM, at: datetime = NOON) -> Any:
    async with db.transaction(shop.scope(at)):
        return await actions.claim_follow(shop.scope(at), customer_id=customer_id, network=network)


async def record(shop: Shop, customer_id: Any, event_id: str, name: str = "quiz", at: datetime = NOON, **more: Any) -> Any:
    async with db.transaction(shop.scope()):
        return await actions.record_event(
            shop.scope(),
            name=name,
            customer_id=customer_id,
            occurred_at=at,
            event_id=event_id,
            properties=more.get("properties"),
        )


async def test_a_follow_is_claimed_once_and_held(shop: Shop) -> None:
    await shop.publish(rate(1, actions=Actions(follows=(INSTAGRAM,)), points_expire_after=Period(1, Unit.MONTHS)))
    customer = await shop.customer()
    first = await follow(shop, customer.id)
    again = await asyncio.gather(*(follow(shop, customer.id, at=NOON + timedelta(days=1)) for _ in range(10)))
    assert {(one.key, one.created_at, one.posted_pending) for one in again} == {(first.key, NOON, 50)}
    assert await shop.balance(customer.id) == (0, 50)
    ripe = shop.scope(NOON + timedelta(days=2))
    for confirmed in (1, 0):
        async with db.transaction(ripe):
            assert await actions.mature(ripe, 10) == confirmed
    assert await shop.balance(customer.id) == (50, 0)
    [lot] = await open_lots(shop.scope(), customer.id, 10)
    assert lot.expires_at == datetime(2026, 4, 5, tzinfo=UTC)


async def test_what_the_program_does_not_offer_is_refused_and_leaves_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    for definition in (None, rate(1), rate(1, enabled=False, actions=Actions(follows=(INSTAGRAM,)))):
        if definition is not None:
            await shop.publish(definition)
        with pytest.raises(DomainError) as refused:
            await follow(shop, customer.id)
        assert (refused.value.code, refused.value.field) == ("ACTION_NOT_OFFERED", ("network",))
    assert await actions.page(shop.scope(), 10, None, None, None) == []


async def test_an_event_is_booked_once_under_its_partners_id(shop: Shop) -> None:
    await shop.publish(rate(1, actions=Actions(events=(EventRule("quiz", 25),))))
    customer, other = await shop.customer(), await shop.customer()
    booked = await asyncio.gather(*(record(shop, customer.id, "e1", properties={"score": 7}) for _ in range(20)))
    assert {(one.key, one.deserved, one.posted_points) for one in booked} == {("e1", 25, 25)}
    assert await rows(shop, customer.id) == [(25, 0, "confirmed:1", None)]
    changes: list[tuple[Any, dict[str, Any]]] = [
        (other.id, {"properties": {"score": 7}}),
        (customer.id, {"properties": {"score": 8}}),
        (customer.id, {"properties": {"score": 7}, "name": "survey"}),
        (customer.id, {"properties": {"score": 7}, "at": NOON - timedelta(seconds=1)}),
    ]
    for customer_id, changed in changes:
        with pytest.raises(DomainError) as refused:
            await record(shop, customer_id, "e1", **changed)
        assert (refused.value.code, refused.value.field) == ("IDEMPOTENCY_KEY_REUSED", ("input", "id"))
    assert (await shop.balance(customer.id), await shop.balance(other.id)) == ((25, 0), (0, 0))


async def test_caps_count_local_days_and_the_whole_life(shop: Shop) -> None:
    rule = EventRule("quiz", 5, per_day=2, per_life=3)
    await shop.publish(rate(1, time_zone="America/New_York", actions=Actions(events=(rule, EventRule("survey", 1)))))
    customer, other = await shop.customer(), await shop.customer()
    # In New York 04:59 of 2 March is the evening of the 1st.
    early, morning = NOON.replace(hour=4, minute=59), NOON.replace(hour=5)
    told = [("a", early), ("b", morning), ("c", NOON), ("d", NOON), ("e", NOON - timedelta(days=7))]
    claims = [await record(shop, customer.id, name, at=at) for name, at in told]
    assert [one.reason for one in claims] == [None, None, None, "LIFETIME_CAP", "LIFETIME_CAP"]
    assert [(await record(shop, other.id, f"o{number}")).reason for number in range(3)] == [None, None, "DAILY_CAP"]
    assert (await record(shop, customer.id, "s", name="survey")).deserved == 1
    assert (await shop.balance(customer.id), await shop.balance(other.id)) == ((16, 0), (10, 0))


async def test_caps_hold_when_many_come_at_once(shop: Shop) -> None:
    await shop.publish(rate(1, actions=Actions(events=(EventRule("quiz", 5, per_day=3),))))
    customer = await shop.customer()
    await asyncio.gather(*(record(shop, customer.id, f"e{number}") for number in range(20)))
    assert await shop.balance(customer.id) == (15, 0)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (None, "NO_PROGRAM"),
        (rate(1), "NOT_OFFERED"),
        (rate(1, enabled=False, actions=Actions(events=(EventRule("quiz", 5),))), "PROGRAM_OFF"),
    ],
)
async def test_an_event_that_earns_nothing_says_why(shop: Shop, definition: Any, reason: str) -> None:
    if definition is not None:
        await shop.publish(definition)
    customer = await shop.customer()
    claim = await record(shop, customer.id, "e1")
    assert (claim.deserved, claim.reason) == (0, reason)
    assert await shop.balance(customer.id) == (0, 0)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"event_id": ""}, "BLANK", "id"),
        ({"event_id": "x" * 201}, "TOO_LONG", "id"),
        ({"event_id": "a\x00b"}, "BAD_INPUT", "id"),
        ({"event_id": "e", "name": "x" * 61}, "TOO_LONG", "name"),
        ({"event_id": "e", "at": NOON.replace(tzinfo=None)}, "INSTANT_INVALID", "occurredAt"),
        ({"event_id": "e", "at": NOON + timedelta(days=1)}, "INSTANT_INVALID", "occurredAt"),
        ({"event_id": "e", "at": datetime.fromisoformat("0001-01-01T00:00:00+14:00")}, "INSTANT_INVALID", "occurredAt"),
        ({"event_id": "e", "customer_id": uuid4()}, "NOT_FOUND", "customerId"),
    ],
)
async def test_bad_events_are_refused(shop: Shop, given: dict[str, Any], code: str, field: str) -> None:
    customer = await shop.customer()
    with pytest.raises(DomainError) as refused:
        await record(shop, **({"customer_id": customer.id} | given))
    assert (refused.value.code, refused.value.field) == (code, ("input", field))


GOAL = {"id": "g", "points": 1, "spend": "1.00", "currency": "USD"}


@pytest.mark.parametrize(
    ("actions_", "code", "path"),
    [
        ({"birthday": BirthdayRule(0)}, "PROGRAM_INVALID", "birthday.points"),
        ({"birthday": BirthdayRule(1, lead_days=29)}, "PROGRAM_INVALID", "birthday.leadDays"),
        ({"review": ReviewRule(1, hold_days=366)}, "PROGRAM_INVALID", "review.holdDays"),
        ({"review": ReviewRule(1, per_day=0)}, "PROGRAM_INVALID", "review.perDay"),
        ({"follows": (INSTAGRAM, INSTAGRAM)}, "PROGRAM_INVALID", "follows.1.network"),
        ({"follows": (FollowRule(Network.X, 1, "http://x.com/a"),)}, "PROGRAM_INVALID", "follows.0.url"),
        ({"events": (EventRule(" ", 1),)}, "PROGRAM_INVALID", "events.0.name"),
        ({"events": (EventRule("a", 10**9 + 1),)}, "PROGRAM_INVALID", "events.0.points"),
        ({"events": tuple(EventRule(str(number), 1) for number in range(51))}, "PROGRAM_INVALID", "events"),
        ({"goals": (Goal(**GOAL | {"times": 101}),)}, "PROGRAM_INVALID", "goals.0.times"),
        ({"goals": (Goal(**GOAL | {"spend": "0.00"}),)}, "PROGRAM_INVALID", "goals.0.spend"),
        ({"goals": (Goal(**GOAL | {"spend": "1.001"}),)}, "AMOUNT_INVALID", "goals.0.spend"),
        ({"goals": (Goal(**GOAL | {"currency": "ZZZ"}),)}, "CURRENCY_UNKNOWN", "goals.0.spend"),
        ({"goals": (Goal(**GOAL, starts_at=NOON, ends_at=NOON),)}, "PROGRAM_INVALID", "goals.0.endsAt"),
        ({"goals": (Goal(**GOAL, starts_at=NOON.replace(tzinfo=None)),)}, "PROGRAM_INVALID", "goals.0.startsAt"),
        ({"goals": (Goal(**GOAL, ends_at=NOON.replace(year=9999)),)}, "PROGRAM_INVALID", "goals.0.endsAt"),
    ],
)
def test_a_program_with_broken_actions_says_where(actions_: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(DomainError) as refused:
        validate(rate(1, actions=Actions(**actions_)))
    assert (refused.value.code, ".".join(refused.value.field)) == (code, f"actions.{path}")
