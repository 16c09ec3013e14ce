"""What becomes due: found after any downtime, for every merchant by their own clock, and woken when a clock is moved."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from domain import db, merchants, scope
from domain.scope import Scope, system
from tests.shop import NOON, Shop, open_shop, order, rate
from workers import sweeper
from workers.broker import QUEUES, broker
from workers.due import DUE, LOST_AFTER, Due, merchants_with, wake_due
from workers.job import job
from workers.orders import mature, mature_orders
from workers.points import daily

DAY = timedelta(days=1)
Dispatcher = asyncpg.Connection  # type: ignore[type-arg]


@pytest.fixture
async def sandbox(application: object) -> Shop:
    """A sandbox whose clock is the real one yet."""
    return await open_shop(application, sandbox=True)


@pytest.fixture
async def dispatcher() -> AsyncGenerator[Dispatcher, None]:
    connection = await sweeper.dispatcher()
    yield connection
    await connection.close()


async def held_order(shop: Shop, paid: datetime, hold_days: int = 14) -> Any:
    """A customer whose one order was paid at an instant, with points on hold from then on."""
    await shop.publish(rate(10, hold_days=hold_days), at=paid - DAY)
    customer = await shop.customer()
    instant = paid.isoformat()
    await shop.deliver("orders/create", order(customer=customer.shopify_id, created_at=instant, updated_at=instant))
    await shop.work()
    return customer.id


async def advance(shop: Shop, **target: Any) -> Scope:
    """Move the clock and return a scope by it."""
    given = system(shop.merchant.id, clock_offset=await merchants.clock_offset(shop.merchant.id))
    async with db.transaction(given):
        moved = await merchants.clock_advance(given, **target)
    return system(shop.merchant.id, clock_offset=moved.clock_offset)


async def is_due(dispatcher: Dispatcher, shop: Shop, at: datetime) -> bool:
    found = await sweeper.sweep(dispatcher, at)
    return shop.merchant.id in found[mature_orders.actor_name]


async def test_a_hold_is_due_to_the_second(shop: Shop, dispatcher: Dispatcher) -> None:
    paid = scope.now()
    await held_order(shop, paid)
    assert not await is_due(dispatcher, shop, paid + 14 * DAY - timedelta(seconds=1))
    assert await is_due(dispatcher, shop, paid + 14 * DAY)


async def test_what_came_due_while_nobody_swept_is_found_by_the_next_sweep(shop: Shop, dispatcher: Dispatcher) -> None:
    paid = scope.now()
    await held_order(shop, paid)
    for late in (14 * DAY, 400 * DAY):
        assert await is_due(dispatcher, shop, paid + late)


async def test_a_sandbox_is_swept_by_its_own_clock(sandbox: Shop, shop: Shop, dispatcher: Dispatcher) -> None:
    paid = scope.now()
    customer_id = await held_order(sandbox, paid)
    await held_order(shop, paid)
    assert await sandbox.balance(customer_id) == (0, 1000)
    ahead = await advance(sandbox, days=13)
    assert not await is_due(dispatcher, sandbox, scope.now())
    await mature(ahead)
    assert await sandbox.balance(customer_id) == (0, 1000)
    ahead = await advance(sandbox, days=1)
    assert await is_due(dispatcher, sandbox, scope.now())
    assert not await is_due(dispatcher, shop, scope.now())
    # Confirming alone goes no further than the first midnight whose work is not done.
    await mature(ahead)
    assert await sandbox.balance(customer_id) == (0, 1000)
    await daily(ahead)
    await daily(ahead)
    assert await sandbox.balance(customer_id) == (1000, 0)
    assert not await is_due(dispatcher, sandbox, scope.now())
    async with db.connection(sandbox.scope()) as connection:
        at = await connection.fetchval("select max(occurred_at) from points_transactions")
    assert ahead.at <= at <= scope.now() + ahead.clock_offset


async def test_what_somebody_was_told_of_is_left_to_them_for_a_while_of_the_merchants_time(
    sandbox: Shop, dispatcher: Dispatcher
) -> None:
    [inbox] = [one for one in DUE if one.table == "inbox"]
    given = await advance(sandbox, days=3)
    sandbox.at = given.at
    await sandbox.deliver("orders/create", order())

    async def found(received: datetime, ahead: timedelta) -> bool:
        return sandbox.merchant.id in await merchants_with(dispatcher, inbox, received, {sandbox.merchant.id: ahead})

    real = given.at - given.clock_offset
    assert not await found(real, given.clock_offset)
    assert not await found(real + LOST_AFTER - timedelta(seconds=1), given.clock_offset)
    assert await found(real + LOST_AFTER, given.clock_offset)


async def test_the_dispatcher_can_look_for_everything_that_is_listed(dispatcher: Dispatcher) -> None:
    """A line without its grant would stop the sweeper, and one without its policy would never find anything."""
    for due in DUE:
        assert isinstance(await merchants_with(dispatcher, due, NOON, {}), set)
        seen = "select count(*) from pg_policies where tablename = $1 and policyname = 'dispatch'"
        assert await dispatcher.fetchval(seen, due.table) == 1


async def test_a_job_with_work_in_two_tables_is_told_once(
    shop: Shop, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = scope.now()
    await held_order(shop, paid)
    twice = (*DUE, Due(mature_orders, "orders", "matures_at"))
    sent: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(sweeper, "DUE", twice)
        patch.setattr(mature_orders, "send", sent.append)
        found = await sweeper.sweep(dispatcher, paid + 20 * DAY)
    assert shop.merchant.id in found[mature_orders.actor_name]
    assert sent.count(str(shop.merchant.id)) == 1


def messages(merchant_id: str) -> list[str]:
    """The jobs that wait in Redis for a merchant."""
    waiting = [message for queue in QUEUES for message in broker.client.hgetall(f"loyalnest:{queue}.msgs").values()]
    decoded = [msgspec.json.decode(one) for one in waiting]
    return [one["actor_name"] for one in decoded if one["args"] == [merchant_id]]


async def test_everything_in_the_list_is_woken_once(shop: Shop) -> None:
    wake_due(str(shop.merchant.id))
    assert sorted(messages(str(shop.merchant.id))) == sorted({due.job.actor_name for due in DUE})


async def test_a_job_begins_at_its_merchants_present(sandbox: Shop, shop: Shop) -> None:
    seen: list[Scope] = []

    async def look(within: Scope) -> None:
        seen.append(within)

    declared = job("tests.look")(look)
    run = declared.fn.__wrapped__
    await advance(sandbox, days=100)
    before = scope.now()
    for one in (sandbox, shop):
        await run(str(one.merchant.id))
    ahead, real = seen
    assert (ahead.merchant_id, real.merchant_id) == (sandbox.merchant.id, shop.merchant.id)
    assert (ahead.clock_offset // DAY, real.clock_offset) == (100, timedelta())
    for given in seen:
        assert before + given.clock_offset <= given.at <= scope.now() + given.clock_offset
