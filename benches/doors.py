"""What the doors cost: `python -m benches.doors [--quick] [--json FILE]`. benches/README.md says what is measured, and how."""

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx
from graphql import GraphQLSchema

from api.auth import customer_token, staff_token
from benches import report
from benches.read import CONNECTIONS, QUERY, QUICK, WHOLE, Round, Server, Size, load, post
from benches.shop import customer_uuid, open_shop
from benches.stand import HOME, free_port, program, stand, wait_until_open
from domain import db
from domain.db import APPLICATION_ROLE
from domain.merchants import Merchant
from domain.scope import now
from domain.settings import settings
from schema.cost import COST_MAX
from schema.documents import Unreadable, prepare
from schema.root import schema
from tests.schema.bombs import BOMBS

SHOPS = 8
ASKING = 100
"""How many customers of each shop ask. Neighbouring requests are of different shops, so that connections change hands."""
VARIANTS = {
    "none": "",
    "authentication": "who",
    "cost guard": "cost",
    "row-level security": "rows",
    "all three": "who cost rows",
}
OPEN_ROLE = "loyalnest_bench_open"
GOAL = 0.8
BOMB_GOAL_MS = 20
STALL_GOAL_MS = 50
BOMB_TURNS = 5
TURN = b"@turn"
# What a real credential has, unlike in the other benchmarks: what the shared buckets cost is a part of the figure.
BUCKET = {"LOYALNEST_COST_BUCKET": "1000", "LOYALNEST_COST_RESTORE_PER_S": "100"}
UNBOUNDED = {"LOYALNEST_COST_BUCKET": "1000000000", "LOYALNEST_COST_RESTORE_PER_S": "1000000000"}


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.doors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every variant once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    # Short rounds and many: the doors cost less than one round differs from the next.
    size = QUICK if given.quick else replace(WHOLE, rounds=10, seconds=2)
    rounds: dict[str, list[Round]] = defaultdict(list)
    with stand() as here:
        os.environ.update(BUCKET)
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        merchants = asyncio.run(_open_shops(here.database_url))
        with _open_role(here.database_url), _servers(merchants) as servers:
            for server in servers.values():
                load(server, size.warm_up_seconds)
            for turn in range(size.rounds):
                _round(servers, turn, size, rounds)
        bombs = {name: _bomb_ms(document) for name, (document, _) in BOMBS.items()}
        os.environ.update(UNBOUNDED)
        settings.cache_clear()
        # The application logs every refusal to where the tables are printed.
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            stalls = asyncio.run(_stalls(merchants[0]))
    _show(rounds, bombs, stalls)
    plain = {name: [one.requests_per_s for one in several] for name, several in rounds.items()}
    cpu = {name: [one.cpu_us for one in several] for name, several in rounds.items()}
    told = {"facts": facts, "requests_per_s": plain, "cpu_us": cpu, "bombs_ms": bombs, "stalls_ms": stalls}
    report.write(given.json, told)


async def _open_shops(database_url: str) -> list[Merchant]:
    await db.open_database(database_url, 1)
    try:
        return [await open_shop(1_000) for _ in range(SHOPS)]
    finally:
        await db.close_database()


@contextlib.contextmanager
def _open_role(database_url: str) -> Generator[None, None, None]:
    """A role like the application's, but with policies that let everything pass, which the planner takes out of a query."""
    tables = "select tablename from pg_tables where schemaname = 'public' and rowsecurity"
    policies = f"do $$ declare one text; begin for one in {tables} loop execute format(%s, one); end loop; end $$"
    made = f"'create policy open on %I to {OPEN_ROLE} using (true) with check (true)'"
    gone = "'drop policy if exists open on %I'"
    remove = [policies % gone, f"drop role if exists {OPEN_ROLE}"]
    add = [f"create role {OPEN_ROLE}", f"grant {APPLICATION_ROLE} to {OPEN_ROLE}", f"grant {OPEN_ROLE} to current_user"]
    asyncio.run(_execute(database_url, [*remove, *add, policies % made]))
    try:
        yield
    finally:
        asyncio.run(_execute(database_url, remove))


async def _execute(database_url: str, statements: list[str]) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def _servers(merchants: list[Merchant]) -> Generator[dict[str, Server], None, None]:
    """A server for each variant, one process each, all on uvicorn with uvloop and httptools."""
    lasts = timedelta(hours=1)
    tokens = [customer_token(one, customer_uuid(number), now(), lasts) for number in range(1, ASKING + 1) for one in merchants]
    requests = HOME / "requests-doors.json"
    headers = [f"authorization: Bearer {token}\r\n" for token in tokens]
    requests.write_text(json.dumps([post("/graphql", {"query": QUERY}, one) for one in headers]))
    options = ["--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log"]
    servers: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:
        port = 8300
        for name, kept in VARIANTS.items():
            port = free_port(port + 1)
            os.environ["BENCH_DOORS"] = kept
            process = stack.enter_context(program("uvicorn", "benches.doors_variants:application", "--port", str(port), *options))
            wait_until_open(port, process)
            servers[name] = Server(process, port, requests)
        yield servers


