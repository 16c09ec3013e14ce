"""Moving points from one account to another when two customers turn out to be one, lot by lot; and moving them back.

Every movement is two entries of the same cause, one in each account: what leaves as `out:3:17` arrives as `in:3:17`, where 3 is
the lot and 17 the version at which its account stood. A lot keeps its expiry. A debt goes too, as `debt-out:17` and `debt-in:17`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db
from domain.errors import Code, DomainError, NotFound
from domain.points.commands import post, take_over_activity
from domain.points.rules import Entry, TransactionType
from domain.scope import Scope

SOURCE = "merge"


class MergeSpent(DomainError):
    """Points that came by a merge have been spent, or paid a debt that came by it, and cannot go back."""

    code = Code.MERGE_SPENT


@dataclass(frozen=True, slots=True)
class Arrived:
    """A lot in the account that it came to, and how many points of the one that it left had expired."""

    lot: int | None
    expired: int


async def hold_all(scope: Scope, customer_ids: Iterable[UUID]) -> None:
    """Lock these accounts until the transaction ends, in the order of their ids. Raises NotFound unless all are there.

    Precondition: an open transaction; one that holds other accounts already may meet a deadlock, and is then run again.
    """
    wanted = sorted(set(customer_ids))
    async with db.connection(scope) as connection:
        held = await connection.fetch(
            "select 1 from points_accounts where merchant_id = $1 and customer_id = any ($2) order by customer_id for update",
            scope.merchant_id,
            wanted,
        )
    if len(held) < len(wanted):
        raise NotFound("There is no such customer.", field=("customerId",))


async def transfer(scope: Scope, *, from_id: UUID, to_id: UUID, cause: str) -> dict[int, int]:
    """Move all that is spendable in an account, or its debt, to another. Returns where each lot went.

    Who was active in either account was active: inactivity is counted from the later of the two.
    Precondition: an open transaction. With nothing there it does nothing, and so it may run again.
    """
    await hold_all(scope, (from_id, to_id))
    await take_over_activity(scope, from_id=from_id, to_id=to_id)
    async with db.connection(scope) as connection:
        account = await connection.fetchrow(
            "select balance, version from points_accounts where merchant_id = $1 and customer_id = $2", scope.merchant_id, from_id
        )
        lots = await connection.fetch(
            """
            select lot, remaining, expires_at from points_lots
            where merchant_id = $1 and customer_id = $2 and remaining > 0 order by expires_at, lot
            """,
            scope.merchant_id,
            from_id,
        )
    assert account is not None, "every customer has an account"
    entries: list[Entry] = []
    for row in lots:
        mark = f"{row['lot']}:{account['version']}"
        entries.append(moved(from_id, -row["remaining"], cause, f"out:{mark}", lot=row["lot"]))
        entries.append(moved(to_id, row["remaining"], cause, f"in:{mark}", expires_at=row["expires_at"]))
    if account["balance"] < 0:
        entries.append(moved(from_id, -account["balance"], cause, f"debt-out:{account['version']}"))
        entries.append(moved(to_id, account["balance"], cause, f"debt-in:{account['version']}"))
    arrivals = {entries[one.index].purpose: one.position for one in await post(scope, entries)}
    return {row["lot"]: arrivals[f"in:{row['lot']}:{account['version']}"] for row in lots}


def moved(
    customer_id: UUID,
    points: int,
    cause: str,
    purpose: str,
    *,
    pending: int = 0,
    lot: int | None = None,
    reverses: int | None = None,
    expires_at: datetime | None = None,
) -> Entry:
    """One side of a movement between accounts."""
    return Entry(
        customer_id,
        TransactionType.MERGE,
        points,
        pending,
        SOURCE,
        cause,
        purpose,
        lot=lot,
        reverses=reverses,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True)
class Signup:
    """Signup points that a customer, by Shopify's number, was given."""

    number: int
    customer_id: UUID
    position: int
    points: int


