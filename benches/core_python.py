"""The rules of `benches.core` in plain Python: the program read once into slotted classes, whole numbers, sets for lookups.

It is written as one would write it for production without the core, and it knows only what that benchmark's program uses:
rates and goals with filters, multipliers by tier, segment and date with best-of stacking, caps and exclusions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import lcm
from typing import Any, Self

Json = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Line:
    id: str
    product_id: str
    collections: frozenset[str]
    tags: frozenset[str]
    base: int
    """Price less discount, in minor units."""


@dataclass(slots=True, frozen=True)
class Order:
    at: int
    tier: str | None
    segments: frozenset[str]
    points_today: int
    lines: tuple[Line, ...]

    @classmethod
    def read(cls, order: Json) -> Self:
        customer = order["customer"]
        lines = tuple(
            Line(
                line["id"],
                line["product_id"],
                frozenset(line["collections"]),
                frozenset(line["tags"]),
                max(0, minor(line["unit_price"]) * line["quantity"] - minor(line["discount"])),
            )
            for line in order["lines"]
        )
        return cls(order["at"], customer["tier"], frozenset(customer["segments"]), customer["points_today"], lines)


@dataclass(slots=True, frozen=True)
class Items:
    products: frozenset[str]
    collections: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def read(cls, items: Json) -> Self:
        return cls(*(frozenset(items.get(name, ())) for name in ("products", "collections", "tags")))

    def choose(self, line: Line) -> bool:
        return (
            line.product_id in self.products
            or not self.collections.isdisjoint(line.collections)
            or not self.tags.isdisjoint(line.tags)
        )


@dataclass(slots=True, frozen=True)
class Rule:
    points: int
    """Over the program's unit: points for one minor unit, or for the goal."""
    goal_minor: int | None
    only: Items | None


@dataclass(slots=True, frozen=True)
class Multiplier:
    factor: int
    """Over the program's factor unit."""
    tiers: frozenset[str] | None
    segments: frozenset[str] | None
    starts_at: int
    ends_at: float


class Program:
    """One version of a program, read once."""

    __slots__ = ("cap", "exclusions", "factor_one", "multipliers", "per_day", "per_order", "rules", "unit")

    def __init__(self, program: Json) -> None:
        rates = [rule["rate"] for rule in program["rules"] if "rate" in rule]
        per = lcm(*(rate["per"] for rate in rates))
        items = program["multipliers"]["items"]
        cap = program["multipliers"]["cap"]
        self.factor_one = lcm(cap["den"], *(item["factor"]["den"] for item in items))
        self.unit = 100 * per * self.factor_one
        self.rules = [
            Rule(rule["points"], minor(rule["goal"]), None)
            if rule["kind"] == "goal_spend"
            else Rule(
                rule["rate"]["points"] * per // rule["rate"]["per"],
                None,
                Items.read(rule["only"]) if "only" in rule else None,
            )
            for rule in program["rules"]
        ]
        self.cap = cap["num"] * self.factor_one // cap["den"]
        self.multipliers = [
            Multiplier(
                item["factor"]["num"] * self.factor_one // item["factor"]["den"],
                frozenset(item["tiers"]) if "tiers" in item else None,
                frozenset(item["segments"]) if "segments" in item else None,
                item.get("starts_at", 0),
                item.get("ends_at", float("inf")),
            )
            for item in items
        ]
        self.exclusions = Items.read(program["exclusions"])
        self.per_order, self.per_day = program["caps"]["per_order"], program["caps"]["per_day"]

    def points(self, order: Order) -> int:
        """The points of one order."""
        return self._evaluate(order, None)

    def evaluate(self, order: Order) -> tuple[int, list[tuple[str, int]]]:
        """The points of one order, and their split over its lines by the largest remainder."""
        exact = [0] * len(order.lines)
        points = self._evaluate(order, exact)
        return points, list(zip((line.id for line in order.lines), split(points, exact), strict=True))

    def _evaluate(self, order: Order, exact: list[int] | None) -> int:
        exclusions = self.exclusions
        bases = [0 if exclusions.choose(line) else line.base for line in order.lines]
        eligible = sum(bases)
        factor = self._factor(order)
        total = 0
        for rule in self.rules:
            if rule.goal_minor is not None:
                if eligible >= rule.goal_minor:
                    given = rule.points * self.unit
                    total += given
                    if exact is not None:
                        add(exact, split(given, bases))
                continue
            taken = bases
            if rule.only is not None:
                choose = rule.only.choose
                taken = [base if choose(line) else 0 for base, line in zip(bases, order.lines, strict=True)]
            weight = rule.points * factor
            total += sum(taken) * weight
            if exact is not None:
                add(exact, [base * weight for base in taken])
        return max(0, min(total // self.unit, self.per_order, self.per_day - order.points_today))

    def _factor(self, order: Order) -> int:
        factor = self.factor_one
        for item in self.multipliers:
            if (
                item.factor > factor
                and item.starts_at <= order.at < item.ends_at
                and (item.tiers is None or order.tier in item.tiers)
                and (item.segments is None or not item.segments.isdisjoint(order.segments))
            ):
                factor = item.factor
        return min(factor, self.cap)


def split(total: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights)
    if not total or not whole:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    left = total - sum(shares)
    if left:
        by_remainder = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
        for index in by_remainder[:left]:
            shares[index] += 1
    return shares


def add(sums: list[int], more: Iterable[int]) -> None:
    for index, number in enumerate(more):
        sums[index] += number


def minor(amount: str) -> int:
    """Cents of an amount in dollars, exactly."""
    return int(Decimal(amount) * 100)
