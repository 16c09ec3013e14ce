"""Whether sockets that do not read slow those that do: `python -m benches.stalled [--quick]`. benches/README.md says how."""

import argparse
import asyncio
import contextlib
import json
import socket as sockets
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

import websockets

from api.auth import customer_token
from benches import report
from benches.shop import customer_uuid, open_shop
from benches.stand import free_port, program, stand, wait_until_open
from domain import db, points, programs
from domain.merchants import Merchant
from domain.points import Entry, TransactionType
from domain.programs import Definition
from domain.scope import Scope, now, system
from tests.e2e.malformed import resident_bytes

READING, STALLED, PEOPLE = 200, 50, 4
LARGE_ANSWERS = 2
"""How many large answers a stalled client has asked for: more than the kernel takes for it."""
BUFFER = 8 * 1024
PAUSE_S = 0.2
SETTLE_S = 1
PATIENCE_S = 60
P99_GOAL_MS = 100
MIB = 1024 * 1024
PROTOCOL = [websockets.Subprotocol("graphql-transport-ws")]
LIVE = "subscription { balanceUpdated { version } }"
LARGE = "query { program { definition { " + " ".join(f"a{number}: earning" for number in range(60)) + " } } }"
Client = websockets.ClientConnection
Relay = Callable[[Scope], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and how many events for each reader in a round."""

    rounds: int
    events: int


WHOLE, QUICK = Size(12, 2), Size(1, 2)
"""A round is over before a client that does not read is closed."""

TRIES = 5


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave: the delays of all events, and by what the server's memory grew in it."""

    delays_ms: list[float]
    grown_mib: float


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.stalled", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one round, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        port = free_port(8500)
        with program("api", port=port) as process:
            wait_until_open(port, process)
            rounds = asyncio.run(_measure(here.database_url, port, process.pid, QUICK if given.quick else WHOLE))
    _show(rounds)
    plain = {
        name: [{"delays_ms": one.delays_ms, "grown_mib": one.grown_mib} for one in several] for name, several in rounds.items()
    }
    report.write(given.json, {"facts": facts, "rounds": plain})


async def _measure(database_url: str, port: int, pid: int, size: Size) -> dict[str, list[Round]]:
    from workers.relay import relay  # noqa: PLC0415 -- it reads its settings, which `stand` makes

    await db.open_database(database_url, 2)
    rounds: dict[str, list[Round]] = defaultdict(list)
    try:
        merchant = await _shop()
        tokens = [customer_token(merchant, customer_uuid(1 + number), now(), timedelta(hours=1)) for number in range(PEOPLE)]
        readers = [await _admitted(port, tokens[number % PEOPLE]) for number in range(READING)]
        for reader in readers:
            await _ask(reader, "1", LIVE)
            await reader.recv()
        await _round(merchant, readers, pid, 2, relay)
        for turn in range(size.rounds):
            # Each comes first as often as the other.
            for count in (0, STALLED) if turn % 2 == 0 else (STALLED, 0):
                measured = await _tried(lambda: _round(merchant, readers, pid, size.events, relay), port, tokens, count)
                rounds[f"{READING} read, {count} do not"].append(measured)
        for reader in readers:
            reader.transport.abort()
    finally:
        await db.close_database()
    return rounds


async def _shop() -> Merchant:
    """A shop whose program is a few KiB long, so that its definition sixty times is a large answer."""
    merchant = await open_shop(PEOPLE)
    within = system(merchant.id)
    rules = [{"id": f"rule-{number}", "kind": "per_currency_unit", "rate": {"points": 1, "per": 1}} for number in range(40)]
    async with db.transaction(within):
        await programs.draft_update(within, Definition(earning={"rules": rules}))
        await programs.publish(within, effective_from=within.at)
    return merchant


async def _tried(measure: Callable[[], Awaitable[Round]], port: int, tokens: list[str], count: int) -> Round:
    """A round at whose end all the stalled clients are still there: on a slow machine some have been closed before."""
    for _ in range(TRIES):
        async with _stalled(port, tokens, count):
            waiting = _waiting(port)
            found = await measure()
            if waiting == _waiting(port) == count:
                return found
    raise RuntimeError(f"of {count} stalled clients {_waiting(port)} were left at the end of a round: the machine is too busy")


async def _round(merchant: Merchant, readers: list[Client], pid: int, events: int, relay: Relay) -> Round:
    """So many points for each of the people, one after the other; every reader waits for its own."""
    before, delays = resident_bytes(pid), list[float]()
    for number in range(events * PEOPLE):
        person = number % PEOPLE
        begun = time.perf_counter()
        await _earn(merchant, person, relay)
        async with asyncio.timeout(PATIENCE_S):
            delays += await asyncio.gather(*(_heard(reader, begun) for reader in readers[person::PEOPLE]))
        await asyncio.sleep(PAUSE_S)
    return Round(delays, (resident_bytes(pid) - before) / MIB)


async def _earn(merchant: Merchant, person: int, relay: Relay) -> None:
    within = system(merchant.id)
    customer = customer_uuid(1 + person)
    async with db.transaction(within):
        await points.post(
            within, [Entry(customer, TransactionType.EARN, 1, 0, source="test", external_id=str(uuid4()), purpose="earn")]
        )
    await relay(within)


async def _heard(reader: Client, begun: float) -> float:
    message = json.loads(await reader.recv())
    if message["type"] != "next" or "errors" in message["payload"]:
        raise RuntimeError(f"a reader was refused: {message}")
    return (time.perf_counter() - begun) * 1000


@asynccontextmanager
async def _stalled(port: int, tokens: list[str], count: int) -> AsyncGenerator[None, None]:
    """Clients that listen as well, ask for far more than the kernel takes for them, and read nothing."""
    clients: list[Client] = []
    try:
        for number in range(count):
            client = await _admitted(port, tokens[number % PEOPLE])
            clients.append(client)
            client.transport.pause_reading()
            await _ask(client, "live", LIVE)
            for answer in range(LARGE_ANSWERS):
                await _ask(client, str(answer), LARGE)
        # Until the answers have been made that they do not take, for otherwise those would be what is measured.
        await asyncio.sleep(SETTLE_S)
        yield
    finally:
        for client in clients:
            client.transport.abort()
        await _until_gone(port)


async def _admitted(port: int, token: str) -> Client:
    own = sockets.socket()
    own.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, BUFFER)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
    client = await websockets.connect(
        f"ws://127.0.0.1:{port}/graphql", sock=own, subprotocols=PROTOCOL, max_size=None, compression=None, ping_interval=None
    )
    await client.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
    if json.loads(await client.recv())["type"] != "connection_ack":
        raise RuntimeError("a customer's token was refused")
    return client