async def signups_of(scope: Scope, numbers: Iterable[int]) -> list[Signup]:
    """The signup points that these customers were given, by their numbers."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select external_id::bigint, customer_id, position, points from points_transactions
            where merchant_id = $1 and source = 'signup' and external_id = any ($2) and purpose = 'signup'
            order by external_id::bigint
            """,
            scope.merchant_id,
            [str(number) for number in numbers],
        )
    return [Signup(*row) for row in rows]


async def take_back(scope: Scope, customer_id: UUID, signup: Signup, cause: str) -> None:
    """Take signup points back from an account: out of their own lot while it is there, else out of any, else as a debt.

    What has expired of them is gone already and is not taken twice.
    """
    own = signup.customer_id == customer_id
    expired = (await expired_of(scope, customer_id, [signup.position])).get(signup.position, 0) if own else 0
    if left := signup.points - expired:
        lot = signup.position if own else None
        await post(scope, [moved(customer_id, -left, cause, f"taken:signup:{signup.number}", lot=lot, reverses=lot)])


async def expired_of(scope: Scope, customer_id: UUID, lots: Sequence[int]) -> dict[int, int]:
    """How many points have expired of these lots of an account."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select lot, expired from points_lots where merchant_id = $1 and customer_id = $2 and lot = any ($3)",
            scope.merchant_id,
            customer_id,
            list(lots),
        )
    return {row["lot"]: row["expired"] for row in rows}


async def transfer_back(scope: Scope, *, cause: str, later: Mapping[int, UUID], to_id: UUID) -> dict[int, Arrived]:
    """Move back what `transfer` and `take_back` moved for a cause, each lot to where it was, with the dates that it had.

    later: lots that orders have opened since in the account they moved to, with that account; they go along, to `to_id`.
    Returns, by their number in the account that they leave, what has become of the lots. Precondition: an open transaction.
    Raises MergeSpent when points of these lots have been spent, or later points have paid a debt that came.
    """
    async with db.connection(scope) as connection:
        entries = await connection.fetch(
            """
            select customer_id, position, points, balance_after, purpose, lot, expires_at from points_transactions
            where merchant_id = $1 and source = $2 and external_id = $3 and points <> 0 order by purpose
            """,
            scope.merchant_id,
            SOURCE,
            cause,
        )
        await hold_all(scope, {to_id, *later.values(), *(row["customer_id"] for row in entries)})
    by_purpose = {row["purpose"]: row for row in entries}
    back: list[Entry] = []
    arrived: dict[int, Arrived] = {}
    renewed: dict[str, tuple[int, int]] = {}
    for purpose, row in by_purpose.items():
        kind, _, mark = purpose.partition(":")
        if kind == "in":
            whole, expired = await _whole(scope, row["customer_id"], row["position"], row["points"], row["balance_after"])
            source = by_purpose[f"out:{mark}"]
            if whole:
                back.append(
                    moved(row["customer_id"], -whole, cause, f"back-{purpose}", lot=row["position"], reverses=row["position"])
                )
                back.append(
                    moved(source["customer_id"], whole, cause, f"back-out:{mark}", lot=source["lot"], reverses=source["position"])
                )
            arrived[row["position"]] = Arrived(source["lot"], expired)
        elif kind == "debt-in":
            back += await _given_back(scope, row, cause)
            source = by_purpose[f"debt-out:{mark}"]
            back.append(
                moved(source["customer_id"], -source["points"], cause, f"back-debt-out:{mark}", reverses=source["position"])
            )
    for lot, account in sorted(later.items()):
        opened = await _opening(scope, account, lot)
        whole, expired = await _whole(scope, account, lot, opened["points"], opened["balance_after"])
        arrived[lot] = Arrived(None, expired)
        if whole:
            back.append(moved(account, -whole, cause, f"later-out:{lot}", lot=lot, reverses=lot))
            renewed[f"later-in:{lot}"] = lot, expired
            back.append(moved(to_id, whole, cause, f"later-in:{lot}", expires_at=opened["expires_at"]))
    # What was taken back at first comes last, and of that the last first: before each, the account must be as it was after it.
    for purpose, row in sorted(by_purpose.items(), key=lambda item: -item[1]["position"]):
        if purpose.startswith("taken:"):
            back += await _given_back(scope, row, cause)
    for one in await post(scope, back):
        if (known := renewed.get(back[one.index].purpose)) is not None:
            arrived[known[0]] = Arrived(one.position, known[1])
    return arrived


async def unspent(scope: Scope, customer_id: UUID, lots: Sequence[int], owed: int) -> None:
    """Raise MergeSpent unless `owed` points are left of these lots, with what expired of them or paid a debt as they came."""
    async with db.connection(scope) as connection:
        left = await connection.fetchval(
            """
            select coalesce(sum(l.remaining + l.expired + t.points - greatest(0, least(t.points, t.balance_after))), 0)::bigint
            from points_lots l join points_transactions t on t.merchant_id = $1 and t.customer_id = $2 and t.position = l.lot
            where l.merchant_id = $1 and l.customer_id = $2 and l.lot = any ($3)
            """,
            scope.merchant_id,
            customer_id,
            list(lots),
        )
    if left < owed:
        raise MergeSpent("Points that came by this merge have been spent.", field=("id",))


async def _opening(scope: Scope, customer_id: UUID, lot: int) -> Any:
    async with db.connection(scope) as connection:
        return await connection.fetchrow(
            """
            select points, balance_after, expires_at from points_transactions
            where merchant_id = $1 and customer_id = $2 and position = $3
            """,
            scope.merchant_id,
            customer_id,
            lot,
        )


async def _whole(scope: Scope, customer_id: UUID, lot: int, points: int, balance_after: int) -> tuple[int, int]:
    """(points of a lot that can go back, points of it that have expired). What its own order took back or holds is not spent.

    points, balance_after: of the entry that opened it. What of it paid a debt at once goes back as well: the debt is there again.
    """
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select l.remaining, l.expired,
                -coalesce(sum(m.points) filter (where t.type = 'earn' and t.lot = m.lot), 0)::bigint as own
            from points_lots l
            left join points_lot_moves m on m.merchant_id = $1 and m.customer_id = $2 and m.lot = l.lot
            left join points_transactions t on t.merchant_id = $1 and t.customer_id = $2 and t.position = m.position
            where l.merchant_id = $1 and l.customer_id = $2 and l.lot = $3
            group by l.remaining, l.expired
            """,
            scope.merchant_id,
            customer_id,
            lot,
        )
    assert row is not None, "an entry of points opened it"
    spendable = max(0, min(points, balance_after))
    if row["remaining"] + row["expired"] + row["own"] < spendable:
        raise MergeSpent("Points that came by this merge have been spent.", field=("id",))
    return points - row["expired"] - row["own"], row["expired"]


