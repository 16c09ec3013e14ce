"""Enums of the domain in the API."""

from enum import Enum
from typing import Any, cast

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition


def describe(enum: type[Enum], *, name: str, description: str, values: dict[Any, str]) -> None:
    """Make an enum of the domain one of the schema, with a description for it and for every value."""
    strawberry.enum(enum, name=name, description=description)
    definition = cast("StrawberryEnumDefinition", vars(enum)["__strawberry_definition__"])
    for value in definition.values:
        value.description = values[enum[value.name]]
