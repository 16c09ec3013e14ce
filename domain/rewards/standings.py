"""What checkout is to know of customers: marked when it changes, written by the workers, never newer than the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from domain import db
from domain.scope import Scope

BATCH = 25
"""How many metafields Shopify takes in one call."""

LEASE = timedelta(seconds=30)
BACKOFF_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A customer of whom checkout is to be told. wanted: the change up to which; digest: what Shopify had when last told."""

    customer_id: UUID
    shopify_id: int
    wanted: int
    digest: str | None
    value: str
    attempts: int


async def mark(scope: Scope, customer_ids: Collection[UUID]) -> bool:
    """Say that something about these customers has changed. Returns whether anybody must be told: only a shop with the app."""
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            insert into standings (merchant_id, customer_id, due_at)
            select $1, n.id, $3 from unnest($2::uuid[]) as n (id)
            where exists (select from installations i where i.merchant_id = $1 and i.uninstalled_at is null)
            order by n.id
            on conflict (merchant_id, customer_id) do update set
                wanted = standings.wanted + 1, due_at = least(standings.due_at, excluded.due_at)
            """,
            scope.merchant_id,
            list(set(customer_ids)),
            scope.at,
        )
    return status != "INSERT 0 0"


async def claim(scope: Scope) -> list[Wanted]:
    """At most 25 customers who are due, leased to the caller, with what the ledger says of them now."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            with due as materialized (
                -- Materialised, so that it is read once: joined in, it might be read again and give more than its limit.
                select customer_id from standings where merchant_id = $1 and due_at <= $2 order by due_at limit $4
                for update skip locked
            )
            update standings s set due_at = $3, attempts = attempts + 1
            from customers c join points_accounts a on a.merchant_id = $1 and a.customer_id = c.id
            where s.merchant_id = $1 and c.merchant_id = $1 and c.id = s.customer_id
                and s.customer_id in (select customer_id from due)
            returning s.customer_id, c.shopify_id, s.wanted, s.digest, s.attempts, a.balance, a.version
            """,
            scope.merchant_id,
            scope.at,
            scope.at + LEASE,
            BATCH,
        )
        ids = [row["customer_id"] for row in rows]
        held = await connection.fetch(
            """
            select customer_id, id, points from reservations
            where merchant_id = $1 and customer_id = any ($2) and status = 'held'
            """,
            scope.merchant_id,
            ids,
        )
    reserved = {row["customer_id"]: (row["id"], row["points"]) for row in held}
    return [
        Wanted(
            customer_id=row["customer_id"],
            shopify_id=row["shopify_id"],
            wanted=row["wanted"],
            digest=row["digest"],
            value=_value(row["balance"], row["version"], reserved.get(row["customer_id"])),
            attempts=row["attempts"],
        )
        for row in rows
    ]


def _value(balance: int, version: int, reserved: tuple[UUID, int] | None) -> str:
    """The metafield (shopify_functions/schemas/loyalty.schema.json). `account_version` tells us which of two is newer."""
    told: dict[str, Any] = {"version": 1, "balance": balance, "account_version": version}
    if reserved is not None:
        told["balance"] = balance + reserved[1]
        told["reservation"] = {"id": str(reserved[0]), "points": reserved[1]}
    return msgspec.json.encode(told, order="sorted").decode()


async def written(scope: Scope, done: Sequence[tuple[UUID, int, str]]) -> None:
    """Shopify has it: (customer, the change up to which, the digest). What changed meanwhile stays due."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update standings s set written = greatest(s.written, n.wanted), digest = n.digest, attempts = 0,
                due_at = case when s.wanted = n.wanted then null else $5::timestamptz end
            from unnest($2::uuid[], $3::bigint[], $4::text[]) as n (customer_id, wanted, digest)
            where s.merchant_id = $1 and s.customer_id = n.customer_id
            """,
            scope.merchant_id,
            [one[0] for one in done],
            [one[1] for one in done],
            [one[2] for one in done],
            scope.at,
        )


async def refused(scope: Scope, customer_id: UUID) -> None:
    """Shopify knows no such customer any more: nothing is written until something changes again."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update standings set due_at = null, attempts = 0 where merchant_id = $1 and customer_id = $2",
            scope.merchant_id,
            customer_id,
        )


async def put_off(scope: Scope, wanted: Sequence[Wanted]) -> None:
    """Shopify is away: look again later, each time after a longer while."""
    async with db.connection(scope) as connection:
        for one in wanted:
            pause = min(BACKOFF_MAX, timedelta(seconds=2) * 2 ** min(one.attempts, 9))
            await connection.execute(
                "update standings set due_at = $3 where merchant_id = $1 and customer_id = $2",
                scope.merchant_id,
                one.customer_id,
                scope.at + pause,
            )
