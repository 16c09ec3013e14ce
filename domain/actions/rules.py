"""What a claim is, what it may be refused for, and what of it is booked."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.errors import Code, DomainError
from domain.points import Entry, Reversal, TransactionType
from domain.programs import ProgramVersion

CLOCK_SLACK = timedelta(minutes=10)
"""How far a partner's clock may be ahead of ours."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before it nothing happened that earns. So far from the beginning of the calendar, every time zone has a day for it."""


class Kind(StrEnum):
    """What a customer did."""

    BIRTHDAY = "birthday"
    REVIEW = "review"
    FOLLOW = "follow"
    EVENT = "event"
    GOAL = "goal"
    SALE = "sale"


class Reason(StrEnum):
    """Why a claim earns nothing. A sale at the till may also have one of the core's reasons."""

    NO_PROGRAM = "NO_PROGRAM"
    PROGRAM_OFF = "PROGRAM_OFF"
    NOT_OFFERED = "NOT_OFFERED"
    DAILY_CAP = "DAILY_CAP"
    LIFETIME_CAP = "LIFETIME_CAP"
    NOT_PUBLISHED = "NOT_PUBLISHED"
    BELOW_GOAL = "BELOW_GOAL"
    GIVEN_TWICE = "GIVEN_TWICE"


class NotOffered(DomainError):
    """The program gives nothing for what the customer claims to have done."""

    code = Code.ACTION_NOT_OFFERED


class InvalidDate(DomainError):
    """No calendar has this birthday, or it lies ahead."""

    code = Code.DATE_INVALID


class InvalidInstant(DomainError):
    """What happened is said to have happened without a time zone, later than now, or in another century."""

    code = Code.INSTANT_INVALID


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that may earn, what it deserves and why not, and what is posted for it.

    rule: the network, the event's name, the goal's id, the provider of reviews. told_of: of whom it was told; customer_id is who
    stands for them. deserved: points. expired_elsewhere: points that expired in an account that its customer has left by a
    merge. stored: whether it has a row.
    """

    kind: str
    key: str
    customer_id: UUID
    told_of: UUID
    rule: str
    occurred_at: datetime
    created_at: datetime
    program_version: int | None
    deserved: int
    reason: str | None
    trace: str | None
    spendable_at: datetime
    matures_at: datetime | None = None
    posted_points: int = 0
    posted_pending: int = 0
    revision: int = 0
    lots: list[int] = field(default_factory=list[int])
    pending_entry: int | None = None
    absorbed: int = 0
    forgiven: int = 0
    expired_elsewhere: int = 0
    stored: bool = False

    @property
    def change(self) -> int:
        """What is still to be booked: points, below zero for what is to be taken back."""
        return self.deserved - (self.posted_points + self.posted_pending - self.absorbed - self.forgiven)


def check_instant(at: datetime, happened: datetime, field: tuple[str, ...]) -> None:
    """Raises InvalidInstant for an instant without a time zone, from before 2000, or more than ten minutes ahead of `at`."""
    if happened.tzinfo is None:
        raise InvalidInstant("An instant needs a time zone, such as 2026-11-21T12:00:00Z.", field=field)
    if happened > at + CLOCK_SLACK:
        raise InvalidInstant("It has not happened yet.", field=field)
    if happened < EARLIEST:
        raise InvalidInstant("It happened before the year 2000.", field=field)


def check_name(text: str, length_max: int, field: tuple[str, ...]) -> None:
    """Raises a BLANK, TOO_LONG or BAD_INPUT refusal unless a text can be kept, listed and asked for."""
    if not text.strip():
        raise DomainError("It is empty.", field=field, code=Code.BLANK)
    if len(text) > length_max:
        raise DomainError(f"It has at most {length_max} characters.", field=field, code=Code.TOO_LONG)
    if not text.isprintable():
        raise DomainError("It holds a character that cannot be printed.", field=field)


def settle(claim: Claim, version: ProgramVersion | None, at: datetime, *, is_open: bool = True) -> tuple[Claim, list[Entry]]:
    """Book what a claim has gained, and what it has lost of its pending points; `change` of the result is what it still owes.

    is_open: whether the account can earn; in a closed one what is pending waits.
    """
    assert is_open or claim.change <= 0, "a closed account gains nothing"
    change, pending = claim.change, claim.posted_pending
    regained = min(max(change, 0), claim.forgiven)
    unexpired = min(max(change, 0) - regained, claim.absorbed)
    gain = max(change, 0) - regained - unexpired
    lost = min(max(-change, 0), pending)
    claim = replace(claim, forgiven=claim.forgiven - regained, absorbed=claim.absorbed - unexpired)
    entries: list[Entry] = []
    if lost:
        claim = _posted(claim, 0, -lost)
        entries.append(_entry(claim, 0, -lost, "reversed", reverses=claim.pending_entry))
    if is_open and claim.spendable_at <= at:
        waiting = claim.posted_pending
        if waiting or gain:
            claim = _posted(claim, waiting + gain, -waiting)
            expires_at = version.definition.expires_at(claim.spendable_at) if version else None
            entries.append(_entry(claim, waiting + gain, -waiting, "confirmed", expires_at=expires_at))
    elif gain:
        claim = _posted(claim, 0, gain)
        entries.append(_entry(claim, 0, gain, "pending"))
    return replace(claim, matures_at=claim.spendable_at if is_open and claim.posted_pending else None), entries


def take_back(claim: Claim, met: Reversal) -> tuple[Claim, list[Entry]]:
    """The entries that take back what a claim owes: one for each lot; what comes from elsewhere is in the last."""
    parts: list[tuple[int | None, int]] = list(met.own)
    if met.others:
        lot, part = parts.pop() if parts else (max(claim.lots, default=None), 0)
        parts.append((lot, part + met.others))
    entries: list[Entry] = []
    for lot, part in parts:
        claim = _posted(claim, -part, 0)
        entries.append(_entry(claim, -part, 0, "reversed", lot=lot, reverses=lot))
    return replace(claim, absorbed=claim.absorbed + met.absorbed, forgiven=claim.forgiven + met.forgiven), entries


def _posted(claim: Claim, points: int, pending: int) -> Claim:
    return replace(
        claim,
        posted_points=claim.posted_points + points,
        posted_pending=claim.posted_pending + pending,
        revision=claim.revision + 1,
    )


def _entry(claim: Claim, points: int, pending: int, cause: str, **more: Any) -> Entry:
    return Entry(
        customer_id=claim.customer_id,
        type=TransactionType.EARN,
        points=points,
        pending=pending,
        source=claim.kind,
        external_id=claim.key,
        purpose=f"{cause}:{claim.revision}",
        program_version=claim.program_version,
        trace=claim.trace,
        **more,
    )
