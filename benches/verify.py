"""How many rows of the ledger are proved: `python -m benches.verify [--quick] [--json FILE]`.

benches/README.md says what is measured, and how.
"""

import argparse
import asyncio
import random
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg

from benches import report
from benches.apart import apart, peak_mib
from benches.shop import customer_uuid, open_shop
from benches.stand import Stand, stand
from domain import db, points, scope
from domain.points import Entry, TransactionType
from domain.points.verify import ROWS_A_FETCH, STREAMS, Progress, verify
from domain.scope import Scope

BATCH = 500
GIVES_BACK = 10
"""Of how many that spend one is given back a point."""

READ_ONLY = "the same rows read, nothing computed"
PROVED = "read, hashed, folded and compared"


@dataclass(frozen=True, slots=True)
class Size:
    """How much. Of a hundred entries that are no expiry, `spending` spend."""

    rounds: int
    customers: int
    entries: int
    spending: int = 15


WHOLE = Size(3, 10_000, 200_000)
QUICK = Size(1, 200, 2_000)


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one variant: the rows of all four tables, how long, and the process's memory at its most, in MiB."""

    rows: int
    seconds: float
    peak_mib: float


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.verify", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every path once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    size = QUICK if given.quick else WHOLE
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        # The second ledger is a tenth of the first: memory that grows with a ledger would show between the two.
        whole, tenth = (asyncio.run(_fill(here, size, share)) for share in (1, 10))
        runs: dict[str, list[Run]] = defaultdict(list)
        for _ in range(size.rounds):
            for name, work, merchant_id in (
                (READ_ONLY, _read, whole[0]),
                (PROVED, _prove, whole[0]),
                (f"{PROVED}, a tenth of the ledger", _prove, tenth[0]),
            ):
                runs[name] += apart(work, [(here.database_url, merchant_id)])
    _show(whole[1], runs)
    plain = {name: [asdict(run) for run in turns] for name, turns in runs.items()}
    report.write(given.json, {"facts": facts, "rows": asdict(whole[1]), "rounds": plain})


async def _fill(here: Stand, size: Size, share: int) -> tuple[UUID, Progress]:
    """A shop whose ledger the application has written: points that expire, spending, points given back, and expiry."""
    customers, entries = size.customers // share, size.entries // share
    chosen = random.Random(1)
    await db.open_database(here.database_url, 1)
    try:
        within = scope.system((await open_shop(customers)).id)
        for first in range(0, entries, BATCH):
            made = [_entry(within, size, chosen, customers, number) for number in range(first, first + BATCH)]
            spending = [entry for entry in made if entry.points < 0]
            async with db.transaction(within):
                await points.post(within, [entry for entry in made if entry.points > 0])
                taken = await points.post(within, spending)
            for one in taken[::GIVES_BACK]:
                if one.balance >= 0:
                    await _give_back(within, spending[one.index], one.position)
        later = Scope(within.merchant_id, within.actor, within.at + timedelta(days=20), within.request_id)
        async with db.transaction(later):
            await points.expire(later, entries)
        progress = Progress()
        fault = await verify(later, progress)
        assert fault is None, fault
    finally:
        await db.close_database()
    await _settle(here.database_url)
    return within.merchant_id, progress


async def _give_back(within: Scope, spent: Entry, position: int) -> None:
    async with db.transaction(within):
        await points.restore(
            within,
            customer_id=spent.customer_id,
            position=position,
            points=1,
            source="bench",
            external_id=spent.external_id,
            purpose="restore",
        )


def _entry(within: Scope, size: Size, chosen: random.Random, customers: int, number: int) -> Entry:
    """An entry of a kind and size by chance: what spends may leave a debt, as a refund does."""
    customer_id = customer_uuid(chosen.randint(1, customers))
    if chosen.randint(1, 100) <= size.spending:
        return Entry(customer_id, TransactionType.REDEEM, -chosen.randint(1, 400), 0, "bench", str(number), "spend")
    expires_at = within.at + timedelta(days=chosen.randint(1, 365))
    trace = f'{{"points":{number},"rules":["{"x" * 800}"]}}'
    points_ = chosen.randint(1, 200)
    return Entry(
        customer_id, TransactionType.EARN, points_, 0, "bench", str(number), "earn", 1, trace=trace, expires_at=expires_at
    )


async def _settle(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("truncate outbox")
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def _prove(database_url: str, merchant_id: UUID) -> Run:
    return asyncio.run(_proved(database_url, merchant_id))


async def _proved(database_url: str, merchant_id: UUID) -> Run:
    progress = Progress()
    await db.open_database(database_url, 1)
    try:
        began = time.perf_counter()
        fault = await verify(scope.system(merchant_id), progress)
        seconds = time.perf_counter() - began
    finally:
        await db.close_database()
    if fault is not None:
        raise RuntimeError(str(fault))
    return Run(progress.rows, seconds, peak_mib())


def _read(database_url: str, merchant_id: UUID) -> Run:
    return asyncio.run(_only_read(database_url, merchant_id))


async def _only_read(database_url: str, merchant_id: UUID) -> Run:
    rows = 0
    await db.open_database(database_url, 1)
    try:
        began = time.perf_counter()
        async with db.connection(scope.system(merchant_id)) as connection, connection.transaction(readonly=True):
            for statement in STREAMS:
                cursor: Any = await connection.cursor(statement, merchant_id)
                while page := await cursor.fetch(ROWS_A_FETCH):
                    rows += len(page)
        seconds = time.perf_counter() - began
    finally:
        await db.close_database()
    return Run(rows, seconds, peak_mib())


def _show(seen: Progress, runs: dict[str, list[Run]]) -> None:
    rates = {name: [run.rows / run.seconds for run in turns] for name, turns in runs.items()}
    bound = median(rates[READ_ONLY])
    report.show(
        f"{seen.rows:,} rows of the ledger, 1 process",
        ["", "rows/s", "spread", "× reading", "peak MiB"],
        [
            [
                name,
                f"{(middle := median(rates[name])):,.0f}",
                report.spread(rates[name]),
                f"{middle / bound:.2f}",
                f"{max(run.peak_mib for run in turns):.0f}",
            ]
            for name, turns in runs.items()
        ],
        f"{seen.entries:,} entries of {seen.accounts:,} accounts, {seen.lots:,} lots and {seen.moves:,} moves between them.",
    )


if __name__ == "__main__":
    main()
