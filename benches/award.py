"""A process that awards points through the application's own function: `python -m benches.award MERCHANT …`.

It says when it is ready, begins when it reads a line, and tells how many entries it posted in how many seconds.
"""

import argparse
import asyncio
import gc
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from uuid import UUID

import uvloop

from benches.shop import Sample, booked_sample, customer_numbers, entry_of
from domain import db, points, scope
from domain.points import Entry
from domain.settings import settings

PREPARED_A_SECOND = 20_000


def main() -> None:
    """Run as a child of the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("merchant", type=UUID)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--kind", choices=("uniform", "zipf"), required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first order; every process has its own range")
    # The API's processes run on uvloop as well.
    uvloop.run(_award(parser.parse_args()))


async def _award(given: argparse.Namespace) -> None:
    await db.open_database(settings().database_url, given.connections)
    try:
        made = _entries(given, await booked_sample(given.merchant))
        for _ in range(given.connections):
            await points.post(scope.system(given.merchant), [next(made)])
        # What there is to award is known before the clock runs; should it not last, the rest is made on the way.
        entries = itertools.chain(list(itertools.islice(made, round(given.seconds * PREPARED_A_SECOND))), made)
        gc.freeze()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        began = time.perf_counter()
        ends = began + given.seconds
        posted = await asyncio.gather(*(_repeat(given.merchant, entries, given.batch, ends) for _ in range(given.connections)))
        sys.stdout.write(json.dumps({"posted": sum(posted), "seconds": time.perf_counter() - began}) + "\n")
    finally:
        await db.close_database()


async def _repeat(merchant_id: UUID, entries: Iterator[Entry], batch: int, ends: float) -> int:
    posted = 0
    while time.perf_counter() < ends:
        chosen = [next(entries) for _ in range(batch)]
        posted += len(await points.post(scope.system(merchant_id), chosen))
    return posted


def _entries(given: argparse.Namespace, sample: Sample) -> Iterator[Entry]:
    """Entries as an order's first booking makes them."""
    number = given.first
    for customer in customer_numbers(given.kind, given.customers, given.first):
        number += 1
        yield entry_of(sample, customer, number)


class Awarding:
    """Runs such processes, and hands out ranges of numbers so that no order is awarded twice."""

    RANGE = 10**12

    def __init__(self) -> None:
        self._next = 4 * 10**18

    def run(self, merchants: Sequence[UUID], *, customers: int, kind: str, connections: int, batch: int, seconds: float) -> float:
        """Entries per second of one process for each merchant given, all at once; one that is given twice has two."""
        processes = [
            self._start(merchant, customers=customers, kind=kind, connections=connections, batch=batch, seconds=seconds)
            for merchant in merchants
        ]
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the awarding process did not get ready; what it said is above")
        for process in processes:
            assert process.stdin is not None, "opened as a pipe"
            process.stdin.write("go\n")
            process.stdin.flush()
        return sum(_rate(process) for process in processes)

    def _start(self, merchant_id: UUID, **options: object) -> "subprocess.Popen[str]":
        self._next += self.RANGE
        given = [f"--{name}={value}" for name, value in options.items()]
        return subprocess.Popen(
            [sys.executable, "-m", "benches.award", str(merchant_id), f"--first={self._next}", *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def _rate(process: "subprocess.Popen[str]") -> float:
    output, _ = process.communicate()
    told = json.loads(output)
    return told["posted"] / told["seconds"]


if __name__ == "__main__":
    main()
