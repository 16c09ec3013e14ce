"""Sockets that come and go, and sockets that do not read: nothing is left of the ones, and the others keep nobody waiting."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
import websockets

from api import socket as api_socket
from api.socket import STALLED
from domain import db, points
from domain.points import Entry, TransactionType
from tests.api.serving import PATIENCE_S, Client, Serving, heard, running, say, serving, until
from tests.shop import Shop, rate

# uvicorn announces another implementation: api/__main__.py says why it has to wait.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OPERATIONS = 1_500
PER_SOCKET = 25
AT_ONCE = 12
SEED = 20_261_121
STALLED_COUNT, READING = 50, 200
MIB = 1024 * 1024
LIVE = "subscription { balanceUpdated { version } }"
EARN = """mutation ($id: ID!, $key: String!) {
    pointsAdjust(customerId: $id, points: 1, reason: "test", idempotencyKey: $key) { userErrors { code } }
}"""
LARGE = "query { program { definition { " + " ".join(f"a{number}: earning" for number in range(60)) + " } } }"
"""Some hundred KiB of answer for little work."""


@pytest.fixture
async def served(application: Any) -> AsyncGenerator[Serving, None]:
    async with serving(application) as server:
        yield server


async def earn(shop: Shop, customer_ids: list[UUID]) -> None:
    """One point for each, and their doorbells."""
    entries = [
        Entry(one, TransactionType.EARN, 1, 0, source="test", external_id=str(uuid4()), purpose="earn") for one in customer_ids
    ]
    async with db.transaction(shop.scope()):
        await points.post(shop.scope(), entries)
    for one in customer_ids:
        shop.application.state.process.doorbell.ring(shop.merchant.id, one)


async def come_and_go(served: Serving, shop: Shop, customer_id: UUID, chance: random.Random) -> None:
    """Twenty-five operations on one socket, each left at another moment, and then the socket is left at another one too."""
    client = await served.admitted(shop.staff_token())
    identifier = f"gid://loyalnest/Customer/{customer_id}"
    live = LIVE.replace("balanceUpdated", f'balanceUpdated(customerId: "{identifier}")')
    for number in range(PER_SOCKET):
        payload: dict[str, Any] = {"query": live}
        if chance.random() < 0.3:
            payload = {"query": EARN, "variables": {"id": identifier, "key": str(uuid4())}}
        await say(client, type="subscribe", id=str(number), payload=payload)
        match chance.randrange(4):
            case 0:
                # Before it has begun.
                await say(client, type="complete", id=str(number))
            case 1:
                await heard(client)
                await say(client, type="complete", id=str(number))
            case 2:
                # In the middle of an event.
                await earn(shop, [customer_id])
                await say(client, type="complete", id=str(number))
            case _:
                # Not at all.
                pass
    if chance.random() < 0.5:
        # The line is cut, with a message on its way.
        await say(client, type="subscribe", id="last", payload={"query": live})
        client.transport.abort()
    else:
        await client.close()


async def test_fifteen_hundred_subscriptions_leave_nothing_behind(served: Serving, shop: Shop, logged: list[str]) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    before = running()
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await come_and_go(served, shop, customer.id, random.Random(SEED + number))

    async with asyncio.timeout(PATIENCE_S * 3):
        await asyncio.gather(*(one(number) for number in range(OPERATIONS // PER_SOCKET)))
        await served.quiet(before)
    assert db.database().idle_count()[0] == db.database().idle_count()[1] > 0
    # What was begun was done whole or not at all.
    await shop.balance(customer.id)
    assert [line for line in logged if "bug" in line or "Traceback" in line] == []
    # And the server serves on.
    client = await served.admitted(shop.customer_token(customer.id))
    await say(client, type="subscribe", id="1", payload={"query": LIVE})
    assert (await heard(client))["type"] == "next"
    await client.close()
    await served.quiet(before)


async def stall(served: Serving, token: str, answers: int) -> Client:
    """A client that asks for more than the kernel holds for it, and reads nothing of it."""
    client = await served.admitted(token)
    client.transport.pause_reading()
    for number in range(answers):
        await say(client, type="subscribe", id=str(number), payload={"query": LARGE})
    return client


async def big_program(shop: Shop) -> None:
    """A program whose definition is a few KiB long."""
    rules = [{"id": f"rule-{number}", "kind": "per_currency_unit", "rate": {"points": 1, "per": 1}} for number in range(40)]
    await shop.publish(rate(10, earning={"rules": rules}))


async def test_fifty_stalled_readers_keep_nobody_waiting(
    served: Serving, shop: Shop, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """The others receive everything while what the stalled ones do not read lies there, and that is never much."""
    # However slow the machine is, the stalled ones stay until the others have everything.
    monkeypatch.setattr(api_socket, "STALLED_AFTER_S", 3_600)
    await big_program(shop)
    before = running()
    someone = await shop.customer()
    stalled = [await stall(served, shop.customer_token(someone.id), 3) for _ in range(STALLED_COUNT)]
    # A credential has at most a hundred sockets.
    people = [(await shop.customer()).id for _ in range(READING // 50)]
    readers = [await served.admitted(shop.customer_token(people[number % len(people)])) for number in range(READING)]
    for reader in readers:
        await say(reader, type="subscribe", id="1", payload={"query": LIVE})
    assert [await version(reader) for reader in readers] == [0] * READING
    for round_ in range(1, 6):
        await earn(shop, people)
        assert [await version(reader) for reader in readers] == [round_] * READING
    waiting = [unsent for unsent in served.unsent() if unsent > 0]
    assert len(waiting) == STALLED_COUNT
    # Of each operation one message at most, behind what the kernel has taken.
    assert sum(waiting) < 64 * MIB
    assert [line for line in logged if "stalled" in line] == []
    for client in (*stalled, *readers):
        client.transport.abort()
    await served.quiet(before)


async def version(reader: Client) -> int:
    """The version that the next event tells."""
    found: int = (await heard(reader))["payload"]["data"]["balanceUpdated"]["version"]
    return found


async def test_who_does_not_read_is_closed_with_a_code(
    served: Serving, shop: Shop, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    monkeypatch.setattr(api_socket, "STALLED_AFTER_S", 0.1)
    await big_program(shop)
    before = running()
    customer = await shop.customer()
    client = await stall(served, shop.customer_token(customer.id), 3)
    await until(lambda: any("socket.stalled" in line for line in logged))
    # Now it reads what there is, and then the reason.
    client.transport.resume_reading()
    answers = 0
    with suppress(websockets.ConnectionClosed):
        async for message in client:
            answers += json.loads(message)["type"] == "next"
    assert (client.close_code, answers < 4) == (STALLED, True)
    await served.quiet(before)
    assert len([line for line in logged if "socket.stalled" in line]) == 1
    assert [line for line in logged if "bug" in line or "Traceback" in line] == []
