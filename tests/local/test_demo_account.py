"""A subscription of the demo: what it hears, what it notices, and what it does when the connection breaks."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from local.demo.account import PROTOCOL, Account, follow, take
from local.errors import LocalError


def update(version: int, points: int, balance: int, pending: int = 0) -> dict[str, Any]:
    entry = {"source": "order", "sourceId": "1", "type": "EARN", "points": points, "pointsPending": 0}
    return {"version": version, "pointsBalance": balance, "pointsPending": pending, "pointsTransaction": entry}


def state(version: int, balance: int, pending: int = 0) -> dict[str, Any]:
    return update(version, 0, balance, pending) | {"pointsTransaction": None}


def known(*updates: dict[str, Any]) -> Account:
    account = Account(0, "gid", "Bob", "token")
    for one in updates:
        take(account, one, 0.0, lambda *_: None)
    return account


def test_what_follows_on_is_right() -> None:
    account = known(state(3, 70), update(4, 30, 100), update(5, -20, 80), state(5, 80))
    assert (account.version, account.balance, account.events, account.problems) == (5, 80, 2, [])


@pytest.mark.parametrize(
    ("updates", "problem"),
    [
        ([state(3, 70), update(5, 30, 100)], "Bob: version 5 came after 3"),
        ([state(3, 70), update(4, 30, 100), update(4, 0, 100)], "Bob: version 4 came after 4"),
        ([state(3, 70), update(4, 30, 99)], "Bob: version 4 shows (99, 0), not (100, 0)"),
        ([state(3, 70), update(4, 30, 100, 5)], "Bob: version 4 shows (100, 5), not (100, 0)"),
        ([state(3, 70), state(2, 50)], "Bob: after version 3 the state was version 2, 50 and 0 pending"),
        ([state(3, 70), state(3, 71)], "Bob: after version 3 the state was version 3, 71 and 0 pending"),
    ],
)
def test_what_is_missing_or_wrong_is_noticed(updates: list[dict[str, Any]], problem: str) -> None:
    assert known(*updates).problems == [problem]


class Api:
    """A websocket server that breaks off after each of its scripts, and keeps what it was asked."""

    def __init__(self, *scripts: list[dict[str, Any]]) -> None:
        self.scripts = list(scripts)
        self.asked: list[dict[str, Any]] = []
        self.done = asyncio.Event()

    async def answer(self, socket: ServerConnection) -> None:
        assert json.loads(await socket.recv()) == {
            "type": "connection_init",
            "payload": {"authorization": "Bearer token"},
        }
        await socket.send(json.dumps({"type": "connection_ack"}))
        self.asked.append(json.loads(await socket.recv())["payload"]["variables"])
        await socket.send(json.dumps({"type": "ping"}))
        assert json.loads(await socket.recv()) == {"type": "pong"}
        for one in self.scripts.pop(0):
            await socket.send(json.dumps({"type": "next", "id": "1", "payload": {"data": {"balanceUpdated": one}}}))
        if not self.scripts:
            self.done.set()
            await socket.wait_closed()
        # Without a closing handshake, as a killed process does it.
        socket.transport.abort()


async def test_after_a_break_it_says_what_it_has_seen_and_misses_nothing() -> None:
    api = Api([state(2, 10), update(3, 5, 15)], [update(4, 5, 20), update(5, 1, 21)], [state(5, 21)])
    account = Account(0, "gid", "Bob", "token")
    heard: list[int] = []
    async with serve(api.answer, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:  # pyright: ignore[reportArgumentType]
        port = next(iter(server.sockets)).getsockname()[1]
        following = asyncio.create_task(
            follow(account, f"ws://127.0.0.1:{port}/graphql", lambda _, entry, __: heard.append(entry["points"]))
        )
        async with asyncio.timeout(60):
            await api.done.wait()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert api.asked == [{"customer": "gid", "since": since} for since in (None, 3, 5)]
    assert heard == [5, 5, 1]
    assert (account.version, account.balance, account.connections, account.problems) == (5, 21, 3, [])


@pytest.mark.parametrize("code", [4401, 4403])
async def test_a_refused_credential_ends_it(code: int) -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.close(code, "no")

    async with serve(refuse, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:  # pyright: ignore[reportArgumentType]
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(LocalError, match=f"refused: {code} no"):
            async with asyncio.timeout(60):
                await follow(Account(0, "gid", "Bob", "token"), f"ws://127.0.0.1:{port}", lambda *_: None)
