"""What a ledger means, told a second time: a fold of its entries that shares no code with the domain."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
    cause: tuple[str, str] = ("", "")
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

    grace: timedelta = timedelta()
    balance: int = 0
    pending: int = 0
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])
    lots: dict[int, ModelLot] = field(default_factory=dict[int, ModelLot])
    taken: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])
    spent: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])
    paid_debt: list[LedgerEntry] = field(default_factory=list[LedgerEntry])
    given: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    taken_back: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    is_alone: bool = True
    """Whether nobody was merged with them, and nothing that was spent has come back: then each cause adds up by itself."""
    active_at: datetime | None = field(default=None, compare=False)
    """When the customer earned or spent last."""
    returns: dict[str, tuple[dict[int, int], dict[int, int]]] = field(
        default_factory=dict[str, tuple[dict[int, int], dict[int, int]]]
    )
    """Of each giving back, by its name: what was out of each lot before it, and what each lot got."""

    def apply(self, entry: LedgerEntry) -> None:
        """One entry more. Raises AssertionError where it could not have happened."""
        self.entries.append(entry)
        assert entry.position == len(self.entries)
        self.balance += entry.points
        self.pending += entry.pending
        if entry.type == "redeem" and entry.points < 0:
            assert self.balance >= 0, f"entry {entry.position} spends what is not there"
        if entry.source == "inactivity":
            assert self.balance == 0, f"entry {entry.position} leaves something of who was inactive"
        elif entry.type == "expire":
            lot = self.lots[entry.lot or 0]
            assert lot.expires_at is not None, f"entry {entry.position} expires what never does"
            assert lot.expires_at <= entry.occurred_at, f"entry {entry.position} expires too early"
            assert lot.remaining == -entry.points, f"entry {entry.position} leaves something of an expired lot"
        if entry.points < 0 if entry.type == "redeem" else entry.type == "earn" and entry.points + entry.pending > 0:
            self.active_at = entry.occurred_at
        if entry.points > 0:
            self._come(entry)
        elif entry.points < 0:
            self._go(entry)
        assert sum(lot.remaining for lot in self.lots.values()) == max(0, self.balance)
        self.is_alone &= entry.source != "merge" and entry.reverses not in self.spent
        self._add_up(entry)

    def open_lots(self) -> dict[int, tuple[int, datetime | None]]:
        """What is left, and until when."""
        return {lot.number: (lot.remaining, lot.expires_at) for lot in self.lots.values() if lot.remaining}

    def _add_up(self, entry: LedgerEntry) -> None:
        """What a cause takes back, and what has expired of what it gave, is together no more than it gave."""
        cause = entry.source, entry.external_id
        if entry.points > 0:
            self.given[cause] += entry.points
        elif entry.type == "earn":
            self.taken_back[cause] -= entry.points
            expired = sum(lot.expired for lot in self.lots.values() if lot.cause == cause)
            assert not self.is_alone or self.taken_back[cause] + expired <= self.given[cause], "what has expired is taken again"

    def _come(self, entry: LedgerEntry) -> None:
        usable = max(0, min(entry.points, self.balance))
        if usable < entry.points:
            self.paid_debt.append(entry)
        if entry.reverses is not None and entry.type == "redeem":
            self._come_back(entry, self.spent[entry.reverses])
        if entry.lot is not None and entry.expires_at is None:
            self.lots[entry.lot].remaining += usable
        else:
            self.lots[entry.position] = ModelLot(
                entry.position, usable, usable, entry.expires_at, (entry.source, entry.external_id)
            )

    def _come_back(self, entry: LedgerEntry, out: dict[int, int]) -> None:
        """To the lot that it was taken from, as long as that lasts and the grace that the shop grants."""
        assert entry.lot is not None
        _, got = self.returns.setdefault(entry.external_id, (dict(out), {}))
        got[entry.lot] = entry.points
        out[entry.lot] -= entry.points
        assert out[entry.lot] >= 0, f"entry {entry.position} gives back more than was taken"
        lasts = self.lots[entry.lot].expires_at
        expected = lasts + self.grace if lasts is not None and self.grace else None
        assert entry.expires_at == expected, f"entry {entry.position} comes back with another date"

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


def assert_shared(account: ModelAccount) -> None:
    """What came back has gone to each lot by its share of what was out, to less than a point."""
    for name, (out, got) in account.returns.items():
        whole, amount = sum(out.values()), sum(got.values())
        for lot, part in out.items():
            assert abs(got.get(lot, 0) * whole - part * amount) < whole, f"{name} gives lot {lot} another share"


def fold(entries: Iterable[LedgerEntry], grace: timedelta) -> ModelAccount:
    """The account that entries lead to. grace: what points that come back get on top of their expiry."""
    account = ModelAccount(grace)
    for entry in entries:
        account.apply(entry)
    return account


def can_go_back(account: ModelAccount, merge: str, causes: Collection[tuple[str, str]]) -> bool:
    """Whether a merge can be undone, by who was kept: what came has not been spent, and nothing since has paid a debt that came.

    causes: of the orders that moved with it, and of what was told of who has gone. What they have given since in the account must
    be there as well.
    """
    came = [entry for entry in account.entries if (entry.source, entry.external_id) == ("merge", merge)]
    lots = [entry.position for entry in came if entry.purpose.startswith("in:")]
    since = min((entry.position for entry in came), default=0)
    lots += [
        entry.position
        for entry in account.entries
        if (entry.source, entry.external_id) in causes and entry.points > 0 and entry.position > since
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


ARRIVES = {"in", "later-in", "debt-in", "pending-in", "back-pending-in", "back-out", "claim-pending-in"}
"""What stands in front of an entry's purpose when it is the second of a pair."""


def assert_moved(accounts: Mapping[Person, ModelAccount]) -> None:
    """What merges moved has arrived: as many points, of the same date, once. Only what both were given is gone."""
    causes: dict[str, dict[str, tuple[Person, LedgerEntry]]] = defaultdict(dict)
    for person, account in accounts.items():
        for entry in account.entries:
            if entry.source == "merge":
                assert entry.type == "merge"
                assert entry.purpose not in causes[entry.external_id]
                causes[entry.external_id][entry.purpose] = person, entry
    for moves in causes.values():
        kept = [entry for purpose, (_, entry) in moves.items() if "taken" not in purpose]
        assert sum(entry.points for entry in kept) == 0
        # What was pending and both were given is taken back, and goes back with its claim.
        taken = sum(entry.pending for purpose, (_, entry) in moves.items() if purpose.startswith("taken-pending:"))
        assert sum(entry.pending for _, entry in moves.values()) in {0, taken}
        taken = sum(entry.points for purpose, (_, entry) in moves.items() if purpose.startswith("taken:"))
        given = sum(entry.points for purpose, (_, entry) in moves.items() if purpose.startswith("back-taken:"))
        assert taken <= 0
        assert given in {0, -taken}
        for purpose, (person, entry) in moves.items():
            side, _, mark = purpose.partition(":")
            if side in ARRIVES:
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
