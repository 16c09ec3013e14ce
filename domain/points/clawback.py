"""How points are taken back that may have been spent or have expired: the policy of the program, as arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.points.lots import Lot
from domain.programs import Clawback


@dataclass(frozen=True, slots=True)
class Reversal:
    """How what is owed is met: out of which lots, out of the rest of the balance, and what is not taken."""

    own: list[tuple[int, int]]
    others: int
    absorbed: int
    seized: int
    forgiven: int


def reversal(owed: int, own: Sequence[Lot], *, absorbed_before: int, balance: int, seizable: int, policy: Clawback) -> Reversal:
    """Meet what is owed from the lots of its own cause first, the newest first; then by the program's policy.

    Points of that cause that have expired are gone already and are not taken a second time. seizable: pending points of the
    customer's other causes, for the policy that goes there before it goes to the balance.
    """
    left = owed
    taken: list[tuple[int, int]] = []
    for lot in sorted(own, key=lambda one: one.lot, reverse=True):
        part = min(left, lot.remaining)
        if part:
            taken.append((lot.lot, part))
            left -= part
    absorbed = min(left, max(0, sum(lot.expired for lot in own) - absorbed_before))
    left -= absorbed
    spare = max(0, balance) - (owed - left - absorbed)
    seized = min(left, seizable) if policy is Clawback.PENDING_FIRST else 0
    left -= seized
    match policy:
        case Clawback.UNLIMITED:
            others = left
        case Clawback.WITHIN_BALANCE | Clawback.PENDING_FIRST:
            others = min(left, spare)
        case Clawback.FORGIVE:
            others = 0
    return Reversal(taken, others, absorbed, seized, left - others)
