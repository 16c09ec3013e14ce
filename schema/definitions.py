"""What a program says, in the API: read whole, and edited field by field."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
import strawberry
from strawberry.scalars import JSON

from domain.programs import Clawback, Definition, InvalidProgram, Unit
from domain.programs import Period as PeriodValue
from domain.programs import PointsName as PointsNameValue
from schema.enums import describe
from schema.program_actions import ProgramActions, ProgramActionsInput, actions_of, actions_shown
from schema.scalars import Points

RATE_RULE = "purchase"
"""The id of the rule that `earningRate` stands for."""

describe(
    Unit,
    name="PeriodUnit",
    description="What a period is counted in.",
    values={
        Unit.DAYS: "Local days of the program's time zone.",
        Unit.MONTHS: "Calendar months; where a month is shorter, its last day.",
    },
)
describe(
    Clawback,
    name="ClawbackPolicy",
    description="How far a refund goes for points that have been spent already. What it does not take is forgiven.",
    values={
        Clawback.UNLIMITED: "All the way: the balance may fall below zero, and later points pay the debt first.",
        Clawback.WITHIN_BALANCE: "Down to a balance of zero.",
        Clawback.PENDING_FIRST: "Pending points of the customer's other orders first, then down to a balance of zero.",
        Clawback.FORGIVE: "Not at all: only points that the order itself gave and that are still there are taken.",
    },
)


@strawberry.enum(description="Whether an order earns on its goods before or after discounts.")
class DiscountBase(Enum):
    """Which price of the goods counts."""

    AFTER = strawberry.enum_value("after", description="What the customer pays for the goods.")
    BEFORE = strawberry.enum_value("before", description="The price before discounts.")


@strawberry.enum(description="How the order's points are rounded to a whole number, once.")
class Rounding(Enum):
    """The core's roundings."""

    FLOOR = strawberry.enum_value("floor", description="Down: 9.9 is 9.")
    CEIL = strawberry.enum_value("ceil", description="Up: 9.1 is 10.")
    HALF_UP = strawberry.enum_value("half_up", description="To the nearest, halves up: 9.5 is 10.")
    HALF_EVEN = strawberry.enum_value("half_even", description="To the nearest, halves to even: 8.5 is 8.")


@strawberry.type(description="How many points per how many whole units of the shop's currency.")
class EarningRate:
    """A rational rate."""

    points: Points = strawberry.field(description="The points.")
    per: int = strawberry.field(description="The whole units of currency that give them.")


@strawberry.type(description="What of an order earns points.")
class BasePolicy:
    """What counts."""

    discounts: DiscountBase = strawberry.field(description="Goods before or after discounts.")
    tax: bool = strawberry.field(description="Whether tax earns.")
    shipping: bool = strawberry.field(description="Whether shipping earns.")
    tips: bool = strawberry.field(description="Whether tips earn.")
    gift_cards: bool = strawberry.field(description="Whether buying a gift card earns.")


@strawberry.type(description="What the merchant calls points.")
class PointsName:
    """The name of one point and of many."""

    singular: str = strawberry.field(description="One: Star.")
    plural: str = strawberry.field(description="Many: Stars.")


@strawberry.type(description="A length of time in whole local days or calendar months.")
class Period:
    """A length of time."""

    count: int = strawberry.field(description="How many.")
    unit: Unit = strawberry.field(description="Of what.")


@strawberry.type(description="What a program says, be it published or a draft.")
class ProgramDefinition:
    """The content of a program."""

    enabled: bool = strawberry.field(description="Whether orders and signups earn at all.")
    earning_rate: EarningRate | None = strawberry.field(
        description="The rate of the rule `purchase`; null when the earning rules have no such rule."
    )
    base_policy: BasePolicy = strawberry.field(description="What of an order earns.")
    rounding: Rounding = strawberry.field(description="How points are rounded.")
    signup_points: Points = strawberry.field(description="Given once to every customer who joins.")
    hold_days: int = strawberry.field(description="Whole days from payment until points can be spent.")
    points_name: PointsName = strawberry.field(description="What the merchant calls points.")
    time_zone: str = strawberry.field(description='The IANA zone in which days and months are counted, such as "Europe/Berlin".')
    points_expire_after: Period | None = strawberry.field(
        description=(
            "How long points last from when they can be spent, to the end of the local day; null for ever. What is given "
            "keeps the expiry that it was given with."
        )
    )
    inactivity_expires_after: Period | None = strawberry.field(
        description=(
            "After how long without earning or spending a customer's whole balance expires; null for never. The time before "
            "this was switched on, or changed, does not count."
        )
    )
    expiry_warning_days: int = strawberry.field(
        description="How many days before points expire the customer is told; 0 for never."
    )
    restore_grace_days: int = strawberry.field(
        description="What spent points that come back get on top of the expiry they had, in days."
    )
    clawback: Clawback = strawberry.field(description="How far a refund goes for points that have been spent already.")
    b2b_orders: bool = strawberry.field(description="Whether orders of companies earn.")
    draft_orders: bool = strawberry.field(description="Whether orders that began as a draft of the staff earn.")
    staff_orders: bool = strawberry.field(
        description="Whether orders of the shop's own people earn: those that bear the tag `staff` or `employee`."
    )
    actions: ProgramActions = strawberry.field(description="What is given for other things than orders and joining.")
    earning: JSON = strawberry.field(description="The whole earning definition, as the core reads it.")


