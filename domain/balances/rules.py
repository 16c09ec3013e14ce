"""What time alone makes of an account: holds that pass, lots that expire, and inactivity."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from heapq import heapify, heappop, heappush

from domain.points import Lot


class ChangeKind(StrEnum):
    """What changes a balance when its time comes."""

    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Change:
    """What will happen at an instant: what it adds to the balance and to what is pending, and both after it."""

    at: datetime
    kind: ChangeKind
    points: int
    pending: int
    balance_after: int
    pending_after: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Pending points of one cause: when they become spendable, and when what they become expires.

    place: which comes first of those that become spendable at one instant.
    """

    at: datetime
    place: int
    points: int
    expires_at: datetime | None


_RANK = {ChangeKind.CONFIRMED: 0, ChangeKind.EXPIRED: 1, ChangeKind.INACTIVE: 2}
"""What comes first of what is due at one instant, as the workers do it."""


def foresee(
    balance: int, pending: int, lots: Iterable[Lot], holds: Iterable[Hold], deadline: datetime | None, until: datetime
) -> list[Change]:
    """All that happens to an account up to and with `until` if nobody does anything, in its order.

    deadline: when everything spendable expires for inactivity, or None. New points pay a debt first, and only what is left of
    them lies in their lot. Confirming is not being active, so that no deadline moves.
    """
    # (instant, rank, tie, what of the lot or hold is left, expiry of what a hold opens)
    coming: list[tuple[datetime, int, int, int, datetime | None]] = [
        *((lot.expires_at, _RANK[ChangeKind.EXPIRED], lot.lot, lot.remaining, None) for lot in lots if lot.expires_at),
        *((hold.at, _RANK[ChangeKind.CONFIRMED], hold.place, hold.points, hold.expires_at) for hold in holds if hold.points),
    ]
    if deadline is not None:
        coming.append((deadline, _RANK[ChangeKind.INACTIVE], 0, 0, None))
    heapify(coming)
    changes: list[Change] = []
    newest = max((lot.lot for lot in lots), default=0)
    while coming and coming[0][0] <= until:
        at, rank, _, amount, expires_at = heappop(coming)
        if rank == _RANK[ChangeKind.CONFIRMED]:
            balance, pending = balance + amount, pending - amount
            left = max(0, min(amount, balance))
            changes.append(Change(at, ChangeKind.CONFIRMED, amount, -amount, balance, pending))
            if left and expires_at is not None:
                newest += 1
                heappush(coming, (expires_at, _RANK[ChangeKind.EXPIRED], newest, left, None))
        elif rank == _RANK[ChangeKind.EXPIRED] and amount:
            balance -= amount
            changes.append(Change(at, ChangeKind.EXPIRED, -amount, 0, balance, pending))
        elif rank == _RANK[ChangeKind.INACTIVE] and balance > 0:
            changes.append(Change(at, ChangeKind.INACTIVE, -balance, 0, 0, pending))
            balance = 0
            # Nothing is left in any lot.
            coming = [one for one in coming if one[1] != _RANK[ChangeKind.EXPIRED]]
            heapify(coming)
    return changes
