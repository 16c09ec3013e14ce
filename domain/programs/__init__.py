"""The merchant's program: drafts that can be edited, versions that cannot."""

from domain.programs.commands import draft_discard, draft_update, publish
from domain.programs.queries import Draft, ProgramVersion, draft, in_force, in_force_each, live, version, versions
from domain.programs.rules import Definition, InvalidProgram, PointsName, compiled, definition_from

__all__ = [
    "Definition",
    "Draft",
    "InvalidProgram",
    "PointsName",
    "ProgramVersion",
    "compiled",
    "definition_from",
    "draft",
    "draft_discard",
    "draft_update",
    "in_force",
    "in_force_each",
    "live",
    "publish",
    "version",
    "versions",
]
