"""Programs in the API: the live one, its history, and the draft."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import programs
from domain.programs import Draft, ProgramVersion
from domain.programs.rules import DEFAULT
from schema.command import command
from schema.context import Info
from schema.definitions import ProgramDefinition, ProgramDraftInput, edited, program_definition
from schema.doors import EVERYBODY, STAFF, STAFF_AND_PARTNERS
from schema.errors import UserError
from schema.identifiers import gid
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor


@strawberry.type(description="A published version of the merchant's program. It never changes.")
class Program(Node):
    """A published version."""

    version: int = strawberry.field(description="Its number, from 1 on.")
    effective_from: datetime = strawberry.field(description="Orders created from here on are decided by it.")
    published_at: datetime = strawberry.field(description="When it was published.")
    published_by: str = strawberry.field(description="Who published it.")
    definition: ProgramDefinition = strawberry.field(description="What it says.")


@strawberry.type(description="The one draft of the merchant's next program version.")
class ProgramDraft:
    """The draft."""

    revision: int = strawberry.field(description="How often it was edited. Pass it to be refused when somebody else edited.")
    updated_at: datetime = strawberry.field(description="When it was edited last.")
    updated_by: str = strawberry.field(description="Who edited it last.")
    definition: ProgramDefinition = strawberry.field(description="What it says.")


@strawberry.type(description="The answer to `programDraftUpdate`.")
class ProgramDraftUpdatePayload:
    """The draft after the edit."""

    draft: ProgramDraft | None = strawberry.field(default=None, description="The draft after the edit.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `programDraftDiscard`.")
class ProgramDraftDiscardPayload:
    """Nothing but refusals."""

    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `programPublish`.")
class ProgramPublishPayload:
    """The new version."""

    program: Program | None = strawberry.field(default=None, description="The version that was published.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


def program(row: ProgramVersion) -> Program:
    """A published version as the API shows it."""
    return Program(
        id=strawberry.ID(gid("Program", row.version)),
        version=row.version,
        effective_from=row.effective_from,
        published_at=row.published_at,
        published_by=row.published_by,
        definition=program_definition(row.definition),
    )


def _draft(row: Draft) -> ProgramDraft:
    return ProgramDraft(
        revision=row.revision,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        definition=program_definition(row.definition),
    )


@strawberry.type
class ProgramQueries:
    """The queries about programs."""

    @strawberry.field(
        description="The live program, or the version with this number; null when there is none.", extensions=[EVERYBODY]
    )
    async def program(
        self,
        info: Info,
        version: Annotated[int | None, strawberry.argument(description="A version's number.")] = None,
    ) -> Program | None:
        """The program asked for."""
        scope = info.context.scope
        row = await (programs.live(scope) if version is None else programs.version(scope, version))
        return program(row) if row else None

    @strawberry.field(description="All published versions, newest first.", extensions=[STAFF_AND_PARTNERS])
    async def program_versions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[Program]:
        """A page of the history."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[int])
        rows = await programs.versions(info.context.scope, rows_wanted, place[0] if place else None)
        return connection(rows, first, after, program, lambda row: (row.version,))

    @strawberry.field(description="The draft of the next version; null when nobody began one.", extensions=[STAFF])
    async def program_draft(self, info: Info) -> ProgramDraft | None:
        """The draft."""
        row = await programs.draft(info.context.scope)
        return _draft(row) if row else None


@strawberry.type
class ProgramMutations:
    """The commands about programs."""

    @strawberry.mutation(
        description="Edit the draft, or begin one from the live program. Nothing earns by it until it is published.",
        extensions=[STAFF],
    )
    @command
    async def program_draft_update(
        self,
        info: Info,
        input: Annotated[ProgramDraftInput, strawberry.argument(description="What to change.")],
        revision: Annotated[
            int | None, strawberry.argument(description="The revision that was read; refused when it is not the draft's.")
        ] = None,
    ) -> ProgramDraftUpdatePayload:
        """Edit the draft."""
        scope = info.context.scope
        draft = await programs.draft(scope)
        live = None if draft else await programs.live(scope)
        current = draft.definition if draft else live.definition if live else DEFAULT
        row = await programs.draft_update(scope, edited(current, input), revision=revision)
        return ProgramDraftUpdatePayload(draft=_draft(row))

    @strawberry.mutation(description="Drop the draft.", extensions=[STAFF])
    @command
    async def program_draft_discard(self, info: Info) -> ProgramDraftDiscardPayload:
        """Drop the draft."""
        await programs.draft_discard(info.context.scope)
        return ProgramDraftDiscardPayload()

    @strawberry.mutation(
        description=(
            "Publish the draft as the next version. Orders created from now on are decided by it; older orders keep theirs."
        ),
        extensions=[STAFF],
    )
    @command
    async def program_publish(
        self,
        info: Info,
        revision: Annotated[
            int | None, strawberry.argument(description="The revision that was read; refused when it is not the draft's.")
        ] = None,
    ) -> ProgramPublishPayload:
        """Publish the draft."""
        row = await programs.publish(info.context.scope, revision=revision)
        return ProgramPublishPayload(program=program(row))
