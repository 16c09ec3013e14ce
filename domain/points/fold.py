"""Lots as an account's entries alone make them: the rule of `points_move_lots`, a second time and without the database.

It reads nothing of an entry that is not in its hash, so that lots and moves are as well proved as the ledger is.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush

_NEVER = datetime.max.replace(tzinfo=UTC)


class LotNotOpened(Exception):
    """An entry gives points back to a lot that no entry opened."""


@dataclass(slots=True)
class FoldedLot:
    """A lot, by the entries so far: the columns of `points_lots`."""

    points: int
    remaining: int
    expired: int
    expires_at: datetime | None


@dataclass(slots=True)
class Fold:
    """All lots of an account after some of its entries. It holds as much as the account has lots."""

    lots: dict[int, FoldedLot] = field(default_factory=dict[int, FoldedLot])
    # Whatever has something left is in here, once or more often; what has nothing left is passed over when its turn comes.
    _turns: list[tuple[datetime, int]] = field(default_factory=list[tuple[datetime, int]])

    def take_in(
        self, position: int, type: str, points: int, lot: int | None, expires_at: datetime | None, balance_after: int
    ) -> dict[int, int]:
        """Do to the lots what an entry does. Returns its rows of `points_lot_moves`: points by lot. Raises LotNotOpened."""
        if points > 0:
            return self._add(position, points, lot, expires_at, balance_after)
        moves: dict[int, int] = {}
        wanted = -points
        if lot is not None:
            wanted -= self._take(lot, wanted, type, moves)
        while wanted > 0 and self._turns:
            turn = self._turns[0][1]
            wanted -= self._take(turn, wanted, type, moves)
            if self.lots[turn].remaining == 0:
                heappop(self._turns)
        return moves

    def _add(
        self, position: int, points: int, lot: int | None, expires_at: datetime | None, balance_after: int
    ) -> dict[int, int]:
        # New points pay a debt first, and only what is left of them can be spent.
        spendable = max(0, min(points, balance_after))
        if lot is None or expires_at is not None:
            self.lots[position] = FoldedLot(points, spendable, 0, expires_at)
            lot, moves = position, {}
        elif spendable == 0:
            return {}
        elif lot in self.lots:
            self.lots[lot].remaining += spendable
            moves = {lot: spendable}
        else:
            raise LotNotOpened
        if spendable:
            heappush(self._turns, (self.lots[lot].expires_at or _NEVER, lot))
        return moves

    def _take(self, lot: int, wanted: int, type: str, moves: dict[int, int]) -> int:
        found = self.lots.get(lot)
        taken = 0 if found is None else min(wanted, found.remaining)
        if found is None or taken == 0:
            return 0
        found.remaining -= taken
        if type == "expire":
            found.expired += taken
        moves[lot] = moves.get(lot, 0) - taken
        return taken
