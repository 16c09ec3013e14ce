"""What a program is, and when it is one."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from loyalty_native import LoyaltyError, Program

from domain.errors import Code, DomainError

SIGNUP_POINTS_MAX = 1_000_000_000
HOLD_DAYS_MAX = 365
NAME_LENGTH_MAX = 40


class InvalidProgram(DomainError):
    """The definition breaks a rule of programs; `field` says where."""

    code = Code.PROGRAM_INVALID


class PointsName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the merchant calls one point, and many."""

    singular: str
    plural: str


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program as it is stored: immutable once published.

    earning: the core's program JSON (native/program.schema.json) without `enabled`, which stands here.
    signup_points: given once to each customer who joins. hold_days: whole days from payment until points are spendable.
    """

    earning: dict[str, Any]
    enabled: bool = True
    signup_points: int = 0
    hold_days: int = 0
    points_name: PointsName = PointsName("point", "points")


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
    try:
        core_program(definition, 1)
    except LoyaltyError as error:
        raise InvalidProgram(str(error), field=("earning", *error.path.split("."))) from error


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
