"""What a ledger means, told a second time: a fold of its entries that shares no code with the domain."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

Person = TypeVar("Person", bound=Hashable)


class LedgerEntry(Protocol):
    """What the model reads of an entry."""

    position: int
    type: str
    points: int
    pending: int
    source: str
    external_id: str
    purpose: str
    lot: int | None
    reverses: int | None
    expires_at: datetime | None
    occurred_at: datetime


@dataclass
class ModelLot:
    """Points that came together: as many as could be spent at once, what is left of them, and where the others went."""

    number: int
    usable: int
    remaining: int
    expires_at: datetime | None
    expired: int = 0
    taken_back: int = 0

    def first_out(self) -> tuple[bool, datetime | None, int]:
        """The earliest expiry, and the oldest among equals; what never expires comes last."""
        return self.expires_at is None, self.expires_at, self.number

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it was spent: the rest has expired, or was taken back by what had given it."""
        return self.remaining + self.expired + self.taken_back >= self.usable


@dataclass
class ModelAccount:
    """An account as its entries tell it."""

    balance: int = 0
    pending: int = 0
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])
    lots: dict[int, ModelLot] = field(default_factory=dict[int, ModelLot])
    taken: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])
    spent: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])
    paid_debt: list[LedgerEntry] = field(default_factory=list[LedgerEntry])

    def apply(self, entry: LedgerEntry) -> None:
        """One entry more. Raises AssertionError where it could not have happened."""
        self.entries.append(entry)
        assert entry.position == len(self.entries)
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

    def open_lots(self) -> dict[int, tuple[int, datetime | None]]:
        """What is left, and until when."""
        return {lot.number: (lot.remaining, lot.expires_at) for lot in self.lots.values() if lot.remaining}

    def _come(self, entry: LedgerEntry) -> None:
        usable = max(0, min(entry.points, self.balance))
        if usable < entry.points:
            self.paid_debt.append(entry)
        if entry.reverses is not None and entry.type == "redeem":
            out = self.spent[entry.reverses]
            assert entry.lot is not None
            out[entry.lot] -= entry.points
            assert out[entry.lot] >= 0, f"entry {entry.position} gives back more than was taken"
        if entry.lot is not None and entry.expires_at is None:
            self.lots[entry.lot].remaining += usable
        else:
            self.lots[entry.position] = ModelLot(entry.position, usable, usable, entry.expires_at)

    def _go(self, entry: LedgerEntry) -> None:
        wanted = -entry.points
        named = [self.lots[entry.lot]] if entry.lot is not None else []
        others = sorted((lot for lot in self.lots.values() if lot not in named), key=lambda lot: _sortable(lot.first_out()))
        taken = self.taken[entry.position] = {}
        for lot in [*named, *others]:
            part = min(wanted, lot.remaining)
            if part:
                lot.remaining -= part
                wanted -= part
                taken[lot.number] = part
                if entry.type == "expire":
                    lot.expired += part
                elif entry.type == "earn" and lot.number == entry.lot:
                    lot.taken_back += part
        if entry.type == "redeem":
            self.spent[entry.position] = dict(taken)


def fold(entries: Iterable[LedgerEntry]) -> ModelAccount:
    """The account that entries lead to."""
    account = ModelAccount()
    for entry in entries:
        account.apply(entry)
    return account


def can_go_back(account: ModelAccount, merge: str, orders: Collection[str]) -> bool:
    """Whether a merge can be undone, by who was kept: what came has not been spent, and nothing since has paid a debt that came.

    orders: those that moved with it. What they have earned since in the account must be there as well.
    """
    came = [entry for entry in account.entries if (entry.source, entry.external_id) == ("merge", merge)]
    lots = [entry.position for entry in came if entry.purpose.startswith("in:")]
    since = min((entry.position for entry in came), default=0)
    lots += [
        entry.position
        for entry in account.entries
        if entry.source == "order" and entry.external_id in orders and entry.points > 0 and entry.position > since
    ]
    if not all(account.lots[lot].is_whole for lot in lots):
        return False
    owing = [
        entry.position
        for entry in came
        if entry.purpose.startswith("debt-in:") and sum(account.taken[entry.position].values()) < -entry.points
    ]
    paid = [entry.position for entry in account.paid_debt if (entry.source, entry.external_id) != ("merge", merge)]
    return not owing or not any(position > min(owing) for position in paid)


def assert_moved(accounts: Mapping[Person, ModelAccount]) -> None:
    """What merges moved has arrived: as many points, of the same date, once. Only signup points that both had are gone."""
    causes: dict[str, dict[str, tuple[Person, LedgerEntry]]] = defaultdict(dict)
    for person, account in accounts.items():
        for entry in account.entries:
            if entry.source == "merge":
                assert entry.type == "merge"
                assert entry.purpose not in causes[entry.external_id]
                causes[entry.external_id][entry.purpose] = person, entry
    for moves in causes.values():
        kept = [entry for purpose, (_, entry) in moves.items() if "taken:" not in purpose]
        assert sum(entry.points for entry in kept) == sum(entry.pending for entry in kept) == 0
        taken = sum(entry.points for purpose, (_, entry) in moves.items() if purpose.startswith("taken:"))
        given = sum(entry.points for purpose, (_, entry) in moves.items() if purpose.startswith("back-taken:"))
        assert taken <= 0
        assert given in {0, -taken}
        for purpose, (person, entry) in moves.items():
            side, _, mark = purpose.partition(":")
            if side in {"in", "later-in", "debt-in", "pending-in", "back-pending-in", "back-out"}:
                came_from = "back-in" if side == "back-out" else side.removesuffix("in") + "out"
                other, left = moves[f"{came_from}:{mark}"]
                assert other != person
                assert (left.points, left.pending) == (-entry.points, -entry.pending)
                if side in {"in", "later-in"}:
                    assert left.lot is not None
                    assert entry.expires_at == accounts[other].lots[left.lot].expires_at
                    assert accounts[other].taken[left.position] == {left.lot: entry.points}


def _sortable(key: tuple[bool, datetime | None, int]) -> tuple[Any, ...]:
    never, expires_at, number = key
    return never, 0.0 if expires_at is None else expires_at.timestamp(), number
