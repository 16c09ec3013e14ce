"""Reading the exports that persons have asked for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Export:
    """A document of what is kept of a person: that it was asked for, whether it waits, and who took it. Never what is in it."""

    id: UUID
    customer_id: UUID
    requested_at: datetime
    is_waiting: bool
    taken_at: datetime | None
    taken_by: str | None


_SELECT = """
    select id, customer_id, requested_at, content is not null as is_waiting, taken_at, taken_by from customer_exports
    where merchant_id = $1
"""


async def exported(scope: Scope, export_id: UUID) -> Export | None:
    """One export."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(f"{_SELECT} and id = $2", scope.merchant_id, export_id)
    return _export(row) if row else None


async def exports(scope: Scope, first: int, after: UUID | None) -> list[Export]:
    """At most `first` exports, newest first, from behind `after`."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and ($2::uuid is null or id < $2) order by id desc limit $3", scope.merchant_id, after, first
        )
    return [_export(row) for row in rows]


def _export(row: Any) -> Export:
    return Export(*row)
