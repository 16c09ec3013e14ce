"""The merchant's program: drafts that can be edited, versions that cannot."""

from domain.programs.actions import (
    Actions,
    BirthdayRule,
    EventRule,
    FollowRule,
    Goal,
    Network,
    ReviewRule,
    goals_by_id,
)
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
    "Actions",
    "BirthdayRule",
    "Clawback",
    "Definition",
    "Draft",
    "EventRule",
    "FollowRule",
    "Goal",
    "InvalidProgram",
    "Network",
    "Period",
    "PointsName",
    "ProgramVersion",
    "ReviewRule",
    "Unit",
    "by_numbers",
    "compiled",
    "definition_from",
    "draft",
    "draft_discard",
    "draft_update",
    "goals_by_id",
    "history",
    "in_force",
    "in_force_each",
    "live",
    "publish",
    "version",
    "versions",
]