async def _given_back(scope: Scope, taken: Any, cause: str) -> list[Entry]:
    """The entries that give back what an entry of a merge took: to each lot its part, and what it left as a debt."""
    customer_id, position = taken["customer_id"], taken["position"]
    async with db.connection(scope) as connection:
        parts = await connection.fetch(
            """
            select lot, -points as points from points_lot_moves
            where merchant_id = $1 and customer_id = $2 and position = $3 order by lot
            """,
            scope.merchant_id,
            customer_id,
            position,
        )
        debt: int = -taken["points"] - sum(part["points"] for part in parts)
        paid = await connection.fetchval(
            """
            select exists (
                select from points_transactions
                where merchant_id = $1 and customer_id = $2 and position > $3 and points > 0 and balance_after < points
                    and not (source = $4 and external_id = $5)
            )
            """,
            scope.merchant_id,
            customer_id,
            position,
            SOURCE,
            cause,
        )
    if debt and paid:
        raise MergeSpent("Points earned since have paid a debt that came by this merge.", field=("id",))
    entries = [
        moved(
            customer_id,
            part["points"],
            cause,
            f"back-{taken['purpose']}:{part['lot']}",
            lot=part["lot"],
            reverses=position,
        )
        for part in parts
    ]
    # The debt first, so that what the lots get is theirs to keep.
    return [moved(customer_id, debt, cause, f"back-{taken['purpose']}", reverses=position), *entries] if debt else entries
