"""How many orders: `python -m benches.orders [--costs] [--quick] [--json FILE]`. benches/README.md says what is measured."""

import argparse
import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from benches import backlog, costs, deliveries, pgbench, report
from benches.award import Awarding
from benches.shop import Sample, booked_sample, open_shop
from benches.stand import Stand, free_port, program, stand, wait_until_open
from domain import db
from domain.merchants import Merchant

BATCH = 500
WORKERS = (1, 2)
SHOPS = (1, 2)


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how much. `seconds` is the length of one round of one variant."""

    rounds: int
    seconds: float
    customers: int
    kinds: tuple[str, ...]
    clients: tuple[int, ...]
    senders: tuple[int, ...]
    backlog: int


WHOLE = Size(3, 4, 100_000, ("uniform", "zipf"), (1, 8, 32), (1, 32), 20_000)
QUICK = Size(1, 1, 5_000, ("uniform",), (1, 8), (1, 8), 2_000)

Rates = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Shops:
    """Two shops with equal customers, and an order of the first as the application has booked it."""

    merchants: tuple[Merchant, Merchant]
    sample: Sample

    @property
    def ids(self) -> list[UUID]:
        """The shops' ids."""
        return [merchant.id for merchant in self.merchants]


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.orders", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every path once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    parser.add_argument("--costs", action="store_true", help="instead: where an order's processor time goes, in microseconds")
    given = parser.parse_args()
    size = QUICK if given.quick else WHOLE
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        if given.costs:
            found = uvloop.run(costs.measure(here, size.customers, size.backlog))
            report.write(given.json, {"facts": facts, "costs_us": found})
            return
        shops = asyncio.run(_open_shops(here, size))
        results = {
            "facts": facts,
            "size": {name: getattr(size, name) for name in Size.__slots__},
            "deliveries": measure_deliveries(here, size),
            "award": measure_award(here, shops, size),
            "backlog": measure_backlog(here, shops, size),
        }
    report.write(given.json, results)


async def _open_shops(here: Stand, size: Size) -> Shops:
    await db.open_database(here.database_url, 2)
    try:
        first, second = await open_shop(size.customers), await open_shop(size.customers)
        return Shops((first, second), await booked_sample(first.id))
    finally:
        await db.close_database()


def measure_deliveries(here: Stand, size: Size) -> dict[str, Any]:
    """Orders per second from the signed webhook to the ledger, and the delay until the subscriber's event."""
    merchant = asyncio.run(_small_shop(here))
    port = free_port(8100)
    base_url = f"http://127.0.0.1:{port}"
    rates: Rates = defaultdict(list)
    delays: Rates = defaultdict(list)
    first = 10**12
    with program("api", port=port) as api, backlog.workers(1):
        wait_until_open(port, api)
        uvloop.run(deliveries.send(base_url, merchant, first, 1, 1))
        for _ in range(size.rounds):
            for senders in size.senders:
                first += 10**9
                rate, milliseconds = uvloop.run(_deliver(here, base_url, merchant, first, senders, size.seconds))
                rates[str(senders)].append(rate)
                delays[str(senders)].extend(milliseconds)
    rows = [
        [
            f"{senders} sender{'' if senders == '1' else 's'}",
            _whole(median(rates[senders])),
            report.spread(rates[senders]),
            f"{report.percentile(delays[senders], 0.5):.1f}",
            f"{report.percentile(delays[senders], 0.99):.1f}",
            f"{max(delays[senders]):.1f}",
            str(len(delays[senders])),
        ]
        for senders in rates
    ]
    report.show(
        "Signed webhook → committed ledger, and answer → subscriber's event",
        ["", "orders/s", "spread", "p50 ms", "p99 ms", "worst ms", "events"],
        rows,
        "One API process, one worker process. Orders/s runs to the last commit; senders wait for each answer.",
    )
    return {
        senders: {
            "orders_per_s": rates[senders],
            "p50_ms": report.percentile(delays[senders], 0.5),
            "p99_ms": report.percentile(delays[senders], 0.99),
            "events": len(delays[senders]),
        }
        for senders in rates
    }


async def _small_shop(here: Stand) -> Merchant:
    await db.open_database(here.database_url, 2)
    try:
        return await open_shop(deliveries.CUSTOMERS)
    finally:
        await db.close_database()


