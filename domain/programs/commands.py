"""Editing a draft and publishing it."""

from datetime import datetime

from domain import audit, calendar, db, schedules
from domain.errors import Code, DomainError
from domain.programs.actions import check_goals_kept
from domain.programs.queries import Draft, ProgramVersion, draft, every, version
from domain.programs.rules import Definition, check_answerable, definition_text, validate
from domain.scope import Scope


class DraftMissing(DomainError):
    """There is no draft to publish or to discard."""

    code = Code.DRAFT_MISSING


class DraftChanged(DomainError):
    """Somebody edited the draft since the revision that the caller saw."""

    code = Code.DRAFT_CHANGED


async def draft_update(scope: Scope, definition: Definition, *, revision: int | None = None) -> Draft:
    """Replace the draft, or begin one. Refusals: PROGRAM_INVALID, and DRAFT_CHANGED when `revision` is not the draft's."""
    validate(definition)
    async with db.connection(scope) as connection:
        await _lock(scope, connection)
        current = await draft(scope)
        _check_revision(current, revision)
        await connection.execute(
            """
            insert into program_drafts (merchant_id, definition, revision, updated_at, updated_by) values ($1, $2, 1, $3, $4)
            on conflict (merchant_id) do update set
                definition = excluded.definition, revision = program_drafts.revision + 1,
                updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """,
            scope.merchant_id,
            definition_text(definition),
            scope.at,
            str(scope.actor),
        )
    changed = await draft(scope)
    assert changed is not None, "the draft was written above"
    await audit.record(
        scope,
        "program_draft.updated",
        "gid://loyalnest/ProgramDraft/current",
        before=current and current.definition,
        after=changed.definition,
    )
    return changed


async def draft_discard(scope: Scope) -> None:
    """Drop the draft. Refusal: DRAFT_MISSING."""
    async with db.connection(scope) as connection:
        await _lock(scope, connection)
        current = await draft(scope)
        if current is None:
            raise DraftMissing("There is no draft.")
        await connection.execute("delete from program_drafts where merchant_id = $1", scope.merchant_id)
    await audit.record(scope, "program_draft.discarded", "gid://loyalnest/ProgramDraft/current", before=current.definition)


async def publish(scope: Scope, *, revision: int | None = None, effective_from: datetime | None = None) -> ProgramVersion:
    """Make the draft the next version, in force for orders created from now on. Older orders keep their version.

    effective_from: another instant than now, for a first version that shall count orders from before it.
    Refusals: DRAFT_MISSING, DRAFT_CHANGED when `revision` is not the draft's, and PROGRAM_INVALID when it asks for what
    orders do not tell, or gives a goal other terms than it was published with.
    """
    async with db.connection(scope) as connection:
        await _lock(scope, connection)
        current = await draft(scope)
        if current is None:
            raise DraftMissing("There is no draft to publish.")
        _check_revision(current, revision)
        validate(current.definition)
        check_answerable(current.definition)
        check_goals_kept(current.definition.actions, [one.definition.actions for one in await every(scope)])
        number: int = await connection.fetchval(
            """
            insert into program_versions (merchant_id, version, definition, effective_from, published_at, published_by)
            select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 from program_versions where merchant_id = $1
            returning version
            """,
            scope.merchant_id,
            definition_text(current.definition),
            effective_from or scope.at,
            scope.at,
            str(scope.actor),
        )
        await connection.execute("delete from program_drafts where merchant_id = $1", scope.merchant_id)
    zone = calendar.time_zone(current.definition.time_zone)
    await schedules.plan(scope, schedules.DAILY, calendar.days_after(scope.at, 1, zone))
    await audit.record(scope, "program.published", f"gid://loyalnest/Program/{number}", after=current.definition)
    published = await version(scope, number)
    assert published is not None, "the version was written above"
    return published


def _check_revision(current: Draft | None, revision: int | None) -> None:
    if revision is not None and (current is None or current.revision != revision):
        raise DraftChanged("The draft was changed meanwhile; read it again.", field=("revision",))


async def _lock(scope: Scope, connection: db.Connection) -> None:
    """Editing and publishing wait for each other, so that no edit is lost between a read and a write."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{scope.merchant_id}/program")
