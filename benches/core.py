"""Orders per second through the math core, beside plain Python and polars: `python -m benches.core`.

A batch of 1,000 orders, read beforehand unless a row says otherwise, is evaluated again and again; the variants take turns
in every round, and the table shows the median of the rounds. What is timed is the processor time of the process, all of it
on one core and with the garbage collector off, so that neighbours on a busy machine count as little as they can. Before
anything is timed, all variants must give the same points.

Plain Python stands there twice: `benches.core_python` knows only what this program uses, in whole numbers, and is as fast as
its author could make it without becoming unreadable; `tests.native.reference` knows all that the core knows, in fractions.
"""

import argparse
import gc
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from loyalty_native import Order, Program
from rich.console import Console
from rich.table import Table

from benches import core_python as plain
from tests.native import reference

# Read when polars is loaded: a second thread would be a second core.
os.environ["POLARS_MAX_THREADS"] = "1"
import polars as pl

Json = dict[str, Any]
# Points of an order, and of its lines by their ids.
Earned = tuple[int, list[tuple[str, int]]]

BATCH = 1_000
PLAIN = "plain Python, whole numbers"
FRACTIONS = "plain Python, fractions, every feature"

# Ten points per dollar, more for one collection, a goal, three multipliers, two caps: an ordinary program.
PROGRAM: Json = {
    "currency": "USD",
    "rules": [
        {"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 1}},
        {"id": "tea", "kind": "per_currency_unit", "rate": {"points": 5, "per": 1}, "only": {"collections": ["tea"]}},
        {"id": "goal", "kind": "goal_spend", "goal": "100", "points": 200},
    ],
    "multipliers": {
        "stacking": "best_of",
        "cap": {"num": 3, "den": 1},
        "items": [
            {"id": "gold", "source": "tier", "tiers": ["gold"], "factor": {"num": 5, "den": 4}},
            {"id": "best", "source": "segment", "segments": ["champions"], "factor": {"num": 3, "den": 2}},
            {
                "id": "week",
                "source": "campaign",
                "starts_at": 1_700_000_000,
                "ends_at": 1_700_600_000,
                "factor": {"num": 2, "den": 1},
            },
        ],
    },
    "caps": {"per_order": 10_000, "per_day": 20_000},
    "exclusions": {"products": ["7"], "tags": ["outlet"]},
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=20, help="batches of 1,000 orders in each round")
    arguments = parser.parse_args()
    documents = [json.dumps(order) for order in make_orders(BATCH)]
    groups = {
        "points": points_variants(documents),
        "points and lines": line_variants(documents),
        "JSON to points": reading_variants(documents),
    }
    # What lives now lives to the end, and is not looked through again and again.
    gc.collect()
    gc.freeze()
    gc.disable()
    seconds = {name: take_turns(variants, arguments.rounds, arguments.batches) for name, variants in groups.items()}
    show(seconds, BATCH * arguments.batches, arguments.rounds)


def make_orders(count: int) -> list[Json]:
    """Orders of one to five lines, in US dollars; the same in every run."""
    source = random.Random(4)

    def line(number: int) -> Json:
        return {
            "id": str(number),
            "product_id": str(source.randrange(40)),
            "collections": source.sample(["tea", "cups", "pots"], source.randrange(3)),
            "tags": source.sample(["new", "outlet", "gift"], source.randrange(2)),
            "quantity": source.randint(1, 3),
            "unit_price": f"{source.randint(3, 80)}.{source.randrange(100):02}",
            "discount": f"{source.randrange(3)}.50",
            "tax": f"{source.randrange(6)}.00",
        }

    def order() -> Json:
        return {
            "currency": "USD",
            "at": 1_699_900_000 + source.randrange(1_000_000),
            "customer": {
                "tier": source.choice([None, "silver", "gold"]),
                "segments": source.sample(["champions", "loyal", "new", "at_risk"], source.randrange(3)),
                "points_today": source.randrange(500),
            },
            "lines": [line(number) for number in range(source.randint(1, 5))],
            "shipping": "4.90",
        }

    return [order() for _ in range(count)]


Variants = dict[str, Callable[[], object]]


def points_variants(documents: Sequence[str]) -> Variants:
    """The points of each order, and no more."""
    native, read = Program(json.dumps(PROGRAM), 1), [Order.from_json(document) for document in documents]
    python, known = plain.Program(PROGRAM), [plain.Order.read(json.loads(document)) for document in documents]
    orders, lines = polars_frames(known)
    variants: Variants = {
        PLAIN: lambda: [python.points(order) for order in known],
        "polars, this program written out": lambda: polars_points(orders, lines),
        "core, points_batch": lambda: native.points_batch(read),
    }
    assert_equal(variants)
    return variants


def line_variants(documents: Sequence[str]) -> Variants:
    """The points of each order and of its lines, except where a row says otherwise."""
    native, read = Program(json.dumps(PROGRAM), 1), [Order.from_json(document) for document in documents]
    python, known = plain.Program(PROGRAM), [plain.Order.read(json.loads(document)) for document in documents]
    as_json: list[Json] = [json.loads(document) for document in documents]

    def by_fractions() -> list[Earned]:
        evaluated = (reference.evaluate(PROGRAM, order) for order in as_json)
        return [(earned.points, earned.lines) for earned in evaluated]

    def one_by_one() -> list[Earned]:
        evaluations = map(native.evaluate, read)
        return [(evaluation.points, evaluation.lines) for evaluation in evaluations]

    def in_batch() -> list[Earned]:
        return [(evaluation.points, evaluation.lines) for evaluation in native.evaluate_batch(read)]

    variants: Variants = {
        PLAIN: lambda: [python.evaluate(order) for order in known],
        FRACTIONS: by_fractions,
        "core, evaluate one by one": one_by_one,
        "core, evaluate_batch": in_batch,
    }
    assert_equal(variants)
    variants["core, evaluate_batch, lines not fetched"] = lambda: native.evaluate_batch(read)
    variants["core, evaluate one by one, with its trace"] = lambda: [native.evaluate(order).trace() for order in read]
    return variants


def reading_variants(documents: Sequence[str]) -> Variants:
    """From the order's JSON to its points."""
    native, python = Program(json.dumps(PROGRAM), 1), plain.Program(PROGRAM)
    variants: Variants = {
        PLAIN: lambda: [python.points(plain.Order.read(json.loads(document))) for document in documents],
        "core, from_json and points_batch": lambda: native.points_batch([Order.from_json(each) for each in documents]),
    }
    assert_equal(variants)
    return variants


def assert_equal(variants: Variants) -> None:
    results = [run() for run in variants.values()]
    assert all(result == results[0] for result in results), "the variants disagree"


def polars_frames(orders: Sequence[plain.Order]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Orders and lines as columns, with each membership that the program asks for worked out beforehand."""
    per_order = pl.DataFrame(
        {
            "order": range(len(orders)),
            "at": [order.at for order in orders],
            "tier": [order.tier for order in orders],
            "champion": ["champions" in order.segments for order in orders],
            "points_today": [order.points_today for order in orders],
        }
    )
    pairs = [(number, line) for number, order in enumerate(orders) for line in order.lines]
    per_line = pl.DataFrame(
        {
            "order": [number for number, _ in pairs],
            "product_id": [line.product_id for _, line in pairs],
            "outlet": ["outlet" in line.tags for _, line in pairs],
            "tea": ["tea" in line.collections for _, line in pairs],
            "base": [line.base for _, line in pairs],
        },
        schema_overrides={"order": pl.Int64, "base": pl.Int64},
    )
    return per_order, per_line


def polars_points(orders: pl.DataFrame, lines: pl.DataFrame) -> list[int]:
    """The vectorisable part, written out for this one program: sums by order, one factor, one integer division."""
    base = pl.when((pl.col("product_id") == "7") | pl.col("outlet")).then(0).otherwise(pl.col("base"))
    sums = lines.group_by("order").agg(base.sum().alias("eligible"), base.filter(pl.col("tea")).sum().alias("eligible_tea"))
    in_week = pl.col("at").is_between(1_700_000_000, 1_700_600_000, closed="left")
    factor = (
        pl.when(in_week)
        .then(8)
        .when(pl.col("champion"))
        .then(6)
        .when(pl.col("tier").eq_missing(pl.lit("gold")))
        .then(5)
        .otherwise(4)
    )
    goal = pl.when(pl.col("eligible") >= 10_000).then(200).otherwise(0)
    exact = (pl.col("eligible") * 10 + pl.col("eligible_tea") * 5) * factor
    points = pl.min_horizontal(exact // 400 + goal, pl.lit(10_000), 20_000 - pl.col("points_today"))
    frame = orders.lazy().join(sums.lazy(), on="order", how="left", maintain_order="left").select(points.clip(0).alias("points"))
    return frame.collect()["points"].to_list()


def take_turns(variants: Variants, rounds: int, batches: int) -> dict[str, list[float]]:
    """Seconds of processor time that each variant takes for so many batches, in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            began = time.process_time()
            for _ in range(batches):
                run()
            seconds[name].append(time.process_time() - began)
    return seconds


def show(groups: dict[str, dict[str, list[float]]], orders: int, rounds: int) -> None:
    """One row for each variant."""
    title = f"{orders:,} orders of 1 to 5 lines a round, median of {rounds} rounds, Python {platform.python_version()}"
    table = Table(title=title)
    table.add_column("variant")
    for column in ("orders/s", "µs an order", "spread", "× plain", "× fractions"):
        table.add_column(column, justify="right")
    for group, seconds in groups.items():
        middle = {name: statistics.median(times) for name, times in seconds.items()}
        table.add_section()
        table.add_row(f"[bold]{group}")
        for name, times in seconds.items():
            fractions = f"{middle[FRACTIONS] / middle[name]:.1f}" if FRACTIONS in middle else ""
            table.add_row(
                name,
                f"{orders / middle[name]:,.0f}",
                f"{middle[name] / orders * 1e6:.3f}",
                f"{(max(times) - min(times)) / middle[name]:.0%}",
                f"{middle[PLAIN] / middle[name]:.1f}",
                fractions,
            )
    Console(width=118).print(table)


if __name__ == "__main__":
    main()
