"""From the outbox to those who listen."""

from functools import cache

import msgspec
import redis.asyncio

from domain import outbox
from domain.scope import Scope
from domain.settings import settings
from workers.job import job

CHANNEL = "loyalnest:points"
"""Where the doorbells ring: a JSON list of [merchant id, customer id, account version]. It tells that there is news, not what."""

BATCH = 500
TIMEOUT_S = 5


@cache
def _redis() -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(settings().redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


async def relay(scope: Scope) -> int:
    """Ring for every event in the merchant's outbox and remove it. Returns how many were sent.

    A crash between the two rings twice, which harms nobody: who is rung for reads the ledger. While Redis is away nothing is
    removed, and the sweeper comes back.
    """
    sent = 0
    while events := await outbox.unsent(scope, BATCH):
        doorbells = [[str(scope.merchant_id), event.payload["customer_id"], event.payload["version"]] for event in events]
        await _redis().publish(CHANNEL, msgspec.json.encode(doorbells))
        await outbox.forget(scope, events)
        sent += len(events)
        if len(events) < BATCH:
            break
    return sent


async def _relay(scope: Scope) -> None:
    await relay(scope)


relay_outbox = job("outbox.relay")(_relay)
"""Sends what commands have left in the merchant's outbox."""
