"""What an order costs a customer who has ordered often before: `python -m benches.history [--quick] [--json FILE]`.

benches/README.md says what is measured, and how.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from benches import report
from benches.shop import CUSTOMER_MARK, ORDER_MARK, open_shop, stored_payload
from benches.stand import cpu_seconds, stand
from domain import actions, db, inbox, orders, programs, scope
from domain.points.verify import Progress, verify
from domain.programs import Actions, Definition, Goal, Period, Unit
from domain.scope import Scope

BATCH = 500
APART = timedelta(minutes=1)
SMALL_CUSTOMERS = 10
"""Those of the smallest history take turns, so that it stays small while it is measured."""

EARNING = {"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 1}}]}
LASTING = Period(12, Unit.MONTHS)
GOALS = (
    Goal("far", points=100, spend="1000000000.00", currency="USD"),
    # Reached about every hundred orders.
    Goal("often", points=100, spend="5500.00", currency="USD", times=100),
    # Reached at once, and pending for longer than the bench runs.
    Goal("waiting", points=100, spend="50.00", currency="USD", hold_days=365),
)
PROGRAMS = {
    "without goals": Definition(earning=EARNING, points_expire_after=LASTING),
    "with three goals": Definition(earning=EARNING, points_expire_after=LASTING, actions=Actions(goals=GOALS)),
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much: orders before, rounds, and orders measured in each round of each variant."""

    histories: tuple[int, ...]
    rounds: int
    orders: int


WHOLE = Size((10, 1_000, 10_000), 9, 40)
QUICK = Size((3, 60), 1, 4)


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds for one delivery: on the clock, and of the processor for the worker and for its server process."""

    wall_ms: float
    worker_ms: float
    server_ms: float

    @property
    def processor_ms(self) -> float:
        """Both together."""
        return self.worker_ms + self.server_ms


class Customers:
    """Customers of one shop who have ordered equally often, and the deliveries that tell of their next orders."""

    def __init__(self, within: Scope, numbers: range, history: int, ids: Iterator[int]) -> None:
        self.within, self.numbers, self.history, self.ids = within, numbers, history, ids
        self.turns = itertools.cycle(numbers)
        self.at = within.at - APART * 20_000
        self.placed: list[dict[str, Any]] = []

    def next_order(self) -> dict[str, Any]:
        """The next customer's next order, as it is stored, paid at once."""
        self.at += APART
        at = self.at.isoformat()
        payload = json.loads(_TEMPLATE.replace(ORDER, str(next(self.ids))).replace(CUSTOMER, str(next(self.turns))))
        return payload | {"created_at": at, "updated_at": at}

    async def fill(self) -> None:
        """Book what they have ordered before."""
        left = self.history * len(self.numbers)
        while left:
            texts = [json.dumps(self.next_order()) for _ in range(min(BATCH, left))]
            async with db.transaction(self.within):
                await orders.converge(self.within, [(orders.parse(text), text) for text in texts])
            left -= len(texts)

    def deliveries(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """What is measured: new orders, and then of the same orders a refund of one dollar each."""
        placed = [self.next_order() for _ in range(number)]
        return {"placed and paid": placed, "refunded in part": [_refunded(one) for one in placed]}


def _refunded(placed: dict[str, Any]) -> dict[str, Any]:
    updated_at = (datetime.fromisoformat(placed["updated_at"]) + APART / 2).isoformat()
    paid_back = {"id": placed["id"], "kind": "refund", "status": "success", "amount": "1.00"}
    refund = {"id": placed["id"], "transactions": [paid_back]}
    return placed | {"financial_status": "partially_refunded", "refunds": [refund], "updated_at": updated_at}


ORDER, CUSTOMER = str(ORDER_MARK), str(CUSTOMER_MARK)
_TEMPLATE = stored_payload()
Costs = dict[tuple[str, int, str], list[Cost]]
"""By program, history, and what was delivered: one for each round."""


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.history", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every path once, figures without meaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of all rounds to FILE")
    given = parser.parse_args()
    size = QUICK if given.quick else WHOLE
    with stand() as here:
        facts = asyncio.run(report.facts(here.database_url))
        report.show_facts(facts)
        costs = asyncio.run(_run(here.database_url, size))
    _show(size, costs)
    plain = [
        {"program": program, "history": history, "delivery": what, "rounds": [asdict(one) for one in found]}
        for (program, history, what), found in costs.items()
    ]
    report.write(given.json, {"facts": facts, "costs": plain})


