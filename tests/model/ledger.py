"""What a ledger means, told a second time: a fold of its entries that shares no code with the domain."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class LedgerEntry(Protocol):
    """What the model reads of an entry."""

    position: int
    type: str
    points: int
    pending: int
    source: str
    external_id: str
    lot: int | None
    reverses: int | None
    expires_at: datetime | None
    occurred_at: datetime


@dataclass
class ModelLot:
    """Points that came together."""

    number: int
    remaining: int
    expires_at: datetime | None
    expired: int = 0

    def first_out(self) -> tuple[bool, datetime | None, int]:
        """The earliest expiry, and the oldest among equals; what never expires comes last."""
        return self.expires_at is None, self.expires_at, self.number


@dataclass
class ModelAccount:
    """An account as its entries tell it."""

    balance: int = 0
    pending: int = 0
    lots: dict[int, ModelLot] = field(default_factory=dict[int, ModelLot])
    spent: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])

    def apply(self, entry: LedgerEntry) -> None:
        """One entry more. Raises AssertionError where it could not have happened."""
        self.balance += entry.points
        self.pending += entry.pending
        if entry.type == "redeem" and entry.points < 0:
            assert self.balance >= 0, f"entry {entry.position} spends what is not there"
        if entry.type == "expire":
            lot = self.lots[entry.lot or 0]
            assert lot.expires_at is not None, f"entry {entry.position} expires what never does"
            assert lot.expires_at <= entry.occurred_at, f"entry {entry.position} expires too early"
            assert lot.remaining == -entry.points, f"entry {entry.position} leaves something of an expired lot"
        if entry.points > 0:
            self._come(entry)
        elif entry.points < 0:
            self._go(entry)
        assert sum(lot.remaining for lot in self.lots.values()) == max(0, self.balance)

    def _come(self, entry: LedgerEntry) -> None:
        usable = max(0, min(entry.points, self.balance))
        if entry.reverses is not None and entry.type == "redeem":
            out = self.spent[entry.reverses]
            assert entry.lot is not None
            out[entry.lot] -= entry.points
            assert out[entry.lot] >= 0, f"entry {entry.position} gives back more than was taken"
        if entry.lot is not None and entry.expires_at is None:
            self.lots[entry.lot].remaining += usable
        else:
            self.lots[entry.position] = ModelLot(entry.position, usable, entry.expires_at)

    def _go(self, entry: LedgerEntry) -> None:
        wanted = -entry.points
        named = [self.lots[entry.lot]] if entry.lot is not None else []
        others = sorted((lot for lot in self.lots.values() if lot not in named), key=lambda lot: _sortable(lot.first_out()))
        taken: dict[int, int] = {}
        for lot in [*named, *others]:
            part = min(wanted, lot.remaining)
            if part:
                lot.remaining -= part
                wanted -= part
                taken[lot.number] = part
                if entry.type == "expire":
                    lot.expired += part
        if entry.type == "redeem":
            self.spent[entry.position] = taken


def fold(entries: Iterable[LedgerEntry]) -> ModelAccount:
    """The account that entries lead to."""
    account = ModelAccount()
    for number, entry in enumerate(entries, start=1):
        assert entry.position == number
        account.apply(entry)
    return account


def _sortable(key: tuple[bool, datetime | None, int]) -> tuple[Any, ...]:
    never, expires_at, number = key
    return never, 0.0 if expires_at is None else expires_at.timestamp(), number
