"""How many stored orders are evaluated again: `python -m benches.replay [--orders N] [--quick] [--json FILE]`.

benches/README.md says what is measured, and how.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg

from benches import report
from benches.apart import apart, peak_mib, resident_mib
from benches.shop import CUSTOMER_MARK, CUSTOMER_SQL, ORDER_MARK, open_shop, stored_payload
from benches.stand import ROOT, Stand, stand
from domain import db, orders, scope
from domain.orders import Order
from domain.orders.replay import PAGE

SAMPLES = ("order_usd_discount_tax_partial_refund", "order_cancelled", "order_eur_api_channel")
CUSTOMERS = 100_000
FIRST = 10**12
A_STATEMENT = 50_000
SAMPLED = 10
"""How often memory is looked at on the way."""

READ_ONLY = "the same pages read, nothing evaluated, 1 process"
PROCESSES = (1, 2)


@dataclass(frozen=True, slots=True)
class Part:
    """What one process did: orders, from when to when by `time.perf_counter`, and its memory on the way, in MiB."""

    orders: int
    began: float
    ended: float
    resident_mib: list[float]
    peak_mib: float


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.replay", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000, metavar="N", help="how many stored orders, a million by default")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often, three times by default")
    parser.add_argument("--quick", action="store_true", help="a smoke run: every path once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    number, rounds = (4_000, 1) if given.quick else (given.orders, given.rounds)
    if number < SAMPLED * 2 or rounds < 1:
        parser.error(f"at least {SAMPLED * 2} orders and one round")
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        merchant_id = asyncio.run(_open_shop(here))
        stored = asyncio.run(_store(here, merchant_id, number))
        measured: dict[str, list[list[Part]]] = defaultdict(list)
        variants = [(READ_ONLY, _read, 1), *((_named(processes), _evaluate, processes) for processes in PROCESSES)]
        for turn in range(rounds):
            for name, work, processes in variants:
                measured[name].append(_measure(work, here, merchant_id, number, processes))
                # A round takes minutes.
                report.say(f"round {turn + 1} of {rounds}: {name}: {_rate(measured[name][-1]):,.0f} orders/s")
    _show(number, stored, measured)
    plain = {name: [[asdict(part) for part in parts] for parts in turns] for name, turns in measured.items()}
    report.write(given.json, {"facts": facts, "orders": number, "stored": stored, "rounds": plain})


def _named(processes: int) -> str:
    return f"read, reduced, evaluated and compared, {processes} process{'es' if processes > 1 else ''}"


async def _open_shop(here: Stand) -> UUID:
    """A shop in which the application has booked one order of each kind: their rows are what is multiplied."""
    await db.open_database(here.database_url, 1)
    try:
        merchant = await open_shop(CUSTOMERS)
        within = scope.system(merchant.id)
        payloads = [stored_payload()]
        for name in SAMPLES:
            body = json.loads((ROOT / "tests" / "samples" / f"{name}.json").read_text())
            payloads.append(json.dumps(orders.keep(body | {"customer": {**(body["customer"] or {}), "id": CUSTOMER_MARK}})))
        async with db.transaction(within):
            for kind, payload in enumerate(payloads):
                number = json.loads(payload)["id"]
                marked = payload.replace(str(number), str(ORDER_MARK + kind))
                await orders.converge(within, [(orders.parse(marked), marked)])
        return merchant.id
    finally:
        await db.close_database()


_COLUMNS = list(Order.__struct_fields__)
_CUSTOMER = f"1 + n % {CUSTOMERS}"
_VARIED = {
    "shopify_id": "n",
    "customer_id": CUSTOMER_SQL.format(number=f"({_CUSTOMER})"),
    "snapshot": f"replace(replace(o.snapshot, o.shopify_id::text, n::text), '{CUSTOMER_MARK}', ({_CUSTOMER})::text)",
}
_MULTIPLY = f"""
    insert into orders (merchant_id, {", ".join(_COLUMNS)})
    select o.merchant_id, {", ".join(_VARIED.get(name, f"o.{name}") for name in _COLUMNS)}
    from generate_series($2::bigint, $3::bigint - 1) n join orders o
        on o.merchant_id = $1 and o.shopify_id = {ORDER_MARK} + n % {1 + len(SAMPLES)}
