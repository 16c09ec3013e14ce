"""Who did what to whom, when and from where: one append-only row for every change that a person or a partner makes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain import db
from domain.identifiers import new_id
from domain.scope import NOBODY, Door, Scope

_COLUMNS = "id, at, actor, action, subject, before::text as before, after::text as after, request_id, origin"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `before` and `after` are JSON, without personal data."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject: str
    before: str | None
    after: str | None
    request_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to show: those that fit everything given. `actor` and `subject` may end in `*`; `until` is not included."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def record(scope: Scope, action: str, subject: str, *, before: object = None, after: object = None) -> None:
    """Write one row in the command's transaction. `before` and `after` hold no personal data.

    What is done to a merchant stands in the merchant's audit, and what is done to the platform in the platform's.
    """
    given = (
        new_id(),
        scope.at,
        str(scope.actor),
        action,
        subject,
        None if before is None else msgspec.json.encode(before).decode(),
        None if after is None else msgspec.json.encode(after).decode(),
        scope.request_id,
        scope.origin,
    )
    async with db.connection(scope) as connection:
        if scope.merchant_id == NOBODY:
            await connection.execute(
                """
                insert into platform_audit_entries (id, at, actor, action, subject, before, after, request_id, origin)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                *given,
            )
        else:
            await connection.execute(
                """
                insert into audit_entries (merchant_id, id, at, actor, action, subject, before, after, request_id, origin)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                """,
                scope.merchant_id,
                *given,
            )


async def record_for_others(scope: Scope, action: str, subject: str, *, before: object = None, after: object = None) -> None:
    """As `record`, but not for what customers do themselves: that is told by their own account."""
    if scope.actor.door is not Door.CUSTOMER:
        await record(scope, action, subject, before=before, after=after)


async def page(scope: Scope, wanted: Filter, first: int, after: UUID | None) -> list[Entry]:
    """At most `first` entries, newest first, from behind `after`: the merchant's, or the platform's."""
    return await _read(scope, wanted, first, after, newest_first=True)


async def since(scope: Scope, wanted: Filter, seen: UUID | None, first: int) -> list[Entry]:
    """At most `first` entries after `seen`, oldest first."""
    return await _read(scope, wanted, first, seen, newest_first=False)


async def newest(scope: Scope) -> UUID | None:
    """The id of the newest entry."""
    found = await _read(scope, Filter(), 1, None, newest_first=True)
    return found[0].id if found else None


async def _read(scope: Scope, wanted: Filter, first: int, place: UUID | None, *, newest_first: bool) -> list[Entry]:
    conditions = f"""
        ($2::text is null or actor = $2 or ($2 like '%*' and starts_with(actor, left($2, -1))))
        and ($3::text is null or action = $3)
        and ($4::text is null or subject = $4 or ($4 like '%*' and starts_with(subject, left($4, -1))))
        and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
        and ($7::uuid is null or id {"<" if newest_first else ">"} $7)
        order by id {"desc" if newest_first else "asc"} limit $8
    """
    if scope.merchant_id == NOBODY:
        # The platform's table has no merchant to compare with; the first parameter is the same nobody for both.
        statement = f"select {_COLUMNS} from platform_audit_entries where $1::uuid is not null and {conditions}"
    else:
        statement = f"select {_COLUMNS} from audit_entries where merchant_id = $1 and {conditions}"
    given: tuple[Any, ...] = (wanted.actor, wanted.action, wanted.subject, wanted.since, wanted.until, place, first)
    async with db.connection(scope) as connection:
        rows = await connection.fetch(statement, scope.merchant_id, *given)
    return [Entry(*row) for row in rows]
