"""Tells the workers that a merchant has work, without making the answer wait for Redis."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import redis

from domain.log import log

GATHER_S = 0.002
"""How long rings gather before they are sent: many deliveries of one merchant become one message."""


class Ring:
    """Merchants with news, sent to the workers by a task of its own. A lost ring costs time, not work: see the sweeper."""

    def __init__(self, send: Callable[[str], object]) -> None:
        self._send = send
        self._waiting: set[UUID] = set()
        self._news = asyncio.Event()

    def __call__(self, merchant_id: UUID) -> None:
        """Note that the merchant has work. Returns at once."""
        self._waiting.add(merchant_id)
        self._news.set()

    async def run(self) -> None:
        """Send what gathers, for ever."""
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            merchants, self._waiting = self._waiting, set()
            for merchant_id in merchants:
                try:
                    await asyncio.to_thread(self._send, str(merchant_id))
                except redis.RedisError as error:
                    log.warning("ring.lost", merchant_id=str(merchant_id), error=type(error).__name__)