@strawberry.input(description="How many points per how many whole units of the shop's currency.")
class EarningRateInput:
    """A rate to set."""

    points: Points = strawberry.field(description="The points, zero or more.")
    per: int = strawberry.field(default=1, description="The whole units of currency, one or more.")


@strawberry.input(description="What of an order earns points; what is left out stays as it is.")
class BasePolicyInput:
    """What shall count."""

    discounts: DiscountBase | None = strawberry.field(default=None, description="Goods before or after discounts.")
    tax: bool | None = strawberry.field(default=None, description="Whether tax earns.")
    shipping: bool | None = strawberry.field(default=None, description="Whether shipping earns.")
    tips: bool | None = strawberry.field(default=None, description="Whether tips earn.")
    gift_cards: bool | None = strawberry.field(default=None, description="Whether buying a gift card earns.")


@strawberry.input(description="What to call points.")
class PointsNameInput:
    """A name to set."""

    singular: str = strawberry.field(description="One: Star.")
    plural: str = strawberry.field(description="Many: Stars.")


@strawberry.input(description="A length of time in whole local days or calendar months.")
class PeriodInput:
    """A length of time to set."""

    count: int = strawberry.field(description="How many: 1 to 36500 days, or 1 to 1200 months.")
    unit: Unit = strawberry.field(description="Of what.")


@strawberry.input(
    description="Changes to the draft. What is left out stays as the draft has it, or the live program when there is no draft."
)
class ProgramDraftInput:
    """An edit."""

    enabled: bool | None = strawberry.field(default=None, description="Whether orders and signups earn at all.")
    earning_rate: EarningRateInput | None = strawberry.field(default=None, description="The rate of the rule `purchase`.")
    base_policy: BasePolicyInput | None = strawberry.field(default=None, description="What of an order earns.")
    rounding: Rounding | None = strawberry.field(default=None, description="How points are rounded.")
    signup_points: Points | None = strawberry.field(default=None, description="Given once to every customer who joins.")
    hold_days: int | None = strawberry.field(default=None, description="Whole days from payment until points can be spent.")
    points_name: PointsNameInput | None = strawberry.field(default=None, description="What to call points.")
    time_zone: str | None = strawberry.field(
        default=None, description='The IANA zone in which days and months are counted, such as "Europe/Berlin".'
    )
    points_expire_after: PeriodInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "How long points last from when they can be spent, for points given from now on. Null: for ever. Left out: as it is."
        ),
    )
    inactivity_expires_after: PeriodInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "After how long without earning or spending the whole balance expires, counted from the publication at the "
            "earliest. Null: never. Left out: as it is."
        ),
    )
    expiry_warning_days: int | None = strawberry.field(
        default=None, description="How many days before points expire the customer is told, 0 to 365; 0 for never."
    )
    restore_grace_days: int | None = strawberry.field(
        default=None, description="What spent points that come back get on top of the expiry they had: 0 to 365 days."
    )
    clawback: Clawback | None = strawberry.field(
        default=None, description="How far a refund goes for points that have been spent already."
    )
    b2b_orders: bool | None = strawberry.field(default=None, description="Whether orders of companies earn.")
    draft_orders: bool | None = strawberry.field(
        default=None, description="Whether orders that began as a draft of the staff earn."
    )
    staff_orders: bool | None = strawberry.field(
        default=None, description="Whether orders that bear the tag `staff` or `employee` earn."
    )
    actions: ProgramActionsInput | None = strawberry.field(
        default=None, description="What to give for other things than orders and joining; it replaces all that the draft has."
    )
    earning: JSON | None = strawberry.field(
        default=None,
        description="The whole earning definition, as the core reads it; the fields above are applied on top of it.",
    )


