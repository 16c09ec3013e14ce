"""The scalars, each declared once."""

import re
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from domain.points import POINTS_MAX

Points = NewType("Points", int)
Money = NewType("Money", str)
CurrencyCode = NewType("CurrencyCode", str)

_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _parse_points(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError("Points are a whole number, written without quotes.")
    if abs(value) > POINTS_MAX:
        raise GraphQLError(f"Points are between -{POINTS_MAX} and {POINTS_MAX}.")
    return value


def _parse_money(value: Any) -> str:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise GraphQLError('Money is decimal text such as "19.99".')
    return value


def _parse_currency(value: Any) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise GraphQLError('A currency is its three-letter code of ISO 4217, such as "USD".')
    return value


SCALARS: dict[object, ScalarDefinition] = {
    Points: strawberry.scalar(
        name="Points",
        description=(
            "A signed whole number of points, as a JSON integer between -9007199254740991 and 9007199254740991: "
            "the range that every JSON reader keeps exactly."
        ),
        serialize=int,
        parse_value=_parse_points,
    ),
    Money: strawberry.scalar(
        name="Money",
        description='An exact amount as decimal text, such as "19.99", in the currency that is named beside it.',
        serialize=str,
        parse_value=_parse_money,
    ),
    CurrencyCode: strawberry.scalar(
        name="CurrencyCode",
        description='A currency by its three-letter code of ISO 4217, such as "USD".',
        serialize=str,
        parse_value=_parse_currency,
    ),
}

CONFIG = StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True)