async def _ask(client: Client, identifier: str, query: str) -> None:
    await client.send(json.dumps({"type": "subscribe", "id": identifier, "payload": {"query": query}}))


async def _until_gone(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _waiting(port):
        if time.monotonic() > deadline:
            raise RuntimeError("the server holds on to clients that are gone")
        await asyncio.sleep(PAUSE_S)


def _waiting(port: int) -> int:
    """For how many clients the kernel holds what the server has sent and they have not read. Linux alone tells it."""
    waiting = 0
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, queues, *_ = line.split()
            is_ours = int(local.rpartition(":")[2], 16) == port and state == "01"
            waiting += is_ours and int(queues.partition(":")[0], 16) > 0
    return waiting


def _p99(one: Round) -> float:
    return quantiles(one.delays_ms, n=100)[98]


def _show(rounds: dict[str, list[Round]]) -> None:
    def told(several: list[Round]) -> list[str]:
        cuts = [quantiles(one.delays_ms, n=100) for one in several]
        return [
            f"{sum(len(one.delays_ms) for one in several):,}",
            f"{median(cut[49] for cut in cuts):.1f}",
            f"{median(cut[98] for cut in cuts):.1f}",
            report.spread([cut[98] for cut in cuts]),
            f"{max(max(one.delays_ms) for one in several):.0f}",
            f"{max(one.grown_mib for one in several):.1f}",
        ]

    without, beside = (rounds[f"{READING} read, {count} do not"] for count in (0, STALLED))
    ratio = median(_p99(one) / _p99(other) for one, other in zip(beside, without, strict=True))
    report.show(
        "From a point that is earned to the event of whoever listens",
        ["", "events", "p50 ms", "p99 ms", "spread", "slowest", "MiB"],
        [[name, *told(several)] for name, several in sorted(rounds.items(), reverse=True)],
        f"Medians of the rounds; {READING // PEOPLE} clients listen to each point. The goal for p99 is {P99_GOAL_MS} ms. "
        f"Pair by pair, p99 beside them is {ratio:.2f} of p99 without. MiB is the most by which the server grew in a round.",
    )


if __name__ == "__main__":
    main()
