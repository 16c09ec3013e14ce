"""Fifty merchants on five connections, with cancellations everywhere: nobody ever sees a row of anybody else's."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from domain import customers, db
from domain.db import Database
from domain.scope import NOBODY, system
from domain.settings import settings
from tests.shop import open_shop

MERCHANTS, CONNECTIONS, TURNS, AT_ONCE = 50, 5, 25, 40


@pytest.fixture
async def pool(application: object, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Database, None]:
    """A pool of five, in place of the application's."""
    assert application is not None
    opened = Database(settings().database_url, CONNECTIONS)
    await opened.open()
    monkeypatch.setattr(db, "_database", opened)
    yield opened
    await opened.close()


async def at_server(connection: Any) -> tuple[str, int]:
    """Which merchant the server shows on a connection, and of how many merchants it shows rows."""
    shown = await connection.fetchval("select current_setting('app.merchant', true)")
    return shown, await connection.fetchval("select count(distinct merchant_id) from customers")


async def test_fifty_merchants_on_five_connections(application: object, pool: Database) -> None:
    chance = random.Random(18)
    merchants = [(await open_shop(application)).merchant.id for _ in range(MERCHANTS)]
    own: dict[UUID, UUID] = {}
    for number, merchant_id in enumerate(merchants):
        async with db.transaction(system(merchant_id)):
            own[merchant_id] = (await customers.ensure(system(merchant_id), [number + 1]))[number + 1]
    seen = cancelled = 0

    async def look(merchant_id: UUID) -> None:
        nonlocal seen
        async with db.connection(system(merchant_id)) as connection:
            for _ in range(2):
                rows = await connection.fetch("select merchant_id, id from customers")
                assert [tuple(row) for row in rows] == [(merchant_id, own[merchant_id])]
                seen += 1

    async def change(merchant_id: UUID) -> None:
        nonlocal seen
        async with db.transaction(system(merchant_id)) as connection:
            # Of all rows that this statement could reach, it reaches one.
            assert await connection.execute("update customers set joined_at = now()") == "UPDATE 1"
            rows = await connection.fetch("select merchant_id, id from customers")
            assert [tuple(row) for row in rows] == [(merchant_id, own[merchant_id])]
            seen += 1

    async def stranger() -> None:
        async with db.reference() as connection:
            assert await at_server(connection) == (str(NOBODY), 0)

    async def one() -> None:
        nonlocal cancelled
        merchant_id = chance.choice(merchants)
        act = chance.choice([partial(look, merchant_id), partial(change, merchant_id), stranger])
        task = asyncio.create_task(act())
        if chance.random() < 0.4:
            for _ in range(1 + chance.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        cancelled += task.cancelled()

    for _ in range(TURNS):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    assert seen > MERCHANTS
    assert cancelled > TURNS * AT_ONCE // 4
    # What a connection shows is set when it changes hands and not when it is given back (docs/adr/0002): what counts is that each
    # shows at the server what it is taken to show here, and that it is in nobody's transaction.
    idle, open_ = pool.idle_count()
    assert idle == open_ <= CONNECTIONS
    for connection in pool._idle:
        assert not connection.is_in_transaction()
        shown, rows = await at_server(connection)
        assert shown == str(connection.merchant_id)
        assert rows == (connection.merchant_id in own)


async def test_a_connection_whose_change_of_hands_was_cut_off_shows_nobodys_rows(application: object, pool: Database) -> None:
    """Cancelled after every number of steps that it takes: it is closed, or it shows what it is taken to show."""
    one, two = [(await open_shop(application)).merchant.id for _ in range(2)]
    for merchant_id in (one, two):
        async with db.transaction(system(merchant_id)):
            await customers.ensure(system(merchant_id), [1])
    for steps in range(12):
        for merchant_id in (one, two):
            lending = asyncio.create_task(pool.lend(merchant_id))
            for _ in range(steps):
                await asyncio.sleep(0)
            lending.cancel()
            try:
                connection = await lending
            except asyncio.CancelledError:
                continue
            pool.give_back(connection, interrupted=False)
        for connection in pool._idle:
            shown, rows = await at_server(connection)
            assert (shown or str(NOBODY)) == str(connection.merchant_id or NOBODY)
            assert rows == (connection.merchant_id in (one, two))
