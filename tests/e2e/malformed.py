"""Junk for every door that reads what strangers write: nothing is a fault of ours, nothing crashes, and the memory stays.

`tests/e2e/test_malformed.py` sends some of it, `benches/malformed.py` ten thousand of each kind.
"""

import asyncio
import json
import os
import random
import string
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import websockets

PATIENCE_S = 120
SEED = 20_261_121
"""Another seed is other junk; the one that failed is the one to try again."""
AT_ONCE = 8
PER_SOCKET = 61
"""How many documents one socket carries, before a frame that is none."""
MEMORY_MAX = 20 * 1024 * 1024
DOCUMENTS = (
    "{ program { id version definition { earning pointsName { singular plural } } } }",
    "query ($n: Int!) { customers(first: $n) { nodes { id email pointsBalance } pageInfo { endCursor } } }",
    '{ customer(shopifyId: "1") { id ...F } } fragment F on Customer { firstName lastName }',
    "mutation { programDraftUpdate(input: { holdDays: 3 }, revision: 1) { userErrors { code message field } } }",
    '{ node(id: "gid://loyalnest/Customer/0") { __typename id ... on Order { points } } }',
)
PIECES = (
    *("{", "}", "(", ")", "[", "]", '"', '"""', "...", "@skip(if:", "$n", ":"),
    *("\x00", "\ud7ff", "\N{PILE OF POO}", "\\u0000", "-1e999"),
)
JUNK_BODIES = (
    *(b"", b"null", b"1", b'"a"', b"[]", b"[" * 5_000, b"{", b"\xff\xfe"),
    *(b'{"query": 1}', b'{"query": "{a}", "variables": []}'),
)
HUGE = b" " * (9 * 1024 * 1024)


@dataclass(frozen=True)
class Target:
    """Where to send, and as whom. signed: the headers of a webhook with this body. delivery: a whole one, to be spoilt."""

    url: str
    pid: int
    token: str
    delivery: str
    signed: Callable[[bytes], dict[str, str]]


def malformed(text: str, chance: random.Random) -> str:
    """The text with a few of its characters changed, cut out, doubled or put elsewhere."""
    for _ in range(chance.randint(1, 4)):
        at, until = sorted(chance.randint(0, len(text)) for _ in range(2))
        match chance.randrange(5):
            case 0:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[min(until, at + 5) :]
            case 2:
                text = text[:until] + text[at:]
            case 3:
                text = text[:at] + chance.choice(string.printable) + text[at + 1 :]
            case _:
                text = text[:at]
        text = text[:2_000]
    return text


async def many(send: Callable[[random.Random], Awaitable[None]], count: int) -> None:
    """Send, several at a time. Each sender has junk of its own, so that the order does not matter."""

    async def one(number: int) -> None:
        chance = random.Random(SEED + number)
        for _ in range(count // AT_ONCE):
            await send(chance)

    await asyncio.gather(*(one(number) for number in range(AT_ONCE)))


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def documents(target: Target, count: int) -> Counter[int]:
    """Send documents over HTTP. Returns how often each status came; fails at the first that is a fault of ours."""
    headers = {"authorization": f"Bearer {target.token}", "content-type": "application/json"}
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=target.url, timeout=PATIENCE_S) as client:

        async def send(chance: random.Random) -> None:
            body = chance.choice(JUNK_BODIES) if chance.random() < 0.1 else _document(chance)
            response = await client.post("/graphql", content=body, headers=headers)
            statuses[response.status_code] += 1
            assert response.status_code in (200, 400), (response.status_code, body)
            for error in response.json().get("errors", ()):
                assert error["extensions"]["code"] != "INTERNAL", (error, body)

        await many(send, count)
    assert sum(statuses.values()) == count
    assert min(statuses[200], statuses[400]) > count // 20
    return statuses


def _document(chance: random.Random) -> bytes:
    given: dict[str, Any] = {"query": malformed(chance.choice(DOCUMENTS), chance)}
    if chance.random() < 0.5:
        given["variables"] = {"n": chance.choice([1, -1, 10**30, "1", None, [], {}, True, 1.5])}
    if chance.random() < 0.1:
        given["operationName"] = chance.choice(["", "x", "\x00", 1, None])
    return json.dumps(given).encode()


async def frames(target: Target, sockets: int) -> Counter[str]:
    """Open sockets, send documents over each, and then a frame that is none. Returns how they were answered."""
    init = json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {target.token}"}})
    closed: Counter[int | None] = Counter()
    answered: Counter[str] = Counter()
    subprotocols = [websockets.Subprotocol("graphql-transport-ws")]

    async def session(chance: random.Random) -> None:
        async with websockets.connect(target.url.replace("http", "ws", 1) + "/graphql", subprotocols=subprotocols) as socket:
            await socket.send(init)
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            for number in range(PER_SOCKET):
                text = malformed(chance.choice(DOCUMENTS), chance)
                payload = {"query": text, "variables": {"n": chance.choice([1, "x", None])}}
                await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))
                while (message := json.loads(await socket.recv()))["type"] == "next":
                    assert "INTERNAL" not in json.dumps(message["payload"].get("errors", []))
                assert "INTERNAL" not in json.dumps(message.get("payload", [])), payload
                answered[message["type"]] += 1
            # The first of the two may close it already.
            with suppress(websockets.ConnectionClosed):
                await socket.send(malformed('{"type": "subscribe", "id": "1", "payload": {"query": "{ a }"}', chance))
                await socket.send("{")
            await socket.wait_closed()
            closed[socket.close_code] += 1

    await many(session, sockets)
    assert sum(answered.values()) == sockets * PER_SOCKET
    assert sum(closed.values()) == sockets
    assert set(closed) <= {4400, 4401, 4409}
    assert answered["error"] > sockets * PER_SOCKET // 2
    return answered


async def webhooks(target: Target, count: int) -> Counter[int]:
    """Send webhooks. Returns how often each status came; fails at the first that is a fault of ours."""
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=target.url, timeout=PATIENCE_S) as client:

        async def send(chance: random.Random) -> None:
            statuses[await webhook(client, target, chance)] += 1

        await many(send, count)
    assert sum(statuses.values()) == count
    assert min(statuses[status] for status in (200, 400, 401, 404, 413)) > 0
    return statuses


async def webhook(client: httpx.AsyncClient, target: Target, chance: random.Random) -> int:
    """Send one webhook, nearly always spoilt. Returns the status, which is no fault of ours."""
    body, headers = _spoilt(target, chance)
    response = await client.post("/webhooks/shopify", content=body, headers=headers)
    assert response.status_code in (200, 400, 401, 404, 413), (response.status_code, headers, body[:200])
    return response.status_code


def _spoilt(target: Target, chance: random.Random) -> tuple[bytes, dict[str, bytes]]:
    if chance.random() < 0.01:
        # Nobody reads so much, so that it is not signed either.
        return HUGE, {"x-shopify-topic": b"orders/create"}
    spoilt = chance.random() < 0.8
    body = malformed(target.delivery, chance).encode("utf-8", "replace") if spoilt else chance.choice(JUNK_BODIES)
    headers = {name: value.encode() for name, value in target.signed(body).items()}
    if chance.random() < 0.5:
        name = chance.choice(sorted(headers))
        headers[name] = chance.choice([b"", b"x", b"\xe9", b"0" * 3_000, headers[name][:-1]])
    if chance.random() < 0.05:
        headers["content-encoding"] = b"gzip"
    return body, headers
