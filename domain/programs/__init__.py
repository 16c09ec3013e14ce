"""The merchant's program: drafts that can be edited, versions that cannot."""

from domain.programs.commands import draft_discard, draft_update, publish
from domain.programs.queries import (
    Draft,
    ProgramVersion,
    by_numbers,
    draft,
    history,
    in_force,
    in_force_each,
    live,
    version,
    versions,
)
from domain.programs.rules import Clawback, Definition, InvalidProgram, Period, PointsName, Unit, compiled, definition_from

__all__ = [
    "Clawback",
    "Definition",
    "Draft",
    "InvalidProgram",
    "Period",
    "PointsName",
    "ProgramVersion",
    "Unit",
    "by_numbers",
    "compiled",
    "definition_from",
    "draft",
    "draft_discard",
    "draft_update",
    "history",
    "in_force",
    "in_force_each",
    "live",
    "publish",
    "version",
    "versions",
]
