"""The two ways in over HTTP: Shopify's webhooks, and questions in GraphQL. Both outlast an API that is away for a while."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx

from local.demo.day import Delivery
from local.errors import LocalError

PATIENCE_SECONDS = 60.0
"""How long an API that does not answer is asked again."""

AGAIN_SECONDS = 0.25
START_AGAIN = "Start LoyalNest anew by ./dev.sh down and ./dev.sh up, and run this again."

Shop = dict[str, Any]
"""A merchant as .loyalnest/demo.json has it."""


class Client:
    """The connections of one demo. `tell` is called once for each time that the API is away, with a sentence."""

    def __init__(
        self,
        graphql_url: str,
        webhook_url: str,
        tell: Callable[[str], None],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.graphql_url = graphql_url
        self.webhook_url = webhook_url
        self.sent_again = 0
        self._tell = tell
        self._away = False
        # No proxy: the address is this machine's own. Idle connections are left before the API, after 5 s, closes them.
        limits = httpx.Limits(keepalive_expiry=2)
        self._http = httpx.AsyncClient(trust_env=False, timeout=10, limits=limits, transport=transport)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def answers(self) -> bool:
        """Whether there is an API at all."""
        with suppress(httpx.TransportError):
            await self._http.get(self.graphql_url)
            return True
        return False

    async def deliver(self, shop: Shop, delivery: Delivery) -> tuple[str, float]:
        """Send a webhook as Shopify does, again and again until it is answered.

        Returns what the answer says of it and the instant of the answer, in seconds of `time.perf_counter`.
        Raises LocalError when it is refused, or not answered in time.
        """
        body = json.dumps(delivery.body, ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": delivery.topic,
            "x-shopify-hmac-sha256": sign(body, shop["client_secret"]),
            "x-shopify-shop-domain": shop["shop_domain"],
            "x-shopify-webhook-id": delivery.webhook_id,
            "x-shopify-triggered-at": delivery.body["updated_at"],
        }
        response = await self._until_answered(lambda: self._http.post(self.webhook_url, content=body, headers=headers))
        answered = time.perf_counter()
        if response.status_code != 200:
            raise LocalError(f"The webhook was refused: {response.status_code} {response.text[:200]} {START_AGAIN}")
        return response.json()["status"], answered

    async def ask(self, token: str, query: str, **variables: object) -> dict[str, Any]:
        """The data of an answer. Raises LocalError when there is none, or an error beside it."""
        response = await self._until_answered(
            lambda: self._http.post(
                self.graphql_url,
                json={"query": query, "variables": variables},
                headers={"authorization": f"Bearer {token}"},
            )
        )
        if response.status_code == 401:
            raise LocalError(f"The tokens in .loyalnest/demo.json are not valid any more. {START_AGAIN}")
        answer = response.json()
        if answer.get("errors"):
            raise LocalError(f"GraphQL refused a question: {json.dumps(answer['errors'])[:500]}")
        return answer["data"]

    async def _until_answered(self, attempt: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            why = ""
            try:
                response = await attempt()
                if response.status_code < 500:
                    if self._away:
                        self._tell("the API answers again")
                        self._away = False
                    return response
                why = f"status {response.status_code}"
            except httpx.TransportError as error:
                why = type(error).__name__
            if time.monotonic() > deadline:
                raise LocalError(f"The API has not answered for {PATIENCE_SECONDS:.0f} s ({why}). {START_AGAIN}")
            if not self._away:
                self._away = True
                self._tell(f"the API does not answer ({why}); what it has not answered is sent again, as Shopify does")
            self.sent_again += 1
            await asyncio.sleep(AGAIN_SECONDS)


def sign(body: bytes, secret: str) -> str:
    """The signature that Shopify sends: base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
