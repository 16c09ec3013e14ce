"""Proves the ledger: every entry's content, every link, every sum, every account, and every lot and every move between lots.

`python -m domain.points.verify` reads all merchants and needs the database and nothing else. It streams: what it holds are some
pages of rows and the lots of one account.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field, fields
from time import monotonic
from typing import Any
from uuid import UUID

from domain import db, merchants
from domain.points.fold import Fold, FoldedLot, LotNotOpened
from domain.points.rules import digest, genesis, link
from domain.scope import Scope, system
from domain.settings import settings

ROWS_A_FETCH = 2_000
PROGRESS_S = 1.0

_ACCOUNTS = """
    select customer_id, balance, pending, version, last_hash from points_accounts where merchant_id = $1 order by customer_id
"""
# The first fifteen behind the position are what `digest` takes, in its order.
_ENTRIES = """
    select customer_id, position, type, points, pending, source, external_id, purpose, program_version, reason, actor, trace,
        occurred_at, lot, reverses, expires_at, shares, digest, balance_after, pending_after, hash
    from points_transactions where merchant_id = $1 order by customer_id, position
"""
_MOVES = """
    select customer_id, position, lot, points from points_lot_moves where merchant_id = $1 order by customer_id, position, lot
"""
_LOTS = """
    select customer_id, lot, points, remaining, expired, expires_at from points_lots
    where merchant_id = $1 order by customer_id, lot
"""

STREAMS = (_ACCOUNTS, _ENTRIES, _MOVES, _LOTS)
"""What is read of a merchant, each by a cursor of its own."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where a merchant's ledger is not what was written. A lot bears the position of the entry that opened it."""

    merchant_id: UUID
    customer_id: UUID
    position: int
    what: str

    def __str__(self) -> str:
        return f"gid://loyalnest/PointsTransaction/{self.customer_id}.{self.position} of merchant {self.merchant_id}: {self.what}"


@dataclass(slots=True)
class Progress:
    """What has been read so far."""

    entries: int = 0
    accounts: int = 0
    lots: int = 0
    moves: int = 0

    @property
    def rows(self) -> int:
        """All rows of all four tables."""
        return self.entries + self.accounts + self.lots + self.moves


@dataclass(slots=True)
class _Rows:
    """The rows of a cursor one after the other; `head` is the next one, or None behind the last."""

    cursor: Any
    page: list[Any] = field(default_factory=list[Any])
    place: int = -1
    head: Any = None

    async def step(self) -> None:
        self.place += 1
        if self.place >= len(self.page):
            self.page, self.place = await self.cursor.fetch(ROWS_A_FETCH), 0
        self.head = self.page[self.place] if self.page else None

    def is_of(self, customer_id: UUID) -> bool:
        return self.head is not None and self.head["customer_id"] == customer_id


@dataclass(slots=True)
class _Tables:
    """The four tables, in the order of the customers."""

    accounts: _Rows
    entries: _Rows
    moves: _Rows
    lots: _Rows


@dataclass(slots=True)
class _Account:
    """An account as its entries tell it, so far."""

    hash: bytes
    position: int = 0
    balance: int = 0
    pending: int = 0
    fold: Fold = field(default_factory=Fold)


async def verify(scope: Scope, progress: Progress) -> Fault | None:
    """Check one merchant's ledger, account by account. Returns the first fault, or None.

    Found are: a changed, missing, added or reordered entry, an account that is not the sum and the end of its entries, and lots
    and moves that are not what the entries make of them.
    """
    async with db.connection(scope) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        streams: list[_Rows] = []
        for statement in STREAMS:
            streams.append(_Rows(await connection.cursor(statement, scope.merchant_id)))
            await streams[-1].step()
        tables = _Tables(*streams)
        while (row := tables.accounts.head) is not None:
            customer_id: UUID = row["customer_id"]
            account = _Account(genesis(scope.merchant_id, customer_id))
            what = await _check(tables, row, account, progress)
            if what is not None:
                return Fault(scope.merchant_id, customer_id, *what)
            progress.accounts += 1
            await tables.accounts.step()
        for name, rows in (("entry", tables.entries), ("move", tables.moves), ("lot", tables.lots)):
            if (stray := rows.head) is not None:
                place = stray["lot"] if name == "lot" else stray["position"]
                return Fault(scope.merchant_id, stray["customer_id"], place, f"this {name} is of no account, or of no entry")
    return None