def _round(servers: dict[str, Server], turn: int, size: Size, rounds: dict[str, list[Round]]) -> None:
    # Every round begins with another server, so that none is always behind the same neighbour.
    names = list(servers)[turn % len(servers) :] + list(servers)[: turn % len(servers)]
    for name in names:
        rounds[name].append(load(servers[name], size.seconds))


def _bomb_ms(document: str) -> float:
    """The processor time that a refusal takes, in milliseconds: the least of a few turns, as others use the machine too."""
    core: GraphQLSchema = schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- graphql-core's, which Strawberry wraps
    turns: list[float] = []
    for turn in range(BOMB_TURNS):
        # A text of its own each time: what was read once is remembered.
        text = f"#{turn}\n{document}"
        begun = time.process_time()
        try:
            refused = prepare(core, text).cost(None, {}) > COST_MAX
        except Unreadable:
            refused = True
        turns.append((time.process_time() - begun) * 1000)
        if not refused:
            raise RuntimeError("a bomb was let in")
    return min(turns)


async def _stalls(merchant: Merchant) -> dict[str, float]:
    """For how long at once all others wait while the whole application refuses a bomb, in milliseconds: the least of a few."""
    from api.app import create_app  # noqa: PLC0415 -- it reads its settings, which `stand` makes

    application: Any = create_app()
    token = staff_token(merchant.shop_domain, "1", now(), timedelta(hours=1))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    transport = httpx.ASGITransport(app=application)
    found: dict[str, float] = {}
    async with application.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        for name, body in _bodies().items():
            turns: list[float] = []
            for turn in range(BOMB_TURNS):
                asking = asyncio.create_task(client.post("/graphql", content=body.replace(TURN, b"%d" % turn), headers=headers))
                turns.append(await _longest_wait(asking))
                if "errors" not in (await asking).json():
                    raise RuntimeError(f"{name}: a bomb was let in")
            found[name] = min(turns)
    return found


def _bodies() -> dict[str, bytes]:
    """The bombs as they are sent, each with a place for the number of its turn: what was read once is remembered."""
    bodies = {name: json.dumps({"query": f"#{TURN.decode()}\n{document}"}).encode() for name, (document, _) in BOMBS.items()}
    small = json.dumps({"query": "{ __typename }"}).encode()
    return bodies | {
        "a batch of 100": b"[" + b",".join([small] * 100) + b"]",
        "1 MB": b'{"query": "{ __typename }", "x": "' + b"x" * 1_000_000 + b'"}',
        "JSON 100,000 deep": b"[" * 100_000,
    }


async def _longest_wait(asking: "asyncio.Task[httpx.Response]") -> float:
    """Turn the loop until the task is done. Returns the longest turn, in milliseconds."""
    longest, before = 0.0, time.perf_counter()
    while not asking.done():
        await asyncio.sleep(0)
        after = time.perf_counter()
        longest, before = max(longest, after - before), after
    return longest * 1000


def _show(rounds: dict[str, list[Round]], bombs: dict[str, float], stalls: dict[str, float]) -> None:
    def middle(name: str, figure: str) -> float:
        return median(getattr(one, figure) for one in rounds[name])

    rows = [
        [
            name,
            f"{middle(name, 'requests_per_s'):,.0f}",
            report.spread([one.requests_per_s for one in several]),
            report.ratio([one.requests_per_s for one in several], [one.requests_per_s for one in rounds["none"]]),
            f"{middle(name, 'cpu_us'):.0f}",
            report.ratio([one.cpu_us for one in rounds["none"]], [one.cpu_us for one in several]),
        ]
        for name, several in rounds.items()
    ]
    report.show(
        f"The same query behind different doors, {SHOPS} shops, {CONNECTIONS} connections",
        ["", "requests/s", "spread", "× none", "CPU µs", "by CPU"],
        rows,
        f"The goal for all three is {GOAL} of none. By CPU is the same ratio from the server process's own time per request.",
    )
    report.show(
        "Documents that are refused",
        ["", "CPU ms", "others wait ms"],
        [[name, f"{bombs[name]:.1f}" if name in bombs else "", f"{stall:.1f}"] for name, stall in stalls.items()],
        f"The goal is {BOMB_GOAL_MS} ms of CPU for reading and pricing each, and that nobody else of the process waits more than "
        f"{STALL_GOAL_MS} ms at once while the application refuses it.",
    )


if __name__ == "__main__":
    main()
