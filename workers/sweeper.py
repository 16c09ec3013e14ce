"""Finds what nobody is working on: after a crash, a lost message, an emptied Redis, or when its time has come.

It reads under the dispatcher's role, which sees which merchants have work and nothing of it.
"""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import redis

from domain import scope
from domain.db import DISPATCHER_ROLE
from domain.log import log
from domain.settings import settings
from workers.due import DUE, merchants_with

PERIOD_S = 5.0


async def sweep(connection: "asyncpg.Connection[asyncpg.Record]", at: datetime) -> dict[str, set[UUID]]:
    """Send a message for every merchant and every kind of work that is due at the real instant `at`. Returns them by job.

    What is due is read from tables, so work that came due while nobody swept is found by the first sweep after it.
    """
    rows = await connection.fetch("select id, clock_offset from merchants where clock_offset > '0'")
    ahead: dict[UUID, timedelta] = {row["id"]: row["clock_offset"] for row in rows}
    sent: dict[str, set[UUID]] = {due.job.actor_name: set() for due in DUE}
    for due in DUE:
        # One job may have work in several tables, and needs to be told once.
        found = await merchants_with(connection, due, at, ahead) - sent[due.job.actor_name]
        for merchant_id in found:
            await asyncio.to_thread(due.job.send, str(merchant_id))
        sent[due.job.actor_name] |= found
    return sent


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
                    found = await sweep(connection, scope.now())
                    if any(found.values()):
                        log.info("sweeper.sent", **{name: len(ids) for name, ids in found.items() if ids})
                    await asyncio.sleep(PERIOD_S)
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, redis.RedisError) as error:
            log.warning("sweeper.waits", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)
