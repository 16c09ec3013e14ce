"""Hears the workers' doorbells on Redis, once per process, and wakes those who wait."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from domain.log import log
from schema.doorbell import Doorbell
from workers.relay import CHANNEL

RETRY_S = 1.0
SILENCE_S = 30.0
"""After so long without a ring the listeners look for themselves: a dead connection can look like a quiet shop."""


async def listen(url: str, doorbell: Doorbell) -> None:
    """Pass on every ring, for ever. After each break in the connection everybody is woken: rings may have been missed."""
    while True:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=None, socket_connect_timeout=5, health_check_interval=15)
        try:
            async with client.pubsub() as channel:
                await channel.subscribe(CHANNEL)
                doorbell.ring_all()
                while True:
                    message = await _next(channel)
                    if message is None:
                        doorbell.ring_all()
                        continue
                    for merchant_id, customer_id, _version in msgspec.json.decode(message["data"]):
                        doorbell.ring(UUID(merchant_id), UUID(customer_id))
        except (RedisError, OSError) as error:
            log.warning("doorbells.waits", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)
        finally:
            await client.aclose()


async def _next(channel: Any) -> dict[str, Any] | None:
    return await channel.get_message(ignore_subscribe_messages=True, timeout=SILENCE_S)
