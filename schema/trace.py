"""The explanation of an evaluation, as the core writes it (native/core/src/earning/trace.rs), in the API's own types."""

from functools import partial
from typing import Any

import msgspec
import strawberry

from domain import money
from schema.scalars import CurrencyCode, Money, Points


@strawberry.type(description="An amount of the order and what it did to the base.")
class TraceAmount:
    """An amount and its effect."""

    line_id: str | None = strawberry.field(description="The line it belongs to, `shipping` or `tip`; null for the order's own.")
    reason: str = strawberry.field(description="What it is, such as PRICE, DISCOUNT, TAX, SHIPPING, TIP or GIFT_CARD_LINE.")
    amount: Money = strawberry.field(description="The amount.")
    effect: Money = strawberry.field(description="What it added to the base: negative when it took, zero when it stayed out.")


@strawberry.type(description="A multiplier that was looked at.")
class TraceMultiplier:
    """A multiplier."""

    id: str = strawberry.field(description="The multiplier's id in the program.")
    source: str = strawberry.field(description="Where it comes from: tier, segment or campaign.")
    factor: str = strawberry.field(description="Its factor as an exact fraction, such as `3/2`.")
    applied: bool = strawberry.field(description="Whether it took part.")
    why_not: str | None = strawberry.field(description="Why it did not.")


@strawberry.type(description="A rule that was looked at, whether it fired or not.")
class TraceRule:
    """A rule."""

    id: str = strawberry.field(description="The rule's id in the program.")
    kind: str = strawberry.field(description="Its kind, such as per_currency_unit.")
    fired: bool = strawberry.field(description="Whether it gave points.")
    why_not: str | None = strawberry.field(description="Why it did not.")
    base: Money = strawberry.field(description="The amount it was applied to.")
    points: Points = strawberry.field(description="The points of its rate, or those it gives each time.")
    per: int | None = strawberry.field(description="Per how many whole units of currency, for a rate.")
    exact: str = strawberry.field(description="What it gave before rounding, as an exact fraction.")


@strawberry.type(description="What a line, the shipping or the tip earned.")
class TraceLine:
    """A line's share."""

    line_id: str = strawberry.field(description="The line's id, `shipping` or `tip`.")
    quantity: int = strawberry.field(description="How many pieces.")
    base: Money = strawberry.field(description="What of it counted.")
    factor: str = strawberry.field(description="The factor of its multipliers, as an exact fraction.")
    exact: str = strawberry.field(description="Its points before rounding, as an exact fraction.")
    points: Points = strawberry.field(description="Its points, allocated by largest remainder; all lines add up to the order's.")


@strawberry.type(description="Every number that led to the points. Evaluating it again gives the same points.")
class ExplainTrace:
    """An evaluation's explanation."""

    program_version: int = strawberry.field(description="The program version that decided; 0 for a draft.")
    currency: CurrencyCode = strawberry.field(description="The currency of all amounts here.")
    reason: str | None = strawberry.field(
        description="Why the whole order earns nothing, such as TEST_ORDER, NO_CUSTOMER, PROGRAM_OFF or NOTHING_ELIGIBLE."
    )
    base: Money = strawberry.field(description="The amount that earns.")
    amounts: list[TraceAmount] = strawberry.field(description="What entered and what left the base, and why.")
    rules: list[TraceRule] = strawberry.field(description="Every rule of the program.")
    multipliers: list[TraceMultiplier] = strawberry.field(description="Every multiplier of the program.")
    factor: str = strawberry.field(description="The factor of the order's multipliers, as an exact fraction.")
    exact: str = strawberry.field(description="The points before rounding, as an exact fraction.")
    rounding: str = strawberry.field(description="How they were rounded, once for the order.")
    remainder: str = strawberry.field(description="What rounding dropped (or, negative, added), as an exact fraction.")
    points: Points = strawberry.field(description="The points.")
    lines: list[TraceLine] = strawberry.field(description="How they fall on the lines.")
    json: str = strawberry.field(description="The trace whole, as the core wrote it and as the ledger's hash covers it.")


def explain(text: str) -> ExplainTrace:
    """The core's trace as the API shows it."""
    trace: dict[str, Any] = msgspec.json.decode(text)
    amount = partial(_money, trace["currency"])
    return ExplainTrace(
        program_version=trace["program_version"],
        currency=trace["currency"],
        reason=trace["reason"],
        base=amount(trace["base_minor"]),
        amounts=[
            TraceAmount(
                line_id=one["part"],
                reason=one["reason"],
                amount=amount(one["amount_minor"]),
                effect=amount(one["effect_minor"]),
            )
            for one in trace["amounts"]
        ],
        rules=[
            TraceRule(
                id=one["id"],
                kind=one["kind"],
                fired=one["fired"],
                why_not=one["why_not"],
                base=amount(one["base_minor"]),
                points=one["points"],
                per=one["per"],
                exact=one["exact"],
            )
            for one in trace["rules"]
        ],
        multipliers=[
            TraceMultiplier(
                id=one["id"],
                source=one["source"],
                factor=one["factor"],
                applied=one["applied"],
                why_not=one["why_not"],
            )
            for one in trace["multipliers"]
        ],
        factor=trace["factor"],
        exact=trace["exact"],
        rounding=trace["rounding"],
        remainder=trace["remainder"],
        points=trace["points"],
        lines=[
            TraceLine(
                line_id=one["id"],
                quantity=one["quantity"],
                base=amount(one["base_minor"]),
                factor=one["factor"],
                exact=one["exact"],
                points=one["points"],
            )
            for one in trace["parts"]
        ],
        json=text,
    )


def _money(currency: str, minor: int) -> Money:
    return Money(money.render(minor, currency))