"""


async def _store(here: Stand, merchant_id: UUID, number: int) -> dict[str, float]:
    """Store `number` orders, each with numbers of its own. Returns what one takes, in bytes."""
    began = time.perf_counter()
    await db.open_database(here.database_url, 1)
    try:
        within = scope.system(merchant_id)
        for first in range(FIRST, FIRST + number, A_STATEMENT):
            async with db.transaction(within) as connection:
                await connection.execute(_MULTIPLY, merchant_id, first, min(first + A_STATEMENT, FIRST + number))
    finally:
        await db.close_database()
    connection = await asyncpg.connect(here.database_url)
    try:
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
        size = await connection.fetchval("select sum(pg_total_relation_size(relid)) from pg_partition_tree('orders')")
        await connection.execute("set role loyalnest_app")
        await connection.execute("select set_config('app.merchant', $1, false)", str(merchant_id))
        [means] = await connection.fetch(
            """
            select avg(octet_length(snapshot)) as snapshot, avg(octet_length(trace)) as trace from orders
            where merchant_id = $1 and shopify_id < $2
            """,
            merchant_id,
            FIRST + min(number, 1_000),
        )
    finally:
        await connection.close()
    report.say(f"{number:,} orders stored in {time.perf_counter() - began:.0f} s")
    return {"snapshot": float(means["snapshot"]), "explanation": float(means["trace"]), "on disk": float(size) / number}


def _measure(work: Any, here: Stand, merchant_id: UUID, number: int, processes: int) -> list[Part]:
    bounds = [FIRST - 1 + number * index // processes for index in range(processes + 1)]
    parts = apart(work, [(here.database_url, merchant_id, *bounds[index : index + 2]) for index in range(processes)])
    if sum(part.orders for part in parts) != number:
        raise RuntimeError(f"{sum(part.orders for part in parts)} of {number} orders were gone through")
    return parts


def _evaluate(database_url: str, merchant_id: UUID, after: int, until: int) -> Part:
    return asyncio.run(_evaluate_part(database_url, merchant_id, after, until))


async def _evaluate_part(database_url: str, merchant_id: UUID, after: int, until: int) -> Part:
    resident: list[float] = []
    seen, total = 0, until - after
    await db.open_database(database_url, 1)
    try:
        began = time.perf_counter()
        async for page in orders.replay(scope.system(merchant_id), after, until):
            if page.drifts:
                raise RuntimeError(f"an order comes to something else than is kept with it: {page.drifts[0]}")
            seen += page.orders
            if seen * SAMPLED // total > len(resident):
                resident.append(resident_mib())
        ended = time.perf_counter()
    finally:
        await db.close_database()
    return Part(seen, began, ended, resident, peak_mib())


def _read(database_url: str, merchant_id: UUID, after: int, until: int) -> Part:
    return asyncio.run(_read_part(database_url, merchant_id, after, until))


_PAGE = f"""
    select {", ".join(_COLUMNS)} from orders
    where merchant_id = $1 and shopify_id > $2 and shopify_id <= $3 order by shopify_id limit {PAGE}
"""


async def _read_part(database_url: str, merchant_id: UUID, after: int, until: int) -> Part:
    seen = 0
    await db.open_database(database_url, 1)
    try:
        began = time.perf_counter()
        while after < until:
            async with db.connection(scope.system(merchant_id)) as connection:
                rows: list[Any] = await connection.fetch(_PAGE, merchant_id, after, until)
            seen, after = seen + len(rows), rows[-1]["shopify_id"]
        ended = time.perf_counter()
    finally:
        await db.close_database()
    return Part(seen, began, ended, [], peak_mib())


def _show(number: int, stored: dict[str, float], measured: dict[str, list[list[Part]]]) -> None:
    rates = {name: [_rate(parts) for parts in turns] for name, turns in measured.items()}
    bound = median(rates[READ_ONLY])
    rows: list[list[str]] = []
    for name, turns in measured.items():
        middle = median(rates[name])
        parts = [part for turn in turns for part in turn]
        tenths = [part.resident_mib for part in parts if part.resident_mib]
        rows.append(
            [
                name,
                f"{middle:,.0f}",
                report.spread(rates[name]),
                f"{middle / bound:.2f}",
                f"{max(part.peak_mib for part in parts):.0f}",
                f"{max(one[0] for one in tenths):.0f} → {max(one[-1] for one in tenths):.0f}" if tenths else "",
            ]
        )
    report.show(
        f"{number:,} stored orders",
        ["", "orders/s", "spread", "× reading", "peak MiB", "MiB at 1/10 → 10/10"],
        rows,
        f"On average {stored['snapshot']:,.0f} bytes of snapshot, {stored['explanation']:,.0f} of explanation, "
        f"{stored['on disk']:,.0f} on disk with indexes. Memory is of one process, the largest of all rounds. "
        "Every order came to what is kept with it.",
    )


def _rate(parts: list[Part]) -> float:
    """Orders per second from the first process's beginning to the last one's end."""
    return sum(part.orders for part in parts) / (max(part.ended for part in parts) - min(part.began for part in parts))


if __name__ == "__main__":
    main()
