"""What an order earns, written a second time for the tests: fractions instead of whole numbers over one
denominator, and none of the core's code. Where the two agree, neither is likely to be wrong.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

Json = dict[str, Any]

EXPONENTS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
BASE: Json = {"discounts": "after", "tax": False, "shipping": False, "tips": False, "gift_cards": False}
CUSTOMER: Json = {"tier": None, "segments": [], "orders_before": 0, "signed_up_at": None, "points_today": 0}


@dataclass
class Earned:
    points: int
    reason: str | None
    base_minor: int
    lines: list[tuple[str, int]]
    why_not: dict[str, str]
    """Rule id and reason, of the rules that did not fire."""


def evaluate(program: Json, order: Json) -> Earned:
    parts = _parts(program, order)
    eligible = sum(amount for _, amount, _ in parts)
    share = _counted_share(order, program.get("base", {}).get("tenders", {}))
    rules = program["rules"]
    nothing = Earned(0, _refusal(program, order, eligible, share), floor(eligible * share), [], {})
    nothing.lines = [(name, 0) for name, _, _ in parts]
    if nothing.reason:
        nothing.why_not = {rule["id"]: nothing.reason for rule in rules}
        return nothing

    case = Case(order, parts, share, _exchange(program, order))
    factors = _factors(program, case)
    fired = {rule["id"]: _fire(case, rule, factors) for rule in rules}
    nothing.why_not = {name: given for name, given in fired.items() if isinstance(given, str)}
    given = [points for points in fired.values() if not isinstance(points, str)]
    exact = [sum(points, Fraction(0)) for points in zip(*given, strict=True)]
    rounded = _rounded(sum(exact, Fraction(0)), program.get("rounding", "floor"))
    points = _capped(program.get("caps", {}), _customer(order)["points_today"], rounded)
    if points:
        lines = list(zip((name for name, _, _ in parts), split(points, exact), strict=True))
        return Earned(points, None, nothing.base_minor, lines, nothing.why_not)
    if rounded:
        nothing.reason = "CAPPED_TO_ZERO"
    elif any(exact):
        nothing.reason = "ROUNDED_TO_ZERO"
    else:
        no_rate = "CURRENCY_WITHOUT_RATE" in nothing.why_not.values() and not given
        nothing.reason = "CURRENCY_WITHOUT_RATE" if no_rate else "NO_RULE_FIRED"
    return nothing


def _capped(caps: Json, points_today: int, points: int) -> int:
    points = min(points, caps.get("per_order", points))
    return min(points, max(0, caps["per_day"] - points_today)) if "per_day" in caps else points


def split(points: int, exact: list[Fraction]) -> list[int]:
    """Largest remainder: quotas rounded down, what is left to the largest remainders, the earlier first."""
    total = sum(exact, Fraction(0))
    quotas = [points * part / total for part in exact]
    shares = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(exact)), key=lambda index: (shares[index] - quotas[index], index))
    for index in by_remainder[: points - sum(shares)]:
        shares[index] += 1
    return shares


def _minor(order: Json, owner: Json, field: str) -> int:
    minor = Decimal(owner.get(field, "0")).scaleb(EXPONENTS[order["currency"]])
    assert minor == int(minor)
    return int(minor)


def _price(order: Json, line: Json) -> int:
    return _minor(order, line, "unit_price") * line.get("quantity", 1)


def _parts(program: Json, order: Json) -> list[tuple[str, int, Json | None]]:
    """Name, base in minor units, and line (none for shipping and tip) of all that can earn."""
    base = BASE | program.get("base", {})

    def with_tax(amount: int, tax: int) -> int:
        if base["tax"] and not order.get("taxes_included"):
            return amount + tax
        if not base["tax"] and order.get("taxes_included"):
            return amount - tax
        return amount

    parts: list[tuple[str, int, Json | None]] = []
    for line in order["lines"]:
        amount = _price(order, line)
        if base["discounts"] == "after":
            amount -= _minor(order, line, "discount")
        amount = max(0, with_tax(amount, _minor(order, line, "tax")))
        gift_card = line.get("gift_card") and not base["gift_cards"]
        excluded = gift_card or _chosen(program.get("exclusions", {}), line)
        parts.append((line["id"], 0 if excluded else amount, line))
    if base["shipping"]:
        shipping = with_tax(_minor(order, order, "shipping"), _minor(order, order, "shipping_tax"))
        parts.append(("shipping", max(0, shipping), None))
    if base["tips"]:
        parts.append(("tip", _minor(order, order, "tip"), None))
    return parts


def _chosen(items: Json, line: Json) -> bool:
    return (
        line.get("product_id") in items.get("products", [])
        or bool(set(line.get("collections", [])) & set(items.get("collections", [])))
        or bool(set(line.get("tags", [])) & set(items.get("tags", [])))
    )


def _counted_share(order: Json, tenders: Json) -> Fraction:
    taxes = 0 if order.get("taxes_included") else 1
    payable = sum(
        max(0, _price(order, line) - _minor(order, line, "discount")) + taxes * _minor(order, line, "tax")
        for line in order["lines"]
    )
    payable += sum(_minor(order, order, field) for field in ("shipping", "tip", "duties"))
    payable += taxes * _minor(order, order, "shipping_tax")
    uncounted = _minor(order, order, "refunded") + sum(
        _minor(order, tender, "amount") for tender in order.get("tenders", []) if not tenders.get(tender["kind"], True)
    )
    if not uncounted:
        return Fraction(1)
    return Fraction(payable - uncounted, payable) if uncounted < payable else Fraction(0)


def _customer(order: Json) -> Json:
    return CUSTOMER | order["customer"]


def _refusal(program: Json, order: Json, eligible: int, share: Fraction) -> str | None:
    if not program.get("enabled", True):
        return "PROGRAM_OFF"
    if order.get("test"):
        return "TEST_ORDER"
    if order.get("customer") is None:
        return "NO_CUSTOMER"
    if not eligible:
        return "NOTHING_ELIGIBLE"
    return None if share else "NOTHING_COUNTED"


def _exchange(program: Json, order: Json) -> Fraction | None:
    wanted, given = program.get("currency"), order.get("exchange")
    if wanted in (None, order["currency"]):
        return Fraction(1)
    return Fraction(given["rate"]) if given and given["currency"] == wanted else None


def _takes(rule: Json, line: Json | None) -> bool:
    if line is None:
        return "only" not in rule
    return ("only" not in rule or _chosen(rule["only"], line)) and not _chosen(rule.get("except", {}), line)


@dataclass
class Case:
    """An order and what its rules and multipliers share."""

    order: Json
    parts: list[tuple[str, int, Json | None]]
    share: Fraction
    exchange: Fraction | None

    def taken(self, rule: Json) -> list[int]:
        return [amount if _takes(rule, line) else 0 for _, amount, line in self.parts]

    def spent(self, minor: int) -> Fraction:
        """Whole units of the program's currency, of which the exchange rate must be known."""
        assert self.exchange is not None
        return self.in_units(minor) * self.exchange

    def in_units(self, minor: int) -> Fraction:
        return Fraction(minor, 10 ** EXPONENTS[self.order["currency"]]) * self.share


