"""What a program is, and when it is one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from loyalty_native import LoyaltyError, Program

from domain import calendar
from domain.errors import Code, DomainError
from domain.programs.actions import Actions, validate_actions

SIGNUP_POINTS_MAX = 1_000_000_000
HOLD_DAYS_MAX = 365
NAME_LENGTH_MAX = 40
PERIOD_COUNT_MAX = {"days": 36_500, "months": 1_200}
GRACE_DAYS_MAX = 365
WARNING_DAYS_MAX = 365


class InvalidProgram(DomainError):
    """The definition breaks a rule of programs; `field` says where."""

    code = Code.PROGRAM_INVALID


class PointsName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the merchant calls one point, and many."""

    singular: str
    plural: str


class Unit(StrEnum):
    """What a period is counted in."""

    DAYS = "days"
    MONTHS = "months"


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A length of time in whole local days or calendar months."""

    count: int
    unit: Unit


class Clawback(StrEnum):
    """How far a refund goes for points that have been spent already. What it does not take is forgiven."""

    UNLIMITED = "unlimited"
    WITHIN_BALANCE = "within_balance"
    PENDING_FIRST = "pending_first"
    FORGIVE = "forgive"


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program as it is stored: immutable once published.

    earning: the core's program JSON (native/program.schema.json) without `enabled`, which stands here.
    signup_points: given once to each customer who joins. hold_days: whole days from payment until points are spendable.
    time_zone: the IANA zone in which days and months are counted. points_expire_after: how long a lot lasts, to the end of the
    local day, from when it became spendable. inactivity_expires_after: when everything expires that is spendable, counted from
    the last time the customer earned or spent. expiry_warning_days: how long before either the customer is told; 0 for never.
    restore_grace_days: what points that a refund gives back get on top of their expiry. b2b_orders, draft_orders,
    staff_orders: whether orders of companies, orders that began as a draft of the staff, and orders tagged "staff" or "employee"
    earn. actions: what else than orders and joining earns.
    """

    earning: dict[str, Any]
    enabled: bool = True
    signup_points: int = 0
    hold_days: int = 0
    points_name: PointsName = PointsName("point", "points")
    time_zone: str = "UTC"
    points_expire_after: Period | None = None
    inactivity_expires_after: Period | None = None
    expiry_warning_days: int = 0
    restore_grace_days: int = 0
    clawback: Clawback = Clawback.UNLIMITED
    b2b_orders: bool = False
    draft_orders: bool = False
    staff_orders: bool = False
    actions: Actions = Actions()

    def expires_at(self, since: datetime) -> datetime | None:
        """When a lot expires that became spendable at `since`: the end of the last local day, or None for never."""
        return None if self.points_expire_after is None else self.after(since, self.points_expire_after)

    def after(self, since: datetime, period: Period) -> datetime:
        """The end of the local day on which a period since an instant ends."""
        zone = calendar.time_zone(self.time_zone)
        day = calendar.local_day(since, zone)
        months, days = (period.count, 0) if period.unit is Unit.MONTHS else (0, period.count)
        return calendar.day_start(calendar.add_months(day, months) + timedelta(days=days + 1), zone)


DEFAULT = Definition(earning={"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 1, "per": 1}}]})
"""What a draft starts from when the merchant has published nothing: one point per unit of the shop's currency."""


def definition_from(text: str) -> Definition:
    """A stored definition."""
    return msgspec.json.decode(text, type=Definition)


def definition_text(definition: Definition) -> str:
    """A definition as it is stored: the same definition is always the same text."""
    return msgspec.json.encode(definition, order="deterministic").decode()


def validate(definition: Definition) -> None:
    """Raises InvalidProgram unless the definition could be published."""
    if not 0 <= definition.signup_points <= SIGNUP_POINTS_MAX:
        raise InvalidProgram(f"Signup points are between 0 and {SIGNUP_POINTS_MAX}.", field=("signupPoints",))
    if not 0 <= definition.hold_days <= HOLD_DAYS_MAX:
        raise InvalidProgram(f"The hold is between 0 and {HOLD_DAYS_MAX} days.", field=("holdDays",))
    for part in ("singular", "plural"):
        name: str = getattr(definition.points_name, part)
        if not name.strip() or len(name) > NAME_LENGTH_MAX:
            raise InvalidProgram(f"The name of the points has 1 to {NAME_LENGTH_MAX} characters.", field=("pointsName", part))
    _validate_times(definition)
    validate_actions(definition.actions)
    try:
        core_program(definition, 1)
    except LoyaltyError as error:
        raise InvalidProgram(str(error), field=("earning", *error.path.split("."))) from error


def _validate_times(definition: Definition) -> None:
    calendar.time_zone(definition.time_zone, field=("timeZone",))
    for field, period in (
        ("pointsExpireAfter", definition.points_expire_after),
        ("inactivityExpiresAfter", definition.inactivity_expires_after),
    ):
        if period is not None and not 1 <= period.count <= PERIOD_COUNT_MAX[period.unit]:
            raise InvalidProgram(f"A period has 1 to {PERIOD_COUNT_MAX[period.unit]} {period.unit}.", field=(field, "count"))
    for field, days, most in (
        ("expiryWarningDays", definition.expiry_warning_days, WARNING_DAYS_MAX),
        ("restoreGraceDays", definition.restore_grace_days, GRACE_DAYS_MAX),
    ):
        if not 0 <= days <= most:
            raise InvalidProgram(f"It is between 0 and {most} days.", field=(field,))


def core_program(definition: Definition, version: int) -> Program:
    """The definition compiled by the core. Raises LoyaltyError with the path of what is wrong."""
    return Program(msgspec.json.encode({**definition.earning, "enabled": definition.enabled}), version)


ASKING = frozenset({"first_purchase_within_hours", "per_day"})
"""The conditions and caps for which the core must know what the customer did before the order."""

UNKNOWN_YET = frozenset({"tiers", "segments", "collections", "tags"})
"""What a rule can ask for and an order's webhook does not tell. A program with it can be simulated and not published."""


def asks_history(definition: Definition) -> bool:
    """Whether the points of an order depend on the customer's earlier ones."""
    return not ASKING.isdisjoint(_names(definition.earning))


def check_answerable(definition: Definition) -> None:
    """Raises InvalidProgram when the program asks for what is not known of an order when it is booked."""
    for name in _names(definition.earning):
        if name in UNKNOWN_YET:
            raise InvalidProgram(f"Orders do not tell `{name}` yet, so a program cannot ask for it.", field=("earning",))


def _names(value: Any) -> Iterator[str]:
    """Every field's name in a JSON value, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield name  # pyright: ignore[reportUnknownVariableType]
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _names(inner)


@lru_cache(maxsize=1024)
def compiled(merchant_id: UUID, version: int, text: str) -> tuple[Definition, Program]:
    """A published definition, parsed and compiled once per process: a version never changes."""
    del merchant_id  # part of the key only, so that one merchant's programs do not answer for another's
    definition = definition_from(text)
    return definition, core_program(definition, version)
