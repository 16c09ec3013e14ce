"""Connections: one merchant each while they are held, all of them back afterwards."""

import asyncio
import random
from contextlib import suppress

import asyncpg
import pytest

from domain import db
from domain.scope import system
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
