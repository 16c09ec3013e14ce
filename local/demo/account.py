"""A customer's account as an open subscription shows it."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from local.errors import LocalError

PROTOCOL = "graphql-transport-ws"
AGAIN_SECONDS = 0.25
ALIVE_SECONDS = 5
"""How long an API may be silent to a ping before its connection is given up."""

REFUSED = (4400, 4401, 4403)
"""The codes with which the API closes a connection for good: junk, an expired credential, and none that it knows."""

QUERY = """
subscription ($customer: ID, $since: Points) {
  balanceUpdated(customerId: $customer, since: $since) {
    version pointsBalance pointsPending
    pointsTransaction { source sourceId type points pointsPending }
  }
}
"""

Entry = dict[str, Any]


@dataclass
class Account:
    """What is known of an account. `version` is None until the first message.

    shop: the index of the shop. id: the customer's global id. token: the customer's own, or one of staff.
    changed: when the figures moved last, in seconds of `time.monotonic`. opened: when the first message came, in seconds of
    `time.perf_counter`, None before. problems: what should not have happened, in sentences.
    """

    shop: int
    id: str
    name: str
    token: str
    version: int | None = None
    balance: int = 0
    pending: int = 0
    changed: float = 0.0
    connected: bool = False
    connections: int = 0
    events: int = 0
    problems: list[str] = field(default_factory=list)
    opened: float | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


async def follow(account: Account, url: str, hear: Callable[[Account, Entry, float], None]) -> None:
    """Keep the account up to date for ever, and call `hear` with each entry and the instant at which it came.

    After a break it connects again and says what it has seen, so that nothing is missed. Raises LocalError when the API
    refuses the credential.
    """
    while True:
        try:
            async with connect(
                url,
                subprotocols=[PROTOCOL],  # pyright: ignore[reportArgumentType] -- its NewType is not exported here
                proxy=None,
                open_timeout=ALIVE_SECONDS,
                close_timeout=0.1,
                ping_interval=ALIVE_SECONDS,
                ping_timeout=ALIVE_SECONDS,
            ) as socket:
                await _subscribe(account, socket)
                async for text in socket:
                    await _receive(account, socket, json.loads(text), time.perf_counter(), hear)
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in REFUSED:
                raise LocalError(f"The subscription was refused: {error.rcvd.code} {error.rcvd.reason}") from error
        except (InvalidHandshake, OSError, TimeoutError, EOFError):
            pass
        account.connected = False
        await asyncio.sleep(AGAIN_SECONDS)


async def _subscribe(account: Account, socket: ClientConnection) -> None:
    await _send(socket, type="connection_init", payload={"authorization": f"Bearer {account.token}"})
    variables = {"customer": account.id, "since": account.version}
    await _send(socket, type="subscribe", id="1", payload={"query": QUERY, "variables": variables})


async def _send(socket: ClientConnection, **message: object) -> None:
    await socket.send(json.dumps(message))


async def _receive(
    account: Account,
    socket: ClientConnection,
    message: dict[str, Any],
    received: float,
    hear: Callable[[Account, Entry, float], None],
) -> None:
    match message["type"]:
        case "connection_ack":
            account.connected = True
            account.connections += 1
        case "ping":
            await _send(socket, type="pong")
        case "next":
            payload = message["payload"]
            if payload.get("errors"):
                raise LocalError(f"The subscription failed: {json.dumps(payload['errors'])[:500]}")
            take(account, payload["data"]["balanceUpdated"], received, hear)
        case "error":
            raise LocalError(f"The subscription was refused: {json.dumps(message['payload'])[:500]}")
        case "complete":
            await socket.close()
        case _:
            # Nothing else concerns a client that only listens.
            pass


def take(account: Account, update: dict[str, Any], received: float, hear: Callable[[Account, Entry, float], None]) -> None:
    """Take over one update, and note whatever is missing, repeated or does not add up."""
    entry: Entry | None = update["pointsTransaction"]
    version, balance, pending = update["version"], update["pointsBalance"], update["pointsPending"]
    before = account.version
    if entry is None:
        if before is not None and (version, balance, pending) != (before, account.balance, account.pending):
            account.problems.append(
                f"{account.name}: after version {before} the state was version {version}, {balance} and {pending} pending"
            )
    else:
        account.events += 1
        account.changed = time.monotonic()
        # An account that is followed from its beginning starts with entry 1.
        if version != (before or 0) + 1:
            account.problems.append(f"{account.name}: version {version} came after {before or 0}")
        expected = account.balance + entry["points"], account.pending + entry["pointsPending"]
        if (balance, pending) != expected:
            account.problems.append(f"{account.name}: version {version} shows {(balance, pending)}, not {expected}")
    account.version, account.balance, account.pending = version, balance, pending
    if account.opened is None:
        account.opened = received
        account.ready.set()
    if entry is not None:
        hear(account, entry, received)


async def ready(account: Account, seconds: float) -> None:
    """Wait for the first message. Raises LocalError when it does not come."""
    with suppress(TimeoutError):
        await asyncio.wait_for(account.ready.wait(), seconds)
        return
    raise LocalError(f"The subscription of {account.name} did not open within {seconds:.0f} s.")
