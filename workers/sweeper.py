"""Finds what nobody is working on: after a crash, a lost message, an emptied Redis, or when a hold has passed.

It reads under the dispatcher's role, which sees which merchants have work and nothing of it.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import redis

from domain import scope
from domain.db import DISPATCHER_ROLE
from domain.log import log
from domain.settings import settings
from workers.inbox import work_off_inbox
from workers.orders import mature_orders
from workers.relay import relay_outbox

PATIENCE = timedelta(seconds=30)
"""How old work may get before its message is taken for lost."""

PERIOD_S = 5.0


async def sweep(connection: "asyncpg.Connection[asyncpg.Record]", patience: timedelta = PATIENCE) -> dict[str, list[UUID]]:
    """Send a message for every merchant whose work waits longer than `patience`, and for matured orders. Returns them by job."""
    now = scope.now()
    found = {
        work_off_inbox: await connection.fetch(
            "select distinct merchant_id from inbox where status = 'pending' and due_at <= $1", now - patience
        ),
        relay_outbox: await connection.fetch("select distinct merchant_id from outbox where created_at <= $1", now - patience),
        mature_orders: await connection.fetch("select distinct merchant_id from orders where matures_at <= $1", now),
    }
    for actor, rows in found.items():
        for row in rows:
            await asyncio.to_thread(actor.send, str(row["merchant_id"]))
    return {actor.actor_name: [row["merchant_id"] for row in rows] for actor, rows in found.items()}


async def dispatcher() -> "asyncpg.Connection[asyncpg.Record]":
    """A connection under the dispatcher's role."""
    return await asyncpg.connect(
        settings().database_url,
        server_settings={"role": DISPATCHER_ROLE, "application_name": "loyalnest-sweeper"},
    )


async def run() -> None:
    """Sweep for ever; servers that are away are waited for."""
    while True:
        try:
            connection = await dispatcher()
            try:
                while True:
                    found = await sweep(connection)
                    if any(found.values()):
                        log.info("sweeper.sent", **{name: len(ids) for name, ids in found.items() if ids})
                    await asyncio.sleep(PERIOD_S)
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, redis.RedisError) as error:
            log.warning("sweeper.waits", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)
