"""What the workers book when Shopify has done, or refused, what a redemption needs.

A redemption that is due is leased, so that one worker sees to it, and renews the lease as long as that takes; when that worker
dies, the lease runs out and another goes on. Each step below checks the state it starts from, and so may come twice, late, or
from two workers.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import db, outbox
from domain.rewards import ledger
from domain.rewards.commands import SOURCE
from domain.rewards.queries import REDEMPTION, Redemption
from domain.rewards.rules import RewardKind
from domain.scope import Scope

SETTLED_WITHIN = timedelta(seconds=40)
"""After a worker has died in the middle, and Shopify answers: a discount that works and no points, or points and no discount.
A minute is what is promised; the rest of it is for a machine that is busy."""

LEASE = timedelta(seconds=10)
"""How long a worker that renews nothing is taken to live. It need not outlive a call to Shopify, for whoever lives renews it."""

CREDIT_LEASE = timedelta(seconds=25)
"""The same for store credit, which has no code that a second one would collide with: before another looks for it, the request
of a worker that has died must be dead too."""

STRAY_AFTER = timedelta(minutes=2)
"""When to look whether a request that was given up has made its discount after all: requests do not live that long."""

BACKOFF_MAX = timedelta(minutes=10)

_LEASED = f"interval '1 second' * case kind when 'cashback' then {CREDIT_LEASE.seconds} else {LEASE.seconds} end"


async def claim(scope: Scope, limit: int) -> list[Redemption]:
    """At most `limit` redemptions that are due, leased to the caller; issued ones whose code has run out begin to expire."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            with due as materialized (
                select id from redemptions where merchant_id = $1 and due_at <= $2 order by due_at limit $3
                for update skip locked
            )
            update redemptions set due_at = $2::timestamptz + {_LEASED},
                attempts = case status when 'issued' then 1 else attempts + 1 end,
                status = case status when 'issued' then 'expiring' else status end
            where merchant_id = $1 and id in (select id from due)
            returning {REDEMPTION}
            """,
            scope.merchant_id,
            scope.at,
            limit,
        )
    return [Redemption(*row) for row in rows]


async def renew(scope: Scope, redemption_ids: Collection[UUID], since: datetime) -> set[UUID]:
    """Go on holding redemptions that were claimed, or last renewed, at the instant `since`. Returns those that are still held.

    What is missing was settled or cancelled meanwhile, or another has claimed it while the caller stood still.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            update redemptions set due_at = $3::timestamptz + {_LEASED}
            where merchant_id = $1 and id = any ($4) and due_at = $2::timestamptz + {_LEASED} returning id
            """,
            scope.merchant_id,
            since,
            scope.at,
            list(redemption_ids),
        )
    return {row["id"] for row in rows}


async def issued(scope: Scope, redemption_id: UUID, shopify_id: str) -> None:
    """Shopify has it: the code works from now on. One that is being cancelled meanwhile stays so, and knows what to delete."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            update redemptions set shopify_id = $3, updated_at = $4,
                due_at = case status when 'held' then case kind when 'cashback' then null else expires_at end else due_at end,
                status = case status when 'held' then case kind when 'cashback' then 'used' else 'issued' end else status end,
                attempts = case status when 'held' then 0 else attempts end
            where merchant_id = $1 and id = $2 and status in ('held', 'cancelling') returning {REDEMPTION}
            """,
            scope.merchant_id,
            redemption_id,
            shopify_id,
            scope.at,
        )
    if row is not None:
        await _tell(scope, Redemption(*row))


async def failed(scope: Scope, redemption_id: UUID, failure: str) -> None:
    """Shopify will not make it: the points go back. `failure` is Shopify's code, never a text.

    It is looked at once more after a while, in case that a request which was given up has been carried out late.
    """
    kept = await _move(scope, redemption_id, ("held",), "failed", failure=failure, due_after=STRAY_AFTER)
    if kept is not None:
        await _return(scope, kept, kept.points)


async def gone(scope: Scope, redemption_id: UUID) -> None:
    """The discount is not in Shopify any more, and was never used: what was being cancelled or has run out is over.

    The points go back, except for a code that has run out where the reward says so.
    """
    kept = await _move(scope, redemption_id, ("cancelling",), "cancelled", due_after=STRAY_AFTER)
    if kept is None:
        kept = await _move(scope, redemption_id, ("expiring",), "expired")
        if kept is not None and not kept.definition.returns_unused:
            kept = replace(kept, points=0)
    if kept is not None:
        await _return(scope, kept, kept.points)


async def used(scope: Scope, redemption_id: UUID, order_id: int | None) -> bool:
    """The code was used, in an order when it is known which. Returns whether that was news."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            update redemptions set status = 'used', order_id = coalesce($3, order_id), due_at = null, updated_at = $4
            where merchant_id = $1 and id = $2 and (
                status in ('held', 'issued', 'cancelling', 'expiring')
                or (status = 'used' and order_id is null and $3::bigint is not null)
            )
            returning {REDEMPTION}
            """,
            scope.merchant_id,
            redemption_id,
            order_id,
            scope.at,
        )
    if row is not None:
        await _tell(scope, Redemption(*row))
    return row is not None


async def revive(scope: Scope, redemption_id: UUID, order_id: int, payer_id: UUID, position: int) -> None:
    """A code was used although it was held to be gone. Precondition: the payer's entry at `position` took the points again.

    The payer is who stands for the customer now, and has the redemption from here on.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update redemptions
            set status = 'used', order_id = $3, position = $4, due_at = null, updated_at = $5, customer_id = $6
            where merchant_id = $1 and id = $2 and status in ('cancelled', 'expired', 'failed')
            """,
            scope.merchant_id,
            redemption_id,
            order_id,
            position,
            scope.at,
            payer_id,
        )


async def returned(scope: Scope, kept: Redemption, due: int) -> None:
    """Of the order that used it so much went back that `due` points are to be back by now: what is missing of them goes back.

    With the last of them the redemption is over, and one more is there to be taken where the stock is counted.
    Precondition: an open transaction that has locked the used redemption and read it as it is.
    """
    if due <= kept.points_returned:
        return
    is_whole = due == kept.points
    async with db.connection(scope) as connection:
        await connection.execute(
            "update redemptions set points_returned = $3, updated_at = $4, status = $5 where merchant_id = $1 and id = $2",
            scope.merchant_id,
            kept.id,
            due,
            scope.at,
            "returned" if is_whole else "used",
        )
    assert kept.position is not None, "a redemption's points were taken by an entry"
    missing, purpose = due - kept.points_returned, f"returned-{due}"
    await ledger.give_back(scope, kept.customer_id, kept.position, missing, SOURCE, kept.id, purpose)
    if is_whole:
        await _restock(scope, kept)
    await _tell(scope, kept)


async def settled(scope: Scope, redemption_id: UUID) -> None:
    """A failed or cancelled redemption has left nothing behind."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update redemptions set due_at = null
            where merchant_id = $1 and id = $2 and status in ('failed', 'cancelled')
            """,
            scope.merchant_id,
            redemption_id,
        )


async def put_off(scope: Scope, kept: Redemption) -> None:
    """Nothing is known, or Shopify is away: look again later, each time after a longer while.

    Store credit is not looked for before the request that may give it must be dead.
    """
    least = CREDIT_LEASE if kept.definition.kind is RewardKind.CASHBACK else timedelta()
    pause = max(least, min(BACKOFF_MAX, timedelta(seconds=1) * 2 ** min(kept.attempts, 10)))
    async with db.connection(scope) as connection:
        await connection.execute(
            "update redemptions set due_at = $3 where merchant_id = $1 and id = $2 and status = $4",
            scope.merchant_id,
            kept.id,
            scope.at + pause,
            kept.status,
        )


async def _move(
    scope: Scope,
    redemption_id: UUID,
    from_: tuple[str, ...],
    status: str,
    *,
    failure: str | None = None,
    due_after: timedelta | None = None,
) -> Redemption | None:
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            update redemptions set status = $4, failure = $5, due_at = $6, updated_at = $7, attempts = 0
            where merchant_id = $1 and id = $2 and status = any ($3) returning {REDEMPTION}
            """,
            scope.merchant_id,
            redemption_id,
            list(from_),
            status,
            failure,
            None if due_after is None else scope.at + due_after,
            scope.at,
        )
    return Redemption(*row) if row else None


async def _return(scope: Scope, kept: Redemption, points: int) -> None:
    """Give points back, and one to the stock where it is counted; coupons stay with those who have seen them."""
    assert kept.position is not None, "a redemption's points were taken by an entry"
    await ledger.give_back(scope, kept.customer_id, kept.position, points, SOURCE, kept.id, kept.status)
    await _restock(scope, kept)
    await _tell(scope, kept)


async def _restock(scope: Scope, kept: Redemption) -> None:
    async with db.connection(scope) as connection:
        await connection.execute(
            "update rewards set stock = stock + 1 where merchant_id = $1 and id = $2 and stock is not null",
            scope.merchant_id,
            kept.reward_id,
        )


async def _tell(scope: Scope, kept: Redemption) -> None:
    await outbox.add(scope, "redemption.changed", customer_id=str(kept.customer_id), version=kept.position)
