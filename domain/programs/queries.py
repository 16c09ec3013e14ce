"""Which program is live, which was in force, and what the draft says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loyalty_native import Program

from domain import db
from domain.programs.rules import Definition, asks_history, compiled, definition_from
from domain.programs.tables import ProgramDrafts
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class ProgramVersion:
    """A published version, with the core's program compiled from it."""

    version: int
    definition: Definition
    effective_from: datetime
    published_at: datetime
    published_by: str
    core: Program
    asks_history: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """The one draft that a merchant may have. `revision` counts its edits."""

    definition: Definition
    revision: int
    updated_at: datetime
    updated_by: str


_SELECT = """
    select version, definition, effective_from, published_at, published_by from program_versions where merchant_id = $1
"""


async def live(scope: Scope) -> ProgramVersion | None:
    """The newest published version, or None before the first."""
    return await in_force(scope, scope.at)


async def in_force(scope: Scope, at: datetime) -> ProgramVersion | None:
    """The version in force at an instant, or None before the first took effect."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"{_SELECT} and effective_from <= $2 order by version desc limit 1", scope.merchant_id, at
        )
    return _version(scope, row) if row else None


async def in_force_each(scope: Scope, instants: Sequence[datetime]) -> list[ProgramVersion | None]:
    """The version in force at each of the instants, in one query."""
    newest_first = (await every(scope))[::-1]
    return [next((one for one in newest_first if one.effective_from <= at), None) for at in instants]


async def every(scope: Scope) -> list[ProgramVersion]:
    """All published versions, oldest first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} order by version", scope.merchant_id)
    return [_version(scope, row) for row in rows]


async def version(scope: Scope, number: int) -> ProgramVersion | None:
    """The version with this number."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(f"{_SELECT} and version = $2", scope.merchant_id, number)
    return _version(scope, row) if row else None


async def by_numbers(scope: Scope, numbers: Iterable[int]) -> dict[int, ProgramVersion]:
    """The versions with these numbers, in one query."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and version = any ($2)", scope.merchant_id, sorted(set(numbers)))
    return {row["version"]: _version(scope, row) for row in rows}


async def versions(scope: Scope, first: int, before: int | None) -> list[ProgramVersion]:
    """At most `first` versions, newest first, from before number `before`."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and ($2::integer is null or version < $2) order by version desc limit $3",
            scope.merchant_id,
            before,
            first,
        )
    return [_version(scope, row) for row in rows]


async def history(scope: Scope, at: datetime) -> list[ProgramVersion]:
    """Every version that had taken effect by an instant, newest first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and effective_from <= $2 order by version desc", scope.merchant_id, at)
    return [_version(scope, row) for row in rows]


async def draft(scope: Scope) -> Draft | None:
    """The merchant's draft, if there is one."""
    async with db.connection(scope):
        row = await ProgramDrafts.select().where(ProgramDrafts.merchant_id == scope.merchant_id).first()
    if row is None:
        return None
    return Draft(definition_from(row["definition"]), row["revision"], row["updated_at"], row["updated_by"])


def _version(scope: Scope, row: Any) -> ProgramVersion:
    definition, core = compiled(scope.merchant_id, row["version"], row["definition"])
    asks = asks_history(definition)
    return ProgramVersion(row["version"], definition, row["effective_from"], row["published_at"], row["published_by"], core, asks)
