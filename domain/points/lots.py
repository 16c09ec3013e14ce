"""Lots: what is spendable of which points, giving spent ones back, and expiry. The lots themselves are moved by `post`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from loyalty_native import allocate

from domain import customers, db, programs
from domain.errors import Code, DomainError, NotFound
from domain.points.commands import Posted, post
from domain.points.rules import Entry, TransactionType
from domain.points.transfers import hold_all, transfer
from domain.scope import Scope


class NothingToRestore(DomainError):
    """The entry spent fewer points than are to be given back, or they have been given back already."""

    code = Code.NOTHING_TO_RESTORE


@dataclass(frozen=True, slots=True)
class Lot:
    """Points that came together: how many, how many of them are left, how many have expired, and when the rest does."""

    lot: int
    points: int
    remaining: int
    expired: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """An account under lock: its figures, and the lots that were asked for."""

    balance: int
    pending: int
    version: int
    lots: dict[int, Lot]


_LOT = "select lot, points, remaining, expired, expires_at from points_lots where merchant_id = $1 and customer_id = $2"


async def hold(scope: Scope, customer_id: UUID, lots: Sequence[int] = ()) -> Standing:
    """Lock an account until the transaction ends, and tell how it stands. Raises NotFound.

    Precondition: an open transaction that holds no other account, or holds this one already.
    """
    async with db.connection(scope) as connection:
        account = await connection.fetchrow(
            "select balance, pending, version from points_accounts where merchant_id = $1 and customer_id = $2 for update",
            scope.merchant_id,
            customer_id,
        )
        if account is None:
            raise NotFound("There is no such customer.", field=("customerId",))
        rows = await connection.fetch(f"{_LOT} and lot = any ($3)", scope.merchant_id, customer_id, list(lots)) if lots else []
    figures = account["balance"], account["pending"], account["version"]
    return Standing(*figures, {row["lot"]: Lot(*row) for row in rows})


async def open_lots(scope: Scope, customer_id: UUID, first: int, after: int | None = None) -> list[Lot]:
    """At most `first` lots with something left in them, in the order in which they are spent, from behind lot `after`."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_LOT} and remaining > 0 and ($3::bigint is null or (coalesce(expires_at, 'infinity'), lot) > (
                select coalesce(a.expires_at, 'infinity'), a.lot from points_lots a
                where a.merchant_id = $1 and a.customer_id = $2 and a.lot = $3
            ))
            order by expires_at, lot limit $4
            """,
            scope.merchant_id,
            customer_id,
            after,
            first,
        )
    return [Lot(*row) for row in rows]


async def expiring_lots(scope: Scope, customer_id: UUID, until: datetime) -> list[Lot]:
    """The lots with something left in them that will have expired by `until`, those first that expire first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_LOT} and remaining > 0 and expires_at <= $3 order by expires_at, lot", scope.merchant_id, customer_id, until
        )
    return [Lot(*row) for row in rows]


async def restore(
    scope: Scope, *, customer_id: UUID, position: int, points: int, source: str, external_id: str, purpose: str
) -> list[Posted]:
    """Give back `points` of what the entry at `position` spent, to the lots that it took them from.

    Each lot gets its share of what is still out, by the largest remainder, so that giving back everything in any number of
    parts is the exact inverse. Points go back with their lot's expiry, plus the grace of the program in force; with a grace they
    become a lot of their own, because the rest of the old one has none. Points that have expired meanwhile come back all the
    same, and the next expiry takes them: both can be seen. One entry for each lot: `purpose` is followed by its number.
    What comes back to an account that was merged away goes on at once to who was kept.
    Precondition: an open transaction. The same cause gives back once. Refusals: NOTHING_TO_RESTORE, NOT_FOUND.
    """
    await hold(scope, customer_id)
    async with db.connection(scope) as connection:
        rows = await connection.fetch(_SPENT, scope.merchant_id, customer_id, position, source, external_id, f"{purpose}:")
    if any(row["known"] for row in rows):
        return []
    out = [row["out"] for row in rows]
    if not 0 < points <= sum(out):
        raise NothingToRestore(f"Of that entry, {sum(out)} points can be given back.", field=("points",))
    live = await programs.live(scope)
    grace = timedelta(days=live.definition.restore_grace_days) if live else timedelta()
    entries: list[Entry] = []
    for row, share in zip(rows, allocate(points, out), strict=True):
        if share == 0:
            continue
        expires_at: datetime | None = row["expires_at"]
        entries.append(
            Entry(
                customer_id=customer_id,
                type=TransactionType.REDEEM,
                points=share,
                pending=0,
                source=source,
                external_id=external_id,
                purpose=f"{purpose}:{row['lot']}",
                program_version=live.version if live else None,
                lot=row["lot"],
                reverses=position,
                expires_at=expires_at + grace if expires_at and grace else None,
            )
        )
    posted = await post(scope, entries)
    for merge in await customers.way_of(scope, customer_id):
        await transfer(scope, from_id=merge.gone_id, to_id=merge.kept_id, cause=str(merge.id))
    return posted


_SPENT = """
    select m.lot, l.expires_at,
        -m.points - coalesce((
            select sum(t.points) from points_transactions t
            where t.merchant_id = $1 and t.customer_id = $2 and t.reverses = $3 and t.lot = m.lot
        ), 0)::bigint as out,
        exists (
            select from points_transactions t
            where t.merchant_id = $1 and t.source = $4 and t.external_id = $5 and starts_with(t.purpose, $6)
        ) as known
    from points_lot_moves m
    join points_lots l on l.merchant_id = $1 and l.customer_id = $2 and l.lot = m.lot
    where m.merchant_id = $1 and m.customer_id = $2 and m.position = $3 and m.points < 0
    order by m.lot
"""


async def expire(scope: Scope, limit: int, until: datetime | None = None) -> int:
    """Take what is left in lots whose time has come, at most `limit` of them. Returns how many lots.

    until: only those whose time had come by this instant, which is not after the scope's.
    Precondition: an open transaction. Running it twice is running it once; a redemption at the same time comes before or after.
    """
    async with db.connection(scope) as connection:
        due: list[Any] = await connection.fetch(
            """
            select customer_id, lot from points_lots
            where merchant_id = $1 and remaining > 0 and expires_at <= $2 order by expires_at limit $3
            """,
            scope.merchant_id,
            until or scope.at,
            limit,
        )
        if not due:
            return 0
        await hold_all(scope, {row["customer_id"] for row in due})
        # Read again under the locks: somebody may have spent them in between.
        lots = await connection.fetch(
            """
            select l.customer_id, l.lot, l.remaining, l.expired from points_lots l
            join unnest($2::uuid[], $3::bigint[]) as due (customer_id, lot)
                on l.customer_id = due.customer_id and l.lot = due.lot
            where l.merchant_id = $1 and l.remaining > 0 and l.expires_at <= $4
            order by l.customer_id, l.expires_at, l.lot
            """,
            scope.merchant_id,
            [row["customer_id"] for row in due],
            [row["lot"] for row in due],
            until or scope.at,
        )
    await post(
        scope,
        [
            Entry(
                customer_id=row["customer_id"],
                type=TransactionType.EXPIRE,
                points=-row["remaining"],
                pending=0,
                source="expiry",
                external_id=f"{row['customer_id']}.{row['lot']}",
                # A lot can be given points back and expire again: what has expired of it by then tells one time from another.
                purpose=f"expire:{row['expired'] + row['remaining']}",
                lot=row["lot"],
                reverses=row["lot"],
            )
            for row in lots
        ],
    )
    return len(due)
