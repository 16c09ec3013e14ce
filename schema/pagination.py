"""Relay connections, as Shopify draws them: edges, nodes and pageInfo."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

import msgspec
import strawberry

from domain.errors import DomainError
from schema.instants import instant

PAGE_MAX = 100

T = TypeVar("T")
Row = TypeVar("Row")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """The page's place."""

    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether the page was asked for with `after`.")
    start_cursor: str | None = strawberry.field(description="The first item's cursor.")
    end_cursor: str | None = strawberry.field(description="What to pass as `after` for the next page.")


@strawberry.type(description="An item of a list with its cursor.")
class Edge(Generic[T]):
    """An item and its cursor."""

    cursor: str = strawberry.field(description="The item's place, to pass as `after`.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page."""

    edges: list[Edge[T]] = strawberry.field(description="The items with their cursors.")
    nodes: list[T] = strawberry.field(description="The items.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")


def check_first(first: int) -> int:
    """How many rows to read for a page of `first`: one more, to see whether more follows."""
    if not 1 <= first <= PAGE_MAX:
        raise DomainError(f"`first` is between 1 and {PAGE_MAX}.", field=("first",))
    return first + 1


def connection(
    rows: Sequence[Row], first: int, after: str | None, wrap: Callable[[Row], T], place: Callable[[Row], tuple[Any, ...]]
) -> Connection[T]:
    """The page of `first` rows out of at most one more; `place` tells a row's place in the order of the list."""
    edges = [Edge(cursor=cursor_of(place(row)), node=wrap(row)) for row in rows[:first]]
    return Connection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            has_next_page=len(rows) > first,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def cursor_of(place: tuple[Any, ...]) -> str:
    """The cursor that names a place in a list."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str | None, place_type: type[T]) -> T | None:
    """The place that a cursor names. Raises a BAD_INPUT refusal when it is none of this list's."""
    if cursor is None:
        return None
    try:
        decoded = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = msgspec.json.decode(decoded, type=place_type)
    except (ValueError, msgspec.DecodeError) as error:
        raise DomainError("This cursor is not one of this list's.", field=("after",)) from error
    _check_instants(place)
    return place


def _check_instants(place: object) -> None:
    """Ours name instants that the database gave; a cursor that somebody made may name any."""
    for part in cast("tuple[object, ...]", place) if isinstance(place, tuple) else ():
        if isinstance(part, datetime):
            instant(part, "after")
