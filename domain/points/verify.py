"""Proves the ledger: every entry's content, every link, every sum, every account. Needs the database and nothing else.

`python -m domain.points.verify` reads all merchants; it streams, so that memory does not grow with the ledger.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

from domain import db, merchants
from domain.points.rules import digest, genesis, link
from domain.scope import Scope, system
from domain.settings import settings

ROWS_A_FETCH = 5_000
PROGRESS_S = 1.0

_ROWS = """
    select a.customer_id, a.balance, a.pending as account_pending, a.version, a.last_hash,
        t.position, t.type, t.points, t.pending, t.balance_after, t.pending_after, t.source, t.external_id, t.purpose,
        t.program_version, t.reason, t.actor, t.trace, t.occurred_at, t.digest, t.hash, t.lot, t.reverses, t.expires_at, t.shares
    from points_accounts a
    left join points_transactions t on t.merchant_id = a.merchant_id and t.customer_id = a.customer_id
    where a.merchant_id = $1 order by a.customer_id, t.position
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where a merchant's ledger is not what was written."""

    merchant_id: UUID
    customer_id: UUID
    position: int
    what: str

    def __str__(self) -> str:
        return f"gid://loyalnest/PointsTransaction/{self.customer_id}.{self.position} of merchant {self.merchant_id}: {self.what}"


@dataclass(slots=True)
class _Account:
    """An account as its entries tell it, so far; `row` is what its own row says."""

    row: Any
    hash: bytes
    position: int = 0
    balance: int = 0
    pending: int = 0


@dataclass(slots=True)
class Progress:
    """What has been read so far."""

    entries: int = 0
    accounts: int = 0


async def verify(scope: Scope, progress: Progress) -> Fault | None:
    """Check one merchant's ledger, account by account. Returns the first fault, or None.

    Found are: a changed, missing, added or reordered entry, and an account that is not the sum and the end of its entries.
    """
    account: _Account | None = None
    async with db.connection(scope) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(_ROWS, scope.merchant_id, prefetch=ROWS_A_FETCH):
            if account is None or account.row["customer_id"] != row["customer_id"]:
                if account is not None and (what := _end(account)):
                    return _fault(scope, account, what)
                account = _Account(row, genesis(scope.merchant_id, row["customer_id"]))
                progress.accounts += 1
            if row["position"] is None:
                continue
            progress.entries += 1
            if what := _advance(account, row):
                return _fault(scope, account, what)
    if account is not None and (what := _end(account)):
        return _fault(scope, account, what)
    return None


def _fault(scope: Scope, account: _Account, what: str) -> Fault:
    return Fault(scope.merchant_id, account.row["customer_id"], account.position, what)


def _advance(account: _Account, row: Any) -> str | None:
    """Take one entry in; returns what is wrong with it."""
    account.position += 1
    account.balance += row["points"]
    account.pending += row["pending"]
    if row["position"] != account.position:
        return f"this entry is missing; the next one there is number {row['position']}"
    content = digest(
        row["type"],
        row["points"],
        row["pending"],
        row["source"],
        row["external_id"],
        row["purpose"],
        row["program_version"],
        row["reason"],
        row["actor"],
        row["trace"],
        row["occurred_at"],
        row["lot"],
        row["reverses"],
        row["expires_at"],
        row["shares"],
    )
    if content != row["digest"]:
        return "its content is not what was written"
    if (row["balance_after"], row["pending_after"]) != (account.balance, account.pending):
        return "its balance is not the sum of the entries up to it"
    account.hash = link(account.hash, account.position, account.balance, account.pending, content)
    return None if account.hash == row["hash"] else "its link in the chain is broken"


def _end(account: _Account) -> str | None:
    """Compare an account's row with what its entries lead to."""
    row = account.row
    if row["version"] != account.position or row["last_hash"] != account.hash:
        return f"the account ends at entry {row['version']}, and its entries at number {account.position}"
    if (row["balance"], row["account_pending"]) != (account.balance, account.pending):
        return "the account's balance is not the sum of its entries"
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
    sys.stdout.write(f"{_told(progress, began)}: every entry, every link and every balance is as it was written\n")
    return 0


async def _tell(progress: Progress, began: float) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        sys.stderr.write(f"{_told(progress, began)} …\n")


def _told(progress: Progress, began: float) -> str:
    rate = progress.entries / max(monotonic() - began, 1e-9)
    return f"{progress.entries:,} entries of {progress.accounts:,} accounts, {rate:,.0f} entries/s"


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m domain.points.verify", description=__doc__).parse_args()
    sys.exit(asyncio.run(verify_all()))