def program_definition(definition: Definition) -> ProgramDefinition:
    """A definition as the API shows it."""
    base: dict[str, Any] = definition.earning.get("base", {})
    rate = next((rule["rate"] for rule in _rules(definition.earning) if rule.get("id") == RATE_RULE and "rate" in rule), None)
    return ProgramDefinition(
        enabled=definition.enabled,
        earning_rate=None if rate is None else EarningRate(points=rate["points"], per=rate["per"]),
        base_policy=BasePolicy(
            discounts=DiscountBase(base.get("discounts", "after")),
            tax=base.get("tax", False),
            shipping=base.get("shipping", False),
            tips=base.get("tips", False),
            gift_cards=base.get("gift_cards", False),
        ),
        rounding=Rounding(definition.earning.get("rounding", "floor")),
        signup_points=Points(definition.signup_points),
        hold_days=definition.hold_days,
        points_name=PointsName(singular=definition.points_name.singular, plural=definition.points_name.plural),
        time_zone=definition.time_zone,
        points_expire_after=_period(definition.points_expire_after),
        inactivity_expires_after=_period(definition.inactivity_expires_after),
        expiry_warning_days=definition.expiry_warning_days,
        restore_grace_days=definition.restore_grace_days,
        clawback=definition.clawback,
        b2b_orders=definition.b2b_orders,
        draft_orders=definition.draft_orders,
        staff_orders=definition.staff_orders,
        actions=actions_shown(definition.actions),
        earning=JSON(definition.earning),
    )


def _period(period: PeriodValue | None) -> Period | None:
    return None if period is None else Period(count=period.count, unit=period.unit)


def _rules(earning: dict[str, Any]) -> list[dict[str, Any]]:
    rules = earning.get("rules", [])
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []  # pyright: ignore[reportUnknownVariableType]


def edited(current: Definition, input: ProgramDraftInput) -> Definition:
    """A definition with the changes that an input names. Raises InvalidProgram when `earning` is no JSON object."""
    changes: dict[str, Any] = {
        "enabled": input.enabled,
        "signup_points": input.signup_points,
        "hold_days": input.hold_days,
        "points_name": input.points_name and PointsNameValue(input.points_name.singular, input.points_name.plural),
        "time_zone": input.time_zone,
        "expiry_warning_days": input.expiry_warning_days,
        "restore_grace_days": input.restore_grace_days,
        "clawback": input.clawback,
        "b2b_orders": input.b2b_orders,
        "draft_orders": input.draft_orders,
        "staff_orders": input.staff_orders,
        "actions": input.actions and actions_of(input.actions),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    # Here null says something: that there is no such period.
    periods = {"points_expire_after": input.points_expire_after, "inactivity_expires_after": input.inactivity_expires_after}
    for name, period in periods.items():
        if period is not strawberry.UNSET:
            given[name] = None if period is None else PeriodValue(period.count, period.unit)
    return msgspec.structs.replace(current, earning=_earning(current, input), **given)


def _earning(current: Definition, input: ProgramDraftInput) -> dict[str, Any]:
    given_earning: Any = input.earning
    if given_earning is not None and not isinstance(given_earning, dict):
        raise InvalidProgram("The earning definition is a JSON object.", field=("input", "earning"))
    earning: dict[str, Any] = {**current.earning} if given_earning is None else {**given_earning}
    if input.earning_rate is not None:
        rate = {"points": input.earning_rate.points, "per": input.earning_rate.per}
        rule = {"id": RATE_RULE, "kind": "per_currency_unit", "rate": rate}
        others = [one for one in _rules(earning) if one.get("id") != RATE_RULE]
        earning["rules"] = [rule, *others]
    if input.base_policy is not None:
        given = {
            "discounts": input.base_policy.discounts and input.base_policy.discounts.value,
            "tax": input.base_policy.tax,
            "shipping": input.base_policy.shipping,
            "tips": input.base_policy.tips,
            "gift_cards": input.base_policy.gift_cards,
        }
        base = earning.get("base", {})
        if isinstance(base, dict):
            earning["base"] = {**base, **{name: value for name, value in given.items() if value is not None}}
    if input.rounding is not None:
        earning["rounding"] = input.rounding.value
    return earning
