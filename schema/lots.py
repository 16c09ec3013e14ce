"""Lots of points in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import strawberry

from domain import points
from domain.points import Lot
from schema.context import Info
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.scalars import Points

Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@strawberry.type(description="Points that came together and expire together.")
class PointsLot:
    """A lot."""

    lot: Points = strawberry.field(description="The version of the entry that opened it.")
    points: Points = strawberry.field(description="How many points came.")
    remaining: Points = strawberry.field(description="How many of them can still be spent.")
    expired: Points = strawberry.field(description="How many of them have expired.")
    expires_at: datetime | None = strawberry.field(description="When the rest expires; null for never.")


def _lot(row: Lot) -> PointsLot:
    return PointsLot(
        lot=Points(row.lot),
        points=Points(row.points),
        remaining=Points(row.remaining),
        expired=Points(row.expired),
        expires_at=row.expires_at,
    )


async def lots_page(info: Info, customer_id: UUID, first: int, after: str | None) -> Connection[PointsLot]:
    """A page of a customer's lots with something left in them, in the order in which they are spent."""
    rows_wanted = check_first(first)
    place = read_cursor(after, tuple[Position])
    rows = await points.open_lots(info.context.scope, customer_id, rows_wanted, place[0] if place else None)
    return connection(rows, first, after, _lot, lambda row: (row.lot,))
