"""Connections: one merchant each while they are held, all of them back afterwards."""

import asyncio
import random
from contextlib import suppress
from contextvars import Context

import asyncpg
import pytest

from domain import db
from domain.scope import Scope, system
from domain.settings import settings
from tests.shop import Shop, rate


async def test_two_merchants_in_turn_never_see_each_other(shop: Shop, other_shop: Shop) -> None:
    shops = [shop, other_shop]
    for one in shops:
        await one.publish(rate(1))
    expected = {one.merchant.id: [one.merchant.id] for one in shops}
    chance = random.Random(7)

    async def look(one: Shop) -> None:
        async with db.connection(one.scope()) as connection:
            rows = await connection.fetch("select merchant_id from program_versions")
            assert [row["merchant_id"] for row in rows] == expected[one.merchant.id]

    async def interrupted(one: Shop) -> None:
        task = asyncio.create_task(look(one))
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    for _ in range(20):
        await asyncio.gather(*((interrupted if chance.random() < 0.5 else look)(chance.choice(shops)) for _ in range(40)))
    await asyncio.gather(*(look(chance.choice(shops)) for _ in range(50)))


async def settled() -> tuple[int, int]:
    for _ in range(200):
        idle, open_ = db.database().idle_count()
        if idle == open_:
            break
        await asyncio.sleep(0.01)
    return db.database().idle_count()


async def test_cancelled_transactions_give_their_connections_back(shop: Shop) -> None:
    chance = random.Random(11)

    async def work() -> None:
        async with db.transaction(shop.scope()) as connection:
            await connection.fetchval("select count(*) from customers")
            await asyncio.sleep(0)

    for _ in range(20):
        tasks = [asyncio.create_task(work()) for _ in range(20)]
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    idle, open_ = await settled()
    assert idle == open_
    await asyncio.gather(*(work() for _ in range(30)))


async def test_failing_commits_give_their_connections_back(shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    await owner.execute(
        "create table deferred_probe (id int primary key, other int references deferred_probe deferrable initially deferred)"
    )
    await owner.execute(f"grant insert on deferred_probe to {db.APPLICATION_ROLE}")
    for _ in range(100):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with db.transaction(shop.scope()) as connection:
                await connection.execute("insert into deferred_probe values (1, 2)")
    await owner.execute("drop table deferred_probe")
    idle, open_ = await settled()
    assert idle == open_


async def test_a_transaction_cannot_be_nested(shop: Shop) -> None:
    async with db.transaction(shop.scope()):
        with pytest.raises(AssertionError, match="open already"):
            async with db.transaction(shop.scope()):
                pass


async def test_a_transaction_has_one_merchant(shop: Shop, other_shop: Shop) -> None:
    async with db.transaction(shop.scope()):
        with pytest.raises(AssertionError, match="one merchant"):
            async with db.connection(system(other_shop.merchant.id)):
                pass


async def test_a_piccolo_query_without_a_tenant_is_refused() -> None:
    from domain.programs.tables import ProgramDrafts  # noqa: PLC0415

    with pytest.raises(AssertionError, match="no tenant"):
        await ProgramDrafts.select()


async def test_without_a_merchant_no_row_shows(shop: Shop) -> None:
    await shop.publish(rate(1))
    async with db.reference() as connection:
        assert await connection.fetch("select * from program_versions") == []


async def backend(scope: Scope) -> int:
    async with db.connection(scope) as connection:
        return await connection.fetchval("select pg_backend_pid()")


async def end(owner: "asyncpg.Connection[asyncpg.Record]", pid: int) -> None:
    assert await owner.fetchval("select pg_terminate_backend($1, 5000)", pid)


async def test_a_connection_that_the_server_closes_while_it_is_held_is_replaced(
    shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    lost = 0

    async def work() -> None:
        nonlocal lost
        async with db.connection(shop.scope()) as connection:
            lost = await connection.fetchval("select pg_backend_pid()")
            await end(owner, lost)
            await connection.fetchval("select 1")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await work()
    assert await backend(shop.scope()) != lost
    idle, open_ = db.database().idle_count()
    assert idle == open_


async def test_a_connection_that_the_server_closed_is_not_lent(shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    noticed = asyncio.Event()
    async with db.connection(shop.scope()) as connection:
        lost = await connection.fetchval("select pg_backend_pid()")
        connection.add_termination_listener(lambda _: noticed.set())
    await end(owner, lost)
    await noticed.wait()
    assert await backend(shop.scope()) != lost


async def test_an_interrupted_connection_is_not_lent_again(shop: Shop) -> None:
    pids: list[int] = []
    begun = asyncio.Event()

    async def work() -> None:
        async with db.connection(shop.scope()) as connection:
            pids.append(await connection.fetchval("select pg_backend_pid()"))
            begun.set()
            await connection.fetchval("select pg_sleep(10)")

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await backend(shop.scope()) not in pids


async def test_an_open_transaction_does_not_reach_the_next_borrower(shop: Shop) -> None:
    async with db.connection(shop.scope()) as connection:
        left = await connection.fetchval("select pg_backend_pid()")
        await connection.execute("begin")
    async with db.connection(shop.scope()) as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("select pg_backend_pid()") != left


async def test_a_merchant_gets_the_connection_that_it_had(shop: Shop, other_shop: Shop) -> None:
    async with db.connection(shop.scope()) as one:
        own = await one.fetchval("select pg_backend_pid()")
        # A context of its own, as another request has: this one's connection is not seen from there.
        others = await asyncio.create_task(backend(other_shop.scope()), context=Context())
    assert own != others
    for _ in range(3):
        assert await backend(shop.scope()) == own
        assert await backend(other_shop.scope()) == others


async def test_connections_are_lent_in_the_order_of_asking(shop: Shop) -> None:
    served: list[int] = []

    async def work(number: int) -> None:
        async with db.connection(shop.scope()) as connection:
            served.append(number)
            await connection.fetchval("select 1")

    async def ask(times: int) -> list[int]:
        served.clear()
        await asyncio.gather(*(work(number) for number in range(times)))
        return served

    # The first time every connection is opened and comes to this merchant, and some take longer.
    await ask(40)
    assert await ask(100) == list(range(100))


async def test_closing_waits_for_what_is_lent() -> None:
    pool = db.Database(settings().database_url, 2)
    await pool.open()
    lent = await pool.lend(None)
    closing = asyncio.create_task(pool.close())
    assert await lent.fetchval("select 1") == 1
    assert not closing.done()
    pool.give_back(lent, interrupted=False)
    await closing
    assert lent.is_closed()


async def test_a_refused_connection_leaves_its_place() -> None:
    pool = db.Database(f"{settings().database_url}_missing", 1)
    for _ in range(3):
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await pool.lend(None)
    assert pool.idle_count() == (0, 0)
