"""Who did what to whom, when and from where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import audit
from domain.access import Permission
from domain.audit import Entry, Filter
from domain.scope import Door
from schema.context import Info
from schema.doors import About, Opens
from schema.identifiers import gid, uuid_of
from schema.instants import instant
from schema.pagination import PAGE_MAX, Connection, check_first, connection, read_cursor

AUDIT = Opens(Door.STAFF, Door.ADMIN, needs=Permission.AUDIT, about=About.EITHER)
LIVE = Opens(Door.ADMIN, needs=Permission.AUDIT, about=About.EITHER)
POLL_S = 1
"""How often the stream looks. Few people listen, and they look at what people do, which is slow."""
LATE_MS = 30_000
"""How long after its beginning a transaction may commit and still be shown."""


@strawberry.type(description="One change that a person or a partner made. It is never changed or removed.")
class AuditEntry:
    """One change."""

    id: strawberry.ID = strawberry.field(description="The global id; later ones sort after earlier ones.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="Who: a door and an id, such as staff:42, partner:0197… or admin:0197….")
    action: str = strawberry.field(description="What, such as points.adjust.")
    subject: str = strawberry.field(description="To whom or what.")
    before: str | None = strawberry.field(description="What it was before, as JSON, without personal data.")
    after: str | None = strawberry.field(description="What it is after, as JSON, without personal data.")
    request_id: str = strawberry.field(description="The request, which finds it in the logs.")
    origin: str = strawberry.field(description="The network it came from, such as 203.0.113.0/24; empty for our own work.")


@strawberry.input(description="Which entries to show: those that fit everything given.")
class AuditFilter:
    """Which entries to show."""

    actor: str | None = strawberry.field(default=None, description="Who; with a star at the end, all who begin so: staff:*.")
    action: str | None = strawberry.field(default=None, description="What.")
    subject: str | None = strawberry.field(default=None, description="To whom or what, with or without a star.")
    from_: datetime | None = strawberry.field(default=None, name="from", description="From this instant on.")
    to: datetime | None = strawberry.field(default=None, description="Before this instant.")


def _entry(row: Entry) -> AuditEntry:
    return AuditEntry(
        id=strawberry.ID(gid("AuditEntry", row.id)),
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        request_id=row.request_id,
        origin=row.origin,
    )


def _filter(given: AuditFilter | None) -> Filter:
    if given is None:
        return Filter()
    since = None if given.from_ is None else instant(given.from_, "filter", "from")
    until = None if given.to is None else instant(given.to, "filter", "to")
    return Filter(given.actor, given.action, given.subject, since, until)


THE_FILTER = strawberry.argument(description="Which entries to show.")


@strawberry.type
class AuditQueries:
    """The queries about the audit."""

    @strawberry.field(
        description="Who changed what, newest first: the merchant's audit, or the platform's for an admin who names no shop.",
        extensions=[AUDIT],
    )
    async def audit_entries(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        filter: Annotated[AuditFilter | None, THE_FILTER] = None,
    ) -> Connection[AuditEntry]:
        """A page of the audit."""
        wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await audit.page(info.context.scope, _filter(filter), wanted, place[0] if place else None)
        return connection(rows, first, after, _entry, lambda row: (row.id,))


@strawberry.type
class AuditSubscriptions:
    """The stream of the audit."""

    @strawberry.subscription(
        description=(
            "Every change, a second after it was made at the latest: a merchant's for an admin who names a shop, the platform's "
            "otherwise. With `since`, first all that came after that entry, and a few from before it."
        ),
        extensions=[LIVE],
    )
    async def audit_recorded(
        self,
        info: Info,
        filter: Annotated[AuditFilter | None, THE_FILTER] = None,
        since: Annotated[str | None, strawberry.argument(description="The last entry that was seen.")] = None,
    ) -> AsyncGenerator[AuditEntry, None]:
        """The stream."""
        scope, wanted = info.context.scope, _filter(filter)
        last = await audit.newest(scope) if since is None else uuid_of("AuditEntry", since)
        # What was there before is shown only to those who ask for it.
        shown: set[UUID] = set()
        if since is None:
            shown.update([row.id for row in await audit.since(scope, Filter(), _a_while_before(last), PAGE_MAX)])
        while True:
            place = _a_while_before(last)
            shown = {one for one in shown if place is None or one > place}
            while page := await audit.since(scope, wanted, place, PAGE_MAX):
                for row in page:
                    place = row.id
                    last = row.id if last is None else max(last, row.id)
                    if row.id not in shown:
                        shown.add(row.id)
                        yield _entry(row)
            await asyncio.sleep(POLL_S)


def _a_while_before(last: UUID | None) -> UUID | None:
    """An entry gets its id before its transaction commits, so that one may appear behind others that were shown already.

    So reading begins a while before the last one. The first 48 bits of an id are its instant in milliseconds.
    """
    return None if last is None else UUID(int=max((last.int >> 80) - LATE_MS, 0) << 80)