async def _check(tables: _Tables, row: Any, account: _Account, progress: Progress) -> tuple[int, str] | None:
    """Take in all that there is of an account; returns where something is wrong, and what."""
    customer_id: UUID = row["customer_id"]
    entries, moves = tables.entries, tables.moves
    while entries.is_of(customer_id):
        entry = entries.head
        progress.entries += 1
        if what := _advance(account, entry):
            return account.position, what
        try:
            expected = account.fold.take_in(
                account.position, entry["type"], entry["points"], entry["lot"], entry["expires_at"], account.balance
            )
        except LotNotOpened:
            return account.position, "it gives points back to a lot that no entry opened"
        while moves.is_of(customer_id) and moves.head["position"] == account.position:
            progress.moves += 1
            lot, moved = moves.head["lot"], moves.head["points"]
            if moved != (right := expected.pop(lot, 0)):
                return account.position, f"in lot {lot} it moves {right} points, and {moved} are written"
            await moves.step()
        for lot, right in expected.items():
            return account.position, f"in lot {lot} it moves {right} points, and none are written"
        await entries.step()
    if what := _end(account, row):
        return account.position, what
    return await _compare_lots(tables.lots, customer_id, account.fold, progress)


def _advance(account: _Account, entry: Any) -> str | None:
    """Take one entry in; returns what is wrong with it."""
    account.position += 1
    account.balance += entry["points"]
    account.pending += entry["pending"]
    if entry["position"] != account.position:
        return f"this entry is missing; the next one there is number {entry['position']}"
    content = digest(*entry[2:17])
    if content != entry["digest"]:
        return "its content is not what was written"
    if (entry["balance_after"], entry["pending_after"]) != (account.balance, account.pending):
        return "its balance is not the sum of the entries up to it"
    account.hash = link(account.hash, account.position, account.balance, account.pending, content)
    return None if account.hash == entry["hash"] else "its link in the chain is broken"


def _end(account: _Account, row: Any) -> str | None:
    """Compare an account's row with what its entries lead to."""
    if row["version"] != account.position or row["last_hash"] != account.hash:
        return f"the account ends at entry {row['version']}, and its entries at number {account.position}"
    if (row["balance"], row["pending"]) != (account.balance, account.pending):
        return "the account's balance is not the sum of its entries"
    return None


async def _compare_lots(lots: _Rows, customer_id: UUID, fold: Fold, progress: Progress) -> tuple[int, str] | None:
    """Compare an account's lots with those that its entries lead to."""
    for number, expected in fold.lots.items():
        if not lots.is_of(customer_id) or lots.head["lot"] > number:
            return number, "the lot that it opens is missing"
        found = lots.head
        if found["lot"] < number:
            return found["lot"], "there is a lot that it does not open"
        progress.lots += 1
        for column in fields(FoldedLot):
            right, written = getattr(expected, column.name), found[column.name]
            if right != written:
                return number, f"its lot's {column.name} is {right}, and {written} is written"
        await lots.step()
    if lots.is_of(customer_id):
        return lots.head["lot"], "there is a lot that it does not open"
    return None


async def verify_all() -> int:
    """Check every merchant, say what is seen, and return the exit code: 0 when all is well, 1 at the first fault."""
    progress = Progress()
    began = monotonic()
    await db.open_database(settings().database_url, 1)
    telling = asyncio.create_task(_tell(progress, began))
    try:
        for merchant_id in await merchants.every_id():
            fault = await verify(system(merchant_id), progress)
            if fault is not None:
                sys.stdout.write(f"FAULT {fault}\n")
                return 1
    finally:
        telling.cancel()
        await db.close_database()
    sys.stdout.write(f"{_told(progress, began)}: every entry, link, balance, lot and move is as it was written\n")
    return 0


async def _tell(progress: Progress, began: float) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        sys.stderr.write(f"{_told(progress, began)} …\n")


def _told(progress: Progress, began: float) -> str:
    rate = progress.rows / max(monotonic() - began, 1e-9)
    return (
        f"{progress.entries:,} entries of {progress.accounts:,} accounts, {progress.lots:,} lots and {progress.moves:,} moves, "
        f"{rate:,.0f} rows/s"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m domain.points.verify", description=__doc__).parse_args()
    sys.exit(asyncio.run(verify_all()))
