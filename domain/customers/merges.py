"""Who was merged into whom. The points and orders are moved by those who keep them; here is only who stands for whom."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import db
from domain.customers.rules import State
from domain.customers.states import set_state
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Merge:
    """A customer who was merged into another, and what undoing it puts back."""

    id: UUID
    gone_id: UUID
    kept_id: UUID
    job_id: str | None
    merged_at: datetime
    undone_at: datetime | None
    gone_state: str
    kept_joined_at: datetime | None
    redirected: list[UUID]
    signup: int | None
    orders: str
    claims: str


_COLUMNS = "id, gone_id, kept_id, job_id, merged_at, undone_at, gone_state, kept_joined_at, redirected, signup, orders, claims"


async def merges_of(scope: Scope, gone_id: UUID) -> list[Merge]:
    """All merges of a customer into others, the newest first, undone ones too."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"select {_COLUMNS} from customer_merges where merchant_id = $1 and gone_id = $2 order by id desc",
            scope.merchant_id,
            gone_id,
        )
    return [Merge(*row) for row in rows]


async def way_of(scope: Scope, customer_id: UUID) -> list[Merge]:
    """The merges that lead from a customer to who stands for them now, one after the other; none for a customer of their own."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            with recursive way as (
                select {_COLUMNS}, 1 as step from customer_merges
                where merchant_id = $1 and gone_id = $2 and undone_at is null
                union all
                select m.id, m.gone_id, m.kept_id, m.job_id, m.merged_at, m.undone_at, m.gone_state, m.kept_joined_at,
                    m.redirected, m.signup, m.orders, m.claims, way.step + 1
                from way join customer_merges m on m.merchant_id = $1 and m.gone_id = way.kept_id and m.undone_at is null
            )
            select {_COLUMNS} from way order by step
            """,
            scope.merchant_id,
            customer_id,
        )
    return [Merge(*row) for row in rows]


async def merged_into(scope: Scope, kept_id: UUID) -> list[UUID]:
    """Who is merged into a customer now, not by way of others, the first first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select gone_id from customer_merges where merchant_id = $1 and kept_id = $2 and undone_at is null order by id",
            scope.merchant_id,
            kept_id,
        )
    return [row["gone_id"] for row in rows]


async def signups_taken(scope: Scope, customer_ids: list[UUID]) -> set[int]:
    """The Shopify numbers whose signup points were taken back when these customers, or others into them, were merged."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select signup from customer_merges
            where merchant_id = $1 and undone_at is null and signup is not null and (gone_id = any ($2) or kept_id = any ($2))
            """,
            scope.merchant_id,
            customer_ids,
        )
    return {row["signup"] for row in rows}


async def link(scope: Scope, merge: Merge) -> None:
    """Write a merge down: from now on whoever looks for the one who goes is led to the one who is kept.

    Precondition: an open transaction that holds both. Those who were merged into the one who goes are led on.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            "update customers set merged_into = $3 where merchant_id = $1 and (id = $2 or merged_into = $2)",
            scope.merchant_id,
            merge.gone_id,
            merge.kept_id,
        )
        assert await set_state(scope, merge.gone_id, State.MERGED), "who is merged already was turned away"
        await connection.execute(
            """
            update customers k set joined_at = g.joined_at from customers g
            where k.merchant_id = $1 and k.id = $3 and k.joined_at is null and g.merchant_id = $1 and g.id = $2
            """,
            scope.merchant_id,
            merge.gone_id,
            merge.kept_id,
        )
        await connection.execute(
            f"""
            insert into customer_merges (merchant_id, {_COLUMNS})
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """,
            scope.merchant_id,
            merge.id,
            merge.gone_id,
            merge.kept_id,
            merge.job_id,
            merge.merged_at,
            merge.undone_at,
            merge.gone_state,
            merge.kept_joined_at,
            merge.redirected,
            merge.signup,
            merge.orders,
            merge.claims,
        )


async def note_state(scope: Scope, gone_id: UUID, state: State, told_at: datetime | None) -> str | None:
    """Write down that the shop says of a customer who is merged into another how they stand: it holds when that is undone.

    told_at as for `set_state`. Returns how they were to stand before, or None when nothing changes: also for who was deleted
    before the merge. Precondition: an open transaction that holds the customer.
    """
    async with db.connection(scope) as connection:
        before: str | None = await connection.fetchval(
            "select gone_state from customer_merges where merchant_id = $1 and gone_id = $2 and undone_at is null",
            scope.merchant_id,
            gone_id,
        )
        if before not in (State.OPEN, State.DISABLED):
            return None
        is_newer = await connection.fetchval(
            """
            update customers set state_at = coalesce($3, state_at)
            where merchant_id = $1 and id = $2
                and ($3::timestamptz is null or state_at is null or state_at < $3 or (state_at = $3 and $4 <> 'open'))
            returning id
            """,
            scope.merchant_id,
            gone_id,
            told_at,
            state.value,
        )
        if is_newer is None or before == state:
            return None
        await connection.execute(
            "update customer_merges set gone_state = $3 where merchant_id = $1 and gone_id = $2 and undone_at is null",
            scope.merchant_id,
            gone_id,
            state.value,
        )
    return before


async def unlink(scope: Scope, merge: Merge) -> None:
    """Take a merge back: both stand for themselves again. Precondition: an open transaction that holds both."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update customer_merges set undone_at = $3 where merchant_id = $1 and id = $2", scope.merchant_id, merge.id, scope.at
        )
        await connection.execute(
            "update customers set merged_into = $3 where merchant_id = $1 and id = any ($2)",
            scope.merchant_id,
            merge.redirected,
            merge.gone_id,
        )
        await connection.execute(
            """
            update customers k set joined_at = $4 from customers g
            where k.merchant_id = $1 and k.id = $3 and g.merchant_id = $1 and g.id = $2 and k.joined_at = g.joined_at
            """,
            scope.merchant_id,
            merge.gone_id,
            merge.kept_id,
            merge.kept_joined_at,
        )
        await set_state(scope, merge.gone_id, State(merge.gone_state))
        await connection.execute(
            "update customers set merged_into = null where merchant_id = $1 and id = $2", scope.merchant_id, merge.gone_id
        )
