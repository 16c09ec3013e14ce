"""Signed webhooks, by Shopify's rules: any order, at least once, 8 retries over 4 hours, then the subscription is gone."""

import asyncio
import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from local.shopify_stand_in.shop import Json, ShopState

API_VERSION = "2026-10"
RETRY_AFTER_S = (10, 30, 120, 300, 900, 1800, 3600, 7200)
"""Eight retries in four hours; `hurry` divides these waits for a demo or a test."""
TIMEOUT = httpx2.Timeout(5.0, connect=1.0)


@dataclass
class Deliveries:
    """Sends what happens in a shop to those who subscribed; `sent` has the status of each attempt."""

    secret: str
    http: httpx2.AsyncClient
    hurry: float = 1.0
    copies: int = 1
    """How often each delivery is sent, to try duplicates."""
    reorder: bool = False
    """Send those that wait in the opposite order."""
    sent: list[Json] = field(default_factory=list)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _held: list[Callable[[], Any]] = field(default_factory=list)

    def tell(self, shop: ShopState, topic: str, payload: Json) -> None:
        """Deliver one event to each subscription of its topic."""
        event_id = secrets.token_hex(16)
        for subscription in list(shop.subscriptions):
            if subscription["topic"] != topic.upper().replace("/", "_"):
                continue
            webhook_id = secrets.token_hex(16)
            body = json.dumps(payload).encode()
            for _ in range(self.copies):
                self._held.append(lambda s=subscription, w=webhook_id, b=body: self._deliver(shop, topic, s, w, event_id, b))
        if not self.reorder:
            self.release()

    def release(self) -> None:
        """Send what is held back, the last first."""
        held, self._held = self._held, []
        for start in reversed(held) if self.reorder else held:
            task = asyncio.ensure_future(start())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Return when every delivery has been answered or given up."""
        while self._tasks:
            await asyncio.gather(*list(self._tasks))

    async def close(self) -> None:
        """Drop what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)

    async def _deliver(
        self, shop: ShopState, topic: str, subscription: Json, webhook_id: str, event_id: str, body: bytes
    ) -> None:
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-hmac-sha256": base64.b64encode(hmac.digest(self.secret.encode(), body, "sha256")).decode(),
            "x-shopify-shop-domain": shop.domain,
            "x-shopify-api-version": API_VERSION,
            "x-shopify-webhook-id": webhook_id,
            "x-shopify-event-id": event_id,
            "x-shopify-triggered-at": datetime.now(UTC).isoformat(),
        }
        for wait in (*RETRY_AFTER_S, None):
            status = await self._attempt(subscription["uri"], body, headers)
            self.sent.append({"topic": topic, "webhook_id": webhook_id, "status": status})
            if 200 <= status < 300:
                subscription["failures"] = 0
                return
            if wait is None:
                break
            await asyncio.sleep(wait / self.hurry)
        if subscription in shop.subscriptions:
            shop.subscriptions.remove(subscription)

    async def _attempt(self, uri: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            return (await self.http.post(uri, content=body, headers=headers, timeout=TIMEOUT)).status_code
        except httpx2.TransportError:
            return 0
