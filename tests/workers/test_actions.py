"""What becomes due for actions: found by the sweep to the second, done once, and brought by a sandbox's clock."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import actions, db, merchants, points, scope
from domain.actions import Provider, Told
from domain.programs import Actions, BirthdayRule, EventRule, FollowRule, Network, Period, ReviewRule, Unit
from domain.scope import Scope, system
from tests.ledger import rows
from tests.shop import Shop, open_shop, rate
from workers import sweeper
from workers.actions import give, give_birthdays, mature, mature_claims, settle, settle_reviews
from workers.points import daily

DAY = timedelta(days=1)
RULES = Actions(
    birthday=BirthdayRule(200, hold_days=2),
    review=ReviewRule(100),
    follows=(FollowRule(Network.X, 50, "https://x.com/cedar", hold_days=10),),
)


@pytest.fixture
async def sandbox(application: object) -> Shop:
    return await open_shop(application, sandbox=True)


async def due(shop: Shop, at: datetime) -> set[str]:
    """The jobs of actions that the sweep would send for the shop, if it were `at`."""
    connection = await sweeper.dispatcher()
    try:
        found = await sweeper.sweep(connection, at)
    finally:
        await connection.close()
    jobs = {job.actor_name for job in (mature_claims, give_birthdays, settle_reviews)}
    return {name for name, merchants_ in found.items() if shop.merchant.id in merchants_} & jobs


async def begin(shop: Shop) -> Any:
    """A customer who follows, and has a birthday in 40 days."""
    now = scope.now()
    await shop.publish(rate(1, actions=RULES), at=now - DAY)
    customer = await shop.customer()
    birthday = now + 40 * DAY
    within = shop.scope(now)
    async with db.transaction(within):
        await actions.claim_follow(within, customer_id=customer.id, network=Network.X)
        await actions.set_birthday(within, customer_id=customer.id, month=birthday.month, day=birthday.day, year=None)
    return customer.id


async def advance(shop: Shop, days: int) -> Scope:
    given = system(shop.merchant.id, clock_offset=await merchants.clock_offset(shop.merchant.id))
    async with db.transaction(given):
        moved = await merchants.clock_advance(given, days=days)
    return system(shop.merchant.id, clock_offset=moved.clock_offset)


async def test_the_sweep_finds_what_is_due_to_the_second(shop: Shop) -> None:
    now = scope.now()
    customer_id = await begin(shop)
    [claim] = await actions.page(shop.scope(), 10, None, customer_id, None)
    kept = await actions.birthday(shop.scope(), customer_id)
    assert kept is not None
    second = timedelta(seconds=1)
    assert await due(shop, now) == set()
    assert await due(shop, claim.spendable_at - second) == set()
    assert await due(shop, claim.spendable_at) == {"actions.mature"}
    assert await due(shop, kept.due_at - second) == {"actions.mature"}
    assert await due(shop, kept.due_at + 400 * DAY) == {"actions.mature", "actions.give_birthdays"}
    told = Told("1", "a@example.com", published=True, written_at=now, updated_at=now)
    await actions.tell(shop.scope(now), Provider.YOTPO, told)
    assert await due(shop, now) == {"actions.settle_reviews"}
    await settle(system(shop.merchant.id))
    assert await due(shop, now) == set()


async def test_a_sandbox_lives_through_it_on_the_same_path(sandbox: Shop) -> None:
    customer_id = await begin(sandbox)
    assert await sandbox.balance(customer_id) == (0, 50)
    within = await advance(sandbox, 10)
    assert await due(sandbox, scope.now()) == {"actions.mature"}
    await daily(within)
    for _ in range(2):
        await mature(within)
    assert await sandbox.balance(customer_id) == (50, 0)
    within = await advance(sandbox, 30)
    assert await due(sandbox, scope.now()) == {"actions.give_birthdays"}
    await daily(within)
    for _ in range(2):
        await give(within)
    assert await sandbox.balance(customer_id) == (50, 200)
    within = await advance(sandbox, 2)
    await daily(within)
    await asyncio.gather(*(mature(within) for _ in range(4)), *(give(within) for _ in range(4)))
    assert await sandbox.balance(customer_id) == (250, 0)
    assert await rows(sandbox, customer_id) == [
        (0, 50, "pending:1", None),
        (50, -50, "confirmed:2", None),
        (0, 200, "pending:1", None),
        (200, -200, "confirmed:2", None),
    ]


async def test_many_birthdays_on_one_day_are_given_once_by_many_workers(sandbox: Shop) -> None:
    people = [await begin(sandbox) for _ in range(8)]
    within = await advance(sandbox, 45)
    await asyncio.gather(
        *(daily(within) for _ in range(2)), *(give(within) for _ in range(5)), *(mature(within) for _ in range(3))
    )
    await give(within)
    await mature(within)
    assert [await sandbox.balance(one) for one in people] == [(250, 0)] * 8


async def test_what_comes_behind_a_midnight_waits_for_its_work(sandbox: Shop) -> None:
    now = scope.now()
    rules = Actions(birthday=RULES.birthday, events=(EventRule("visit", 50, hold_days=10), EventRule("call", 7)))
    await sandbox.publish(rate(1, actions=rules, inactivity_expires_after=Period(5, Unit.DAYS)), at=now - DAY)
    customer, birthday = await sandbox.customer(), now + 40 * DAY
    within = sandbox.scope(now)
    async with db.transaction(within):
        await actions.set_birthday(within, customer_id=customer.id, month=birthday.month, day=birthday.day, year=None)
    async with db.transaction(within):
        for name in ("visit", "call"):
            await actions.record_event(
                within, name=name, customer_id=customer.id, occurred_at=now, event_id=name, properties=None
            )
    # Nobody worked for 45 days. What was there on the sixth expires; what the tenth confirmed and the birthday gave does not.
    within = await advance(sandbox, 45)
    await give(within)
    await mature(within)
    assert await sandbox.balance(customer.id) == (7, 50)
    await daily(within)
    await give(within)
    found = await points.since(sandbox.scope(), customer.id, 0, 10)
    assert [(row.source, row.points) for row in found] == [
        ("event", 0),
        ("event", 7),
        ("inactivity", -7),
        ("event", 50),
        ("birthday", 200),
    ]
