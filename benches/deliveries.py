"""Signed webhooks through the real API and worker, up to the subscriber's event."""

import asyncio
import base64
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import websockets

from benches.shop import customer_uuid, order_body
from domain.merchants import Merchant
from domain.scope import now
from domain.settings import settings
from local.seed import staff_token
from schema.identifiers import gid

SUBSCRIBED = 100
"""How many customers are listened to, all on one socket: as many subscriptions as a socket may have."""

CUSTOMERS = 500
QUIET_S = 30

_SUBSCRIPTION = "subscription($id: ID) { balanceUpdated(customerId: $id) { version pointsTransaction { sourceId } } }"


@dataclass
class Run:
    """What one run saw: instants by `time.perf_counter`, by order number."""

    answered: dict[int, float] = field(default_factory=dict[int, float])
    heard: dict[int, float] = field(default_factory=dict[int, float])
    listened_to: set[int] = field(default_factory=set[int])

    def delays_ms(self) -> list[float]:
        """Milliseconds from the HTTP answer to the subscriber's event, for every order of a customer who is listened to."""
        return [(self.heard[number] - self.answered[number]) * 1000 for number in self.listened_to]


async def send(base_url: str, merchant: Merchant, first: int, senders: int, seconds: float) -> Run:
    """Let `senders` send one order after the other for some seconds, and wait until every expected event has come.

    Raises RuntimeError for an answer other than 200, TimeoutError for an event that does not come within 30 s.
    """
    run = Run()
    numbers = itertools.count(first)
    async with (
        asyncio.timeout(seconds + QUIET_S * 2),
        websockets.connect(
            f"{base_url.replace('http', 'ws', 1)}/graphql", subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
        ) as socket,
    ):
        await _subscribe(socket, merchant)
        listening = asyncio.create_task(_listen(socket, run))
        ends = time.perf_counter() + seconds
        await asyncio.gather(*(_sender(base_url, merchant, run, numbers, ends) for _ in range(senders)))
        async with asyncio.timeout(QUIET_S):
            while not run.listened_to <= run.heard.keys():
                if listening.done():
                    await listening
                await asyncio.sleep(0.01)
        listening.cancel()
    return run


async def _subscribe(socket: websockets.ClientConnection, merchant: Merchant) -> None:
    token = staff_token(merchant, now())
    await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
    assert json.loads(await socket.recv())["type"] == "connection_ack", "the staff's token is valid"
    for customer in range(1, SUBSCRIBED + 1):
        variables = {"id": gid("Customer", customer_uuid(customer))}
        payload = {"query": _SUBSCRIPTION, "variables": variables}
        await socket.send(json.dumps({"id": str(customer), "type": "subscribe", "payload": payload}))
    # Each begins with the state as it stands.
    for _ in range(SUBSCRIBED):
        message = json.loads(await socket.recv())
        if message["type"] != "next" or "errors" in message["payload"]:
            raise RuntimeError(f"a subscription was refused: {message}")


async def _listen(socket: websockets.ClientConnection, run: Run) -> None:
    async for text in socket:
        instant = time.perf_counter()
        message = json.loads(text)
        if message["type"] != "next":
            raise RuntimeError(f"a subscription ended: {message}")
        run.heard[int(message["payload"]["data"]["balanceUpdated"]["pointsTransaction"]["sourceId"])] = instant


async def _sender(base_url: str, merchant: Merchant, run: Run, numbers: Iterator[int], ends: float) -> None:
    address = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        while time.perf_counter() < ends:
            number = next(numbers)
            # Another walk than the senders' own turns, so that no sender has customers of its own.
            customer = number * 7919 % CUSTOMERS + 1
            writer.write(_request(merchant, number, order_body(number, customer)))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            run.answered[number] = time.perf_counter()
            if not head.startswith(b"HTTP/1.1 200 ") or b"accepted" not in body:
                raise RuntimeError(f"a delivery was refused: {head!r} {body!r}")
            if customer <= SUBSCRIBED:
                run.listened_to.add(number)
    finally:
        writer.close()


def _request(merchant: Merchant, number: int, body: bytes) -> bytes:
    secret = settings().shopify_client_secret.get_secret_value().encode()
    signature = base64.b64encode(hmac.digest(secret, body, "sha256")).decode()
    head = (
        "POST /webhooks/shopify HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-shopify-topic: orders/create\r\nx-shopify-hmac-sha256: {signature}\r\n"
        f"x-shopify-shop-domain: {merchant.shop_domain}\r\nx-shopify-webhook-id: bench-{number}\r\n"
        "x-shopify-triggered-at: 2026-03-02T17:00:00Z\r\n\r\n"
    )
    return head.encode() + body