def _unmet(case: Case, rule: Json) -> str | None:
    """The first condition that does not hold."""
    customer, at = _customer(case.order), case.order.get("at", 0)
    hours = rule.get("first_purchase_within_hours")
    signed_up_at = customer["signed_up_at"]
    taken = sum(case.taken(rule))
    failed = {
        "NOT_STARTED": at < rule.get("starts_at", at),
        "ENDED": at >= rule.get("ends_at", at + 1),
        "TIER_DIFFERS": "tiers" in rule and customer["tier"] not in rule["tiers"],
        "SEGMENT_DIFFERS": "segments" in rule and not set(rule["segments"]) & set(customer["segments"]),
        "COUNTRY_DIFFERS": "countries" in rule and case.order.get("country") not in rule["countries"],
        "NOT_FIRST_ORDER": bool(hours and customer["orders_before"]),
        "SIGNUP_UNKNOWN": bool(hours and signed_up_at is None),
        "TOO_LONG_AFTER_SIGNUP": bool(hours and not 0 <= at - (signed_up_at or 0) <= 3600 * hours),
        "NO_MATCHING_LINE": not taken,
        "CURRENCY_WITHOUT_RATE": "minimum" in rule and case.exchange is None,
        "BELOW_MINIMUM": bool("minimum" in rule and case.exchange and case.spent(taken) < Fraction(rule["minimum"])),
    }
    return next((reason for reason, is_so in failed.items() if is_so), None)


