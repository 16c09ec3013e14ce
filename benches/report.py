"""Figures as people read them: tables, the machine's facts, and a JSON file for what comes after."""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from benches.stand import HOME

console = Console(highlight=False, width=118)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank). Needs one value or more."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def spread(values: Sequence[float]) -> str:
    """The distance of the lowest and the highest round from the median, such as −8 % +3 %."""
    middle = median(values)
    return f"−{(1 - min(values) / middle) * 100:.0f} % +{(max(values) / middle - 1) * 100:.0f} %"


def ratio(values: Sequence[float], peers: Sequence[float]) -> str:
    """How often a variant reached its peer: the median over the rounds, and the lowest and the highest, such as 0.66 (0.60–0.78).

    Each round is compared with itself, because a machine that others use is seldom as fast in the next one.
    """
    ratios = [value / peer for value, peer in zip(values, peers, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


async def facts(database_url: str) -> dict[str, str]:
    """What a figure depends on: the processor, the server's version and durability, and what one commit costs the disk."""
    connection = await asyncpg.connect(database_url)
    try:
        settings = {
            name: await connection.fetchval("select current_setting($1)", name)
            for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        }
    finally:
        await connection.close()
    durability = ", ".join(f"{name} {settings[name]}" for name in ("fsync", "synchronous_commit", "full_page_writes"))
    return {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "PostgreSQL": f"{settings['server_version']}, {durability}, shared_buffers {settings['shared_buffers']}",
        "disk": f"{_flush_us():.0f} µs for a flush of 8 KiB (fdatasync, median)",
        "Python": f"{platform.python_version()}; generator, database and servers share the cores",
    }


def _processor() -> str:
    """The maker and the family, without the model's number."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return " ".join(name.split()[:2])


def _flush_us(times: int = 200) -> float:
    """The median time in microseconds of a durable write beside the database's data."""
    path = HOME / "flush"
    flush = getattr(os, "fdatasync", os.fsync)
    taken: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(times):
            os.pwrite(descriptor, b"x" * 8192, 0)
            began = time.perf_counter()
            flush(descriptor)
            taken.append((time.perf_counter() - began) * 1e6)
    finally:
        os.close(descriptor)
        path.unlink()
    return median(taken)


def show_facts(given: Mapping[str, str]) -> None:
    """Print the machine's facts."""
    grid = Table.grid(padding=(0, 2))
    for name, value in given.items():
        grid.add_row(f"[dim]{name}[/]", value)
    console.print(grid)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print one table: the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2), header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
    if note:
        console.print(f"[dim]{note}[/]")


def say(text: str) -> None:
    """One dim line about what is going on."""
    console.print(f"[dim]{text}[/]")


def write(path: Path | None, results: Any) -> None:
    """Write the figures as JSON, when a file is given."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")
