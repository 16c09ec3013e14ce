"""How many reads: `python -m benches.read [--quick] [--json FILE]`. benches/README.md says what is measured, and how."""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from api.auth import customer_token
from benches import report
from benches.shop import customer_uuid, open_shop
from benches.stand import HOME, cpu_seconds, free_port, program, stand, wait_until_open
from domain import db
from domain.merchants import Merchant
from domain.scope import now

CONNECTIONS = 32
ASKING = 100
"""How many customers ask, each with a token of their own."""

QUERY = "{ customer { pointsBalance } }"
PEER_QUERY = "query ($id: ID!) { customer(id: $id) { pointsBalance } }"

APPLICATION = "LoyalNest: token, tenant, GraphQL"
BARE = "bare Litestar route, same SQL, msgspec"
DEFAULTS = "Strawberry on Litestar, defaults"


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how much; seconds of one round of one server."""

    rounds: int
    warm_up_seconds: float
    seconds: float
    customers: int


WHOLE = Size(3, 2, 6, 100_000)
QUICK = Size(1, 0.5, 1, 1_000)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the requests that it is asked."""

    process: "subprocess.Popen[bytes]"
    port: int
    requests: Path


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of one server gave."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.read", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every server once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    size = QUICK if given.quick else WHOLE
    rounds: dict[str, list[Round]] = defaultdict(list)
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        merchant = asyncio.run(_open_shop(here.database_url, size.customers))
        os.environ["BENCH_MERCHANT"] = str(merchant.id)
        with _servers(merchant) as servers:
            for server in servers.values():
                load(server, size.warm_up_seconds)
            for turn in range(size.rounds):
                # Every round begins with another server, so that none is always behind the same neighbour.
                names = list(servers)[turn % len(servers) :] + list(servers)[: turn % len(servers)]
                for name in names:
                    rounds[name].append(load(servers[name], size.seconds))
    _show(rounds, list(servers))
    report.write(given.json, {"facts": facts, "connections": CONNECTIONS, "rounds": _plain(rounds)})


async def _open_shop(database_url: str, customers: int) -> Merchant:
    await db.open_database(database_url, 1)
    try:
        merchant = await open_shop(customers)
        async with db.reference() as connection:
            await connection.execute("reset role")
            await connection.execute("vacuum analyze")
        return merchant
    finally:
        await db.close_database()


@contextlib.contextmanager
def _servers(merchant: Merchant) -> Generator[dict[str, Server], None, None]:
    """The three servers, one process each, all on uvicorn with uvloop and httptools."""
    with contextlib.ExitStack() as stack:
        port = free_port(8200)
        running = {APPLICATION: (stack.enter_context(program("api", port=port)), port, _application_requests(merchant))}
        for name, application, requests in (
            (BARE, "bare", [_get(f"/customers/{customer_uuid(number)}") for number in range(1, ASKING + 1)]),
            (DEFAULTS, "strawberry_defaults", [_peer_request(number) for number in range(1, ASKING + 1)]),
        ):
            port = free_port(port + 1)
            options = [
                "--port",
                str(port),
                "--loop",
                "uvloop",
                "--http",
                "httptools",
                "--log-level",
                "warning",
                "--no-access-log",
            ]
            process = stack.enter_context(program("uvicorn", f"benches.read_peers:{application}", *options))
            running[name] = (process, port, requests)
        servers: dict[str, Server] = {}
        for number, (name, (process, port, requests)) in enumerate(running.items()):
            wait_until_open(port, process)
            path = HOME / f"requests-{number}.json"
            path.write_text(json.dumps(requests))
            servers[name] = Server(process, port, path)
        yield servers


def _application_requests(merchant: Merchant) -> list[str]:
    lasts = timedelta(hours=1)
    tokens = [customer_token(merchant, customer_uuid(number), now(), lasts) for number in range(1, ASKING + 1)]
    return [post("/graphql", {"query": QUERY}, f"authorization: Bearer {token}\r\n") for token in tokens]


def _peer_request(number: int) -> str:
    return post("/graphql", {"query": PEER_QUERY, "variables": {"id": str(customer_uuid(number))}})


def post(path: str, content: dict[str, Any], headers: str = "") -> str:
    """A request as it goes over the wire."""
    body = json.dumps(content)
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n{body}"
    )


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n"


def load(server: Server, seconds: float) -> Round:
    """One round of one server."""
    before = cpu_seconds(server.process.pid)
    command = [sys.executable, "-m", "benches.load", str(server.port), str(server.requests)]
    done = subprocess.run(
        [*command, f"--connections={CONNECTIONS}", f"--seconds={seconds}"], check=True, stdout=subprocess.PIPE, text=True
    )
    told = json.loads(done.stdout)
    used = cpu_seconds(server.process.pid) - before
    return Round(told["answers"] / told["seconds"], told["p50_ms"], told["p99_ms"], used * 1e6 / told["answers"])


def _show(rounds: dict[str, list[Round]], names: list[str]) -> None:
    def middle(name: str, figure: str) -> float:
        return median(getattr(one, figure) for one in rounds[name])

    rows = [
        [
            name,
            f"{middle(name, 'requests_per_s'):,.0f}",
            report.spread([one.requests_per_s for one in rounds[name]]),
            *(
                f"{middle(APPLICATION, 'requests_per_s') / middle(peer, 'requests_per_s'):.2f}" if name == APPLICATION else ""
                for peer in (BARE, DEFAULTS)
            ),
            f"{middle(name, 'p50_ms'):.1f}",
            f"{middle(name, 'p99_ms'):.1f}",
            f"{middle(name, 'cpu_us'):.0f}",
        ]
        for name in names
    ]
    report.show(
        f"One customer's balance, {CONNECTIONS} connections",
        ["", "requests/s", "spread", "× bare", "× defaults", "p50 ms", "p99 ms", "CPU µs"],
        rows,
        "CPU is the server process's own time per request. The generator is benches/load.py, in a process of its own.",
    )


def _plain(rounds: dict[str, list[Round]]) -> dict[str, list[dict[str, float]]]:
    return {
        name: [{figure: getattr(one, figure) for figure in Round.__slots__} for one in given] for name, given in rounds.items()
    }


if __name__ == "__main__":
    main()