async def _run(database_url: str, size: Size) -> Costs:
    # One connection, so that it is known whose processor time is the server's.
    await db.open_database(database_url, 1)
    try:
        variants: dict[tuple[str, int], Customers] = {}
        for name, definition in PROGRAMS.items():
            began = time.perf_counter()
            variants |= {(name, one.history): one for one in await _open(definition, size)}
            report.say(f"{name}: the histories are booked in {time.perf_counter() - began:.0f} s")
        costs: Costs = defaultdict(list)
        # The first round only warms what is cached and planned.
        for turn in range(size.rounds + 1):
            for (name, history), people in variants.items():
                for what, payloads in people.deliveries(size.orders).items():
                    cost = await _measure(people.within, payloads)
                    if turn:
                        costs[name, history, what].append(cost)
        for within in {people.within.merchant_id: people.within for people in variants.values()}.values():
            fault = await verify(within, Progress())
            assert fault is None, fault
            assert await actions.wrong_totals(within) == []
    finally:
        await db.close_database()
    return costs


async def _open(definition: Definition, size: Size) -> list[Customers]:
    """A shop with customers of every history."""
    merchant = await open_shop(SMALL_CUSTOMERS + len(size.histories))
    within = scope.system(merchant.id)
    async with db.transaction(within):
        await programs.draft_update(within, definition)
        await programs.publish(within, effective_from=within.at - timedelta(days=3650))
    ids, first, found = itertools.count(10**12), 1, list[Customers]()
    for history in size.histories:
        many = SMALL_CUSTOMERS if history == size.histories[0] else 1
        found.append(Customers(within, range(first, first + many), history, ids))
        await found[-1].fill()
        first += many
    async with db.connection(within) as connection:
        await connection.execute("delete from outbox where merchant_id = $1", merchant.id)
    return found


async def _measure(within: Scope, payloads: list[dict[str, Any]]) -> Cost:
    """Deliver and work off one after the other, by the code of the worker: booked, marked as done, and rung for."""
    # Not at the top: the broker reads its settings when it is imported, and the stand makes them.
    work_off = importlib.import_module("workers.inbox").work_off
    server = await _server(within)
    wall = worker = served = 0.0
    for payload in payloads:
        delivery = inbox.delivery(f"bench-{UUID(int=next(_webhooks))}", "orders/updated", json.dumps(payload).encode(), None)
        await inbox.receive(within.present(), delivery)
        began = time.perf_counter(), time.process_time(), cpu_seconds(server)
        await work_off(within)
        ended = time.perf_counter(), time.process_time(), cpu_seconds(server)
        wall, worker, served = (
            total + after - before for total, after, before in zip((wall, worker, served), ended, began, strict=True)
        )
    await _check(within, payloads)
    return Cost(*(1_000 * total / len(payloads) for total in (wall, worker, served)))


_webhooks = itertools.count(1)


async def _server(within: Scope) -> int:
    async with db.connection(within) as connection:
        found: int = await connection.fetchval("select pg_backend_pid()")
    return found


async def _check(within: Scope, payloads: list[dict[str, Any]]) -> None:
    """Make sure that every delivery is booked, so that no figure stands for work that was not done."""
    async with db.connection(within) as connection:
        booked = await connection.fetchval(
            """
            select count(*) from orders o join unnest($2::bigint[], $3::timestamptz[]) as n (shopify_id, updated_at)
                on o.shopify_id = n.shopify_id and o.snapshot_updated_at = n.updated_at
            where o.merchant_id = $1 and o.posted_points > 0
            """,
            within.merchant_id,
            [payload["id"] for payload in payloads],
            [datetime.fromisoformat(payload["updated_at"]) for payload in payloads],
        )
    if booked != len(payloads):
        raise RuntimeError(f"{booked} of {len(payloads)} deliveries are booked")


def _show(size: Size, costs: Costs) -> None:
    for what in ("placed and paid", "refunded in part"):
        rows: list[list[str]] = []
        for name, history in itertools.product(PROGRAMS, size.histories):
            found = costs[name, history, what]
            processor = [one.processor_ms for one in found]
            least = median(one.processor_ms for one in costs[name, size.histories[0], what])
            rows.append(
                [
                    f"{name}, {history:,} before",
                    f"{median(one.worker_ms for one in found):.2f}",
                    f"{median(one.server_ms for one in found):.2f}",
                    f"{median(processor):.2f}",
                    report.spread(processor),
                    f"{median(processor) / least:.2f}",
                    f"{median(one.wall_ms for one in found):.2f}",
                ]
            )
        report.show(
            f"An order is {what}, by how many orders the customer had before",
            ["", "worker ms", "server ms", "processor ms", "spread", "× smallest", "wall ms"],
            rows,
        )
    report.say("One delivery at a time, with points that expire. Every one was booked, the ledger holds, and totals are sums.")


if __name__ == "__main__":
    main()
