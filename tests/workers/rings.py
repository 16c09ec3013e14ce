"""What the relay rings for, as a process hears it that serves websockets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import redis.asyncio

from domain.settings import settings
from tests.shop import Shop
from workers.relay import CHANNEL

PATIENCE_S = 60

Rings = Callable[[int], Awaitable[list[Any]]]


@asynccontextmanager
async def ringing(shop: Shop) -> AsyncGenerator[Rings, None]:
    """Gives the shop's next rings, as many as asked for. Others' come too: all databases of a Redis share its channels."""
    async with redis.asyncio.Redis.from_url(settings().redis_url) as client, client.pubsub() as channel:
        await channel.subscribe(CHANNEL)
        assert await channel.get_message(timeout=PATIENCE_S) is not None

        async def rings(count: int) -> list[Any]:
            found: list[Any] = []
            async with asyncio.timeout(PATIENCE_S), aclosing(channel.listen()) as messages:
                async for message in messages:
                    ring = msgspec.json.decode(message["data"])
                    if any(merchant_id == str(shop.merchant.id) for merchant_id, *_ in ring):
                        found.append(ring)
                    if len(found) == count:
                        break
            return found

        yield rings