async def _deliver(
    here: Stand, base_url: str, merchant: Merchant, first: int, senders: int, seconds: float
) -> tuple[float, list[float]]:
    """(orders per second up to the last commit, delays in milliseconds) of one round."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    sending = asyncio.create_task(deliveries.send(base_url, merchant, first, senders, seconds))
    await asyncio.sleep(seconds)
    ended = await backlog.until_empty(here.database_url)
    run = await sending
    # On a busy machine something may have come after the inbox was seen empty for a moment.
    await backlog.until_empty(here.database_url)
    await backlog.check(here.database_url, merchant.id, first, len(run.answered))
    # The last sender may have been answered after the inbox was seen empty for a moment.
    ended = max(ended, *run.answered.values(), *run.heard.values())
    return len(run.answered) / (ended - began), run.delays_ms()


def measure_award(here: Stand, shops: Shops, size: Size) -> dict[str, Any]:
    """The application's award function beside pgbench's one statement that writes the same rows."""
    awarding = Awarding()
    merchant_id = shops.ids[0]
    found: dict[str, Any] = {}
    for kind in size.kinds:
        rates: Rates = defaultdict(list)
        script = pgbench.award_script(shops.sample, size.customers, kind)
        asyncio.run(backlog.tidy(here.database_url))
        # Short rounds and twice as many: what else the machine does falls on a pair more evenly, and one bad round weighs less.
        for _ in range(2 * size.rounds):
            for clients in size.clients:
                rates[f"pgbench {clients}"].append(
                    pgbench.run(here.database_url, merchant_id, script, clients, seconds=size.seconds / 2)
                )
                for processes in _clients_processes(clients):
                    rate = _award(awarding, [merchant_id] * processes, size, kind, clients // processes, 1)
                    rates[f"award {clients}, processes {processes}"].append(rate)
            for processes in WORKERS:
                rates[f"batches {processes}"].append(_award(awarding, shops.ids[:processes], size, kind, 1, BATCH))
        _show_award(kind, size, rates)
        found[kind] = rates
    return found


def _clients_processes(clients: int) -> tuple[int, ...]:
    """Over how many processes the connections are spread: one, and as many as pgbench spreads them over threads."""
    return tuple(sorted({1, min(pgbench.THREADS, clients)}))


def _award(awarding: Awarding, merchant_ids: list[UUID], size: Size, kind: str, connections: int, batch: int) -> float:
    return awarding.run(
        merchant_ids, customers=size.customers, kind=kind, connections=connections, batch=batch, seconds=size.seconds / 2
    )


def _show_award(kind: str, size: Size, rates: Rates) -> None:
    rows = [
        [
            f"single, {_count(clients, 'connection')}, {_count(processes, 'process', 'es')}",
            _whole(median(rates[f"award {clients}, processes {processes}"])),
            report.spread(rates[f"award {clients}, processes {processes}"]),
            _whole(median(rates[f"pgbench {clients}"])),
            report.spread(rates[f"pgbench {clients}"]),
            report.ratio(rates[f"award {clients}, processes {processes}"], rates[f"pgbench {clients}"]),
        ]
        for clients in size.clients
        for processes in _clients_processes(clients)
    ]
    best = _best_single(size, rates)
    rows += [
        [
            f"batches of {BATCH}, {_count(processes, 'process', 'es')}",
            _whole(median(rates[f"batches {processes}"])),
            report.spread(rates[f"batches {processes}"]),
            _whole(median(best)),
            "best",
            report.ratio(rates[f"batches {processes}"], best),
        ]
        for processes in WORKERS
    ]
    report.show(
        f"Award: ledger, account, outbox; {kind}, {size.customers:,} customers",
        ["", "awards/s", "spread", "pgbench", "spread", "ratio"],
        rows,
        f"points.post on asyncpg, beside one prepared statement of pgbench on {pgbench.THREADS} threads. Processes of "
        "single awards share a shop; each process of batches has its own.",
    )


def _best_single(size: Size, rates: Rates) -> list[float]:
    """Of each round the best of pgbench, whatever the number of its clients."""
    return [max(rounds) for rounds in zip(*(rates[f"pgbench {clients}"] for clients in size.clients), strict=True)]


def measure_backlog(here: Stand, shops: Shops, size: Size) -> dict[str, Any]:
    """Stored deliveries worked off by worker processes, beside pgbench that books one delivery a statement."""
    found: dict[str, Any] = {}
    first = 2 * 10**12
    for kind in size.kinds:
        rates: Rates = defaultdict(list)
        asyncio.run(backlog.tidy(here.database_url))
        for _ in range(size.rounds):
            for clients in size.clients:
                first += 10**9
                rates[f"pgbench {clients}"].append(_peer_backlog(here, shops, size, kind, first, clients))
            for number, processes in itertools.product(SHOPS, WORKERS):
                first += 10**9
                rate = _work_off(here, shops.ids[:number], size, kind, first, processes)
                rates[f"shops {number}, workers {processes}"].append(rate)
        _show_backlog(kind, size, rates)
        found[kind] = rates
    return found


def _peer_backlog(here: Stand, shops: Shops, size: Size, kind: str, first: int, clients: int) -> float:
    turns = size.backlog // clients
    merchant_id = shops.ids[0]
    asyncio.run(_store(here, [merchant_id], kind, size.customers, first, turns * clients))
    script = pgbench.order_script(shops.sample, size.customers, kind, first, clients)
    rate = pgbench.run(here.database_url, merchant_id, script, clients, turns=turns)
    asyncio.run(backlog.check(here.database_url, merchant_id, first, turns * clients))
    asyncio.run(_empty_outbox(here.database_url))
    return rate


def _work_off(here: Stand, merchant_ids: list[UUID], size: Size, kind: str, first: int, processes: int) -> float:
    """Orders per second from the ring to the last commit, an equal part of the backlog in each shop."""
    part = size.backlog // len(merchant_ids)
    with backlog.workers(processes):
        # A few deliveries first: connections, caches and code are warm when the backlog comes.
        asyncio.run(_store(here, merchant_ids, kind, size.customers, first, 2 * BATCH))
        backlog.ring(merchant_ids, times=processes)
        asyncio.run(backlog.until_empty(here.database_url))
        asyncio.run(_store(here, merchant_ids, kind, size.customers, first + 10**6, part))
        began, ended = asyncio.run(_timed_work(here, merchant_ids))
    for merchant_id in merchant_ids:
        asyncio.run(backlog.check(here.database_url, merchant_id, first + 10**6, part))
    return len(merchant_ids) * part / (ended - began)


async def _timed_work(here: Stand, merchant_ids: list[UUID]) -> tuple[float, float]:
    began = asyncio.get_running_loop().time()
    backlog.ring(merchant_ids)
    return began, await backlog.until_empty(here.database_url)


async def _store(here: Stand, merchant_ids: list[UUID], kind: str, customers: int, first: int, number: int) -> None:
    await db.open_database(here.database_url, 1)
    try:
        for merchant_id in merchant_ids:
            await backlog.store(merchant_id, kind, customers, first, number)
    finally:
        await db.close_database()


async def _empty_outbox(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("truncate outbox")
    finally:
        await connection.close()


def _show_backlog(kind: str, size: Size, rates: Rates) -> None:
    best = _best_single(size, rates)
    names = {f"pgbench {clients}": f"pgbench, one delivery a statement, {clients} clients" for clients in size.clients} | {
        f"shops {number}, workers {processes}": f"{_count(number, 'shop')}, {_count(processes, 'worker')}"
        for number, processes in itertools.product(SHOPS, WORKERS)
    }
    rows = [
        [title, _whole(median(rates[name])), report.spread(rates[name]), report.ratio(rates[name], best)]
        for name, title in names.items()
    ]
    report.show(
        f"Backlog of {size.backlog:,} stored deliveries; {kind}, {size.customers:,} customers",
        ["", "orders/s", "spread", "× best single"],
        rows,
        f"Order, ledger, account, outbox and inbox. Workers take {BATCH} at a time, parse, evaluate and explain every order, and "
        "relay its event; pgbench writes constants.",
    )


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number} {what}{plural if number > 1 else ''}"


def _whole(rate: float) -> str:
    return f"{rate:,.0f}"


if __name__ == "__main__":
    main()
