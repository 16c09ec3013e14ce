"""Where an order's processor time goes: `python -m benches.orders --costs`. By statement on the server, by module in the worker.

One process works off stored deliveries as a worker does, and asks Linux before and after every statement how long the statement's
server process has run. Processor time, unlike the clock's, says nearly the same on a busy machine.
"""

import contextlib
import importlib
import inspect
import logging
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import structlog

from benches import backlog, report
from benches.backlog import tidy
from benches.shop import booked_sample, customer_numbers, entry_of, open_shop
from benches.stand import ROOT, Stand
from domain import db, points, scope

SAMPLE_S = 0.004
"""How often the worker's stack is looked at, in seconds of its processor time: as often as Linux can."""

SHOWN_US = 0.5
"""Microseconds an order below which a line is left out."""

Costs = dict[str, dict[str, float]]


class Meter:
    """Nanoseconds of the server's processes by statement, and samples of this process's stack by module."""

    def __init__(self) -> None:
        self.counting = False
        self.server_ns: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.here_s = 0.0

    def clear(self) -> None:
        """Begin anew."""
        self.server_ns.clear()
        self.calls.clear()
        self.samples.clear()
        self.here_s = 0.0

    @contextlib.contextmanager
    def running(self) -> Generator[None, None, None]:
        """Count what happens in the block."""
        self.counting = True
        began = time.process_time()
        try:
            yield
        finally:
            self.here_s += time.process_time() - began
            self.counting = False

    def sample(self, _signal: int, frame: FrameType | None) -> None:
        """Note whose code runs: the innermost of ours, or asyncpg's on its behalf."""
        if self.counting:
            self.samples[_whose(frame)] += 1

    def costs(self, orders: int) -> Costs:
        """Microseconds an order, the largest first."""
        server = {name: nanoseconds / orders / 1000 for name, nanoseconds in self.server_ns.most_common()}
        looked = max(1, self.samples.total())
        here = {name: self.here_s * 1e6 / orders * times / looked for name, times in self.samples.most_common()}
        return {"server": server, "here": here}


_meter = Meter()


class MeteredConnection(db.TenantConnection):
    """The application's connection, with the server's time of every statement."""

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._metered(query, super().fetch(query, *arguments, **options))

    async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._metered(query, super().fetchrow(query, *arguments, **options))

    async def fetchval(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._metered(query, super().fetchval(query, *arguments, **options))

    async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._metered(query, super().execute(query, *arguments, **options))

    async def _metered(self, query: str, asked: Any) -> Any:
        if not _meter.counting:
            return await asked
        name, before = _name(query), _server_ns(self)
        try:
            return await asked
        finally:
            _meter.server_ns[name] += _server_ns(self) - before
            _meter.calls[name] += 1


def _server_ns(connection: Any) -> int:
    return int(os.pread(_opened(connection.get_server_pid()), 64, 0).split()[0])


@cache
def _opened(pid: int) -> int:
    return os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)


def _name(query: str) -> str:
    """The function of ours that asks, and the statement's first words."""
    words = " ".join(query.split()[:3]).rstrip(";").lower()
    frame = inspect.currentframe()
    while frame is not None:
        module = _module(frame.f_code.co_filename)
        if module is not None and module not in ("domain.db", "benches.costs"):
            return f"{module.removeprefix('domain.')}.{frame.f_code.co_name}: {words}"
        frame = frame.f_back
    return words


def _whose(frame: FrameType | None) -> str:
    while frame is not None:
        module = _module(frame.f_code.co_filename)
        if module is not None and not module.startswith("benches."):
            return module
        if "asyncpg" in frame.f_code.co_filename:
            return "asyncpg, writing"
        frame = frame.f_back
    return "asyncpg, reading, and the loop"


@cache
def _module(file: str) -> str | None:
    """The module of ours that stands in a file, if it is one of ours."""
    path = Path(file)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts:
        return None
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


async def measure(here: Stand, customers: int, orders: int) -> dict[str, Costs]:
    """Measure and print, in microseconds of processor time: orders in batches, orders one by one, awards one by one."""
    db.TenantConnection = MeteredConnection
    # A line for each delivery would stand between the tables.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGPROF, _meter.sample)
    # It runs all the time: started anew for each award, it would never come to its end.
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    # Not at the top: the broker reads its settings when it is imported, and the stand makes them.
    work_off = importlib.import_module("workers.inbox").work_off
    found: dict[str, Costs] = {}
    await db.open_database(here.database_url, 2)
    try:
        merchant_id = (await open_shop(customers)).id
        first = 3 * 10**12
        for title, at_once, times in (("In batches", orders, 1), ("One by one", 1, orders // 20)):
            await backlog.store(merchant_id, "uniform", customers, first, 1000)
            await work_off(scope.system(merchant_id))
            first += 1000
            await tidy(here.database_url)
            for _ in range(times):
                await backlog.store(merchant_id, "uniform", customers, first, at_once)
                first += at_once
                with _meter.running():
                    await work_off(scope.system(merchant_id))
            found[title] = _show(title, at_once * times)
        sample = await booked_sample(merchant_id)
        for number, customer in zip(range(orders // 4), customer_numbers("uniform", customers, 1), strict=False):
            entry = entry_of(sample, customer, first + number)
            with _meter.running():
                await points.post(scope.system(merchant_id), [entry])
        found["Awards"] = _show("Awards, one by one", orders // 4)
        async with db.connection(scope.system(merchant_id)) as connection:
            found["Foreign keys"] = {"server": await _keys(connection, merchant_id)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        await db.close_database()
    return found


_ROWS = 500
_COPIES = {
    "orders": ("shopify_id", "shopify_id + 1000000000000000"),
    "points_transactions": ("position, external_id", "position + 1000000000, external_id || '-copy'"),
}
"""Tables with foreign keys that an order is written to, and how a copy of a row differs from it."""


async def _keys(connection: db.Connection, merchant_id: UUID) -> dict[str, float]:
    """Microseconds a row by foreign key, as PostgreSQL times them while copies of rows are written that are not kept."""
    found: dict[str, float] = {}
    for table, (changed, copies) in _COPIES.items():
        names = await connection.fetchval(
            """
            select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns
            where table_name = $1 and column_name <> all (string_to_array($2, ', '))
            """,
            table,
            changed,
        )
        copying = (
            f"explain (analyze) insert into {table} ({names}, {changed}) "
            f"select {names}, {copies} from {table} where merchant_id = '{merchant_id}' limit {_ROWS}"
        )
        transaction = connection.transaction()
        await transaction.start()
        lines = await connection.fetch(copying)
        await transaction.rollback()
        for line in lines:
            if told := re.match(r"Trigger for constraint (\w+).*: time=([\d.]+) calls=(\d+)", line[0]):
                found[f"{table}: {told[1]}"] = float(told[2]) * 1000 / int(told[3])
    report.show("Foreign keys", ["", "µs/row"], [[name, f"{cost:.1f}"] for name, cost in found.items()])
    return found


def _show(title: str, orders: int) -> Costs:
    costs = _meter.costs(orders)
    for side, named, counts in (("server", "The server", _meter.calls), ("here", "This process", _meter.samples)):
        lines = [[name, f"{cost:.1f}", f"{counts[name] / orders:.3f}"] for name, cost in costs[side].items() if cost >= SHOWN_US]
        rows = [["all", f"{sum(costs[side].values()):.1f}", f"{counts.total() / orders:.3f}"], *lines]
        report.show(f"{title}: {named.lower()}", ["", "µs/order", "calls" if side == "server" else "samples"], rows)
    _meter.clear()
    return costs