def _factors(program: Json, case: Case) -> list[Fraction]:
    """The factor of each part, and at the end that of the order itself."""
    multipliers = program.get("multipliers", {})
    active = [item for item in multipliers.get("items", []) if not _unmet(case, item)]

    def stacked(items: list[Json]) -> Fraction:
        factors = [Fraction(item["factor"]["num"], item["factor"]["den"]) for item in items]
        if multipliers.get("stacking", "best_of") == "best_of":
            factor = max(factors, default=Fraction(1))
        else:
            factor = 1 + sum((factor - 1 for factor in factors), Fraction(0))
        cap = multipliers.get("cap")
        return min(factor, Fraction(cap["num"], cap["den"])) if cap else factor

    of_parts = [stacked([item for item in active if _takes(item, line)]) for _, _, line in case.parts]
    return [*of_parts, stacked([item for item in active if "only" not in item and "except" not in item])]


def _fire(case: Case, rule: Json, factors: list[Fraction]) -> list[Fraction] | str:
    """Exact points of each part, or why there are none."""
    if unmet := _unmet(case, rule):
        return unmet
    kind = rule["kind"]
    if not rule.get("multiplied", kind in ("per_currency_unit", "per_item")):
        factors = [Fraction(1)] * len(factors)
    if kind == "per_currency_unit":
        return _in_proportion(case, rule, factors)
    if kind == "per_item":
        return _by_item(case, rule, factors)
    bases, times = case.taken(rule), 1
    if kind == "goal_spend":
        if case.exchange is None:
            return "CURRENCY_WITHOUT_RATE"
        reached = floor(case.spent(sum(bases)) / Fraction(rule["goal"]))
        if not reached:
            return "GOAL_NOT_REACHED"
        times = reached if rule.get("repeat") else 1
    return [rule["points"] * times * factors[-1] * Fraction(base, sum(bases)) for base in bases]


def _in_proportion(case: Case, rule: Json, factors: list[Fraction]) -> list[Fraction] | str:
    rate, into = rule.get("rates", {}).get(case.order["currency"]), Fraction(1)
    if rate is None:
        if case.exchange is None:
            return "CURRENCY_WITHOUT_RATE"
        rate, into = rule["rate"], case.exchange
    per_unit = Fraction(rate["points"], rate["per"]) * into
    return [case.in_units(base) * per_unit * factor for base, factor in zip(case.taken(rule), factors, strict=False)]


def _by_item(case: Case, rule: Json, factors: list[Fraction]) -> list[Fraction] | str:
    quantities = [line.get("quantity", 1) if line else 0 for _, _, line in case.parts]
    items = [quantity if base else 0 for quantity, base in zip(quantities, case.taken(rule), strict=True)]
    if not sum(items):
        return "NO_MATCHING_LINE"
    return [rule["points"] * count * factor for count, factor in zip(items, factors, strict=False)]


def _rounded(exact: Fraction, rounding: str) -> int:
    if rounding == "floor":
        return floor(exact)
    if rounding == "ceil":
        return ceil(exact)
    return floor(exact + Fraction(1, 2)) if rounding == "half_up" else round(exact)
