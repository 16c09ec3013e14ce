"""How far the clock of a sandbox may go."""

from datetime import datetime, timedelta

from domain.errors import Code, DomainError
from domain.merchants.queries import Merchant

CLOCK_OFFSET_MAX = timedelta(days=3653)
"""Ten years, with the most leap days that ten years can have."""


class SandboxRequired(DomainError):
    """The clock of a merchant who is no sandbox is the real one."""

    code = Code.SANDBOX_REQUIRED


class ClockBackwards(DomainError):
    """The clock shows that instant already: what happened until then cannot be undone."""

    code = Code.CLOCK_BACKWARDS


class ClockTooFar(DomainError):
    """The clock would be more than ten years ahead of the real one."""

    code = Code.CLOCK_TOO_FAR


def clock_target(merchant: Merchant, real: datetime, asked_at: datetime, days: int | None, until: datetime | None) -> datetime:
    """The instant that a sandbox's clock shall show when it is really `real`. `asked_at`: what it showed to the caller.

    Raises SandboxRequired, ClockBackwards, ClockTooFar, or a BAD_INPUT refusal.
    """
    if not merchant.sandbox:
        raise SandboxRequired("Only the clock of a sandbox can be advanced.")
    if (days is None) == (until is None):
        raise DomainError("Pass `days` or `until`, and not both.", field=("days",))
    if days is not None:
        field = ("days",)
        # Before they are added, because a calendar has a beginning and an end.
        if days <= 0:
            raise _backwards(field)
        if days > CLOCK_OFFSET_MAX.days:
            raise _too_far(field)
        target = asked_at + timedelta(days=days)
    else:
        assert until is not None, "one of the two is given"
        field = ("until",)
        if until.tzinfo is None:
            raise DomainError("An instant needs a time zone, such as 2026-11-21T12:00:00Z.", field=field)
        target = until
    if target <= real + merchant.clock_offset:
        raise _backwards(field)
    if target - real > CLOCK_OFFSET_MAX:
        raise _too_far(field)
    return target


def _backwards(field: tuple[str, ...]) -> ClockBackwards:
    return ClockBackwards("The clock shows that instant already, and only goes forward.", field=field)


def _too_far(field: tuple[str, ...]) -> ClockTooFar:
    return ClockTooFar("A sandbox's clock is at most ten years ahead of the real one.", field=field)
