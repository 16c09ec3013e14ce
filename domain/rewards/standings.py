"""What checkout is to know of customers: marked when it changes, written by the workers, never newer than the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from domain import db, memberships
from domain.customers import HEIR, State
from domain.memberships import SEGMENTS_MAX, Membership
from domain.scope import Scope

BATCH = 25
"""How many metafields Shopify takes in one call."""

LEASE = timedelta(seconds=30)
BACKOFF_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A customer of whom checkout is to be told. wanted: the change up to which; digest: what Shopify had when last told.

    shop_domain: the shop that knows them by this number; None is the merchant's own. value: None where nothing is to be there,
    because the person was erased.
    """

    customer_id: UUID
    shopify_id: int
    shop_domain: str | None
    wanted: int
    digest: str | None
    value: str | None
    attempts: int


async def mark(scope: Scope, customer_ids: Collection[UUID]) -> bool:
    """Say that something about these customers has changed. Returns whether anybody must be told: only a shop with the app.

    Another shop's checkout knows a customer by the number of one who was merged into them, and is told under that.
    """
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            insert into standings (merchant_id, customer_id, due_at)
            select $1, n.id, $3 from (
                select id from unnest($2::uuid[]) as asked (id)
                union
                select gone.id from customers gone
                join customers kept on kept.merchant_id = $1 and kept.id = gone.merged_into
                left join customer_shops there on there.merchant_id = $1 and there.shopify_id = gone.shopify_id
                left join customer_shops here on here.merchant_id = $1 and here.shopify_id = kept.shopify_id
                where gone.merchant_id = $1 and gone.merged_into = any ($2)
                    and there.shop_domain is distinct from here.shop_domain
            ) n
            where exists (select from installations i where i.merchant_id = $1 and i.uninstalled_at is null)
                or (select count(*) from stores s where s.merchant_id = $1) > 1
            order by n.id
            on conflict (merchant_id, customer_id) do update set
                wanted = standings.wanted + 1, due_at = least(standings.due_at, excluded.due_at)
            """,
            scope.merchant_id,
            list(set(customer_ids)),
            scope.at,
        )
    return status != "INSERT 0 0"


async def is_told(scope: Scope, customer_id: UUID) -> bool:
    """Whether checkout has been told of everything that has happened to a customer, in every shop that knows them."""
    async with db.connection(scope) as connection:
        return await connection.fetchval(
            f"""
            select coalesce(bool_and(s.due_at is null), false) from customers c
            join customers one on one.merchant_id = $1 and (one.id = {HEIR} or one.merged_into = {HEIR})
            join standings s on s.merchant_id = $1 and s.customer_id = one.id
            where c.merchant_id = $1 and c.id = $2
            """,
            scope.merchant_id,
            customer_id,
        )


async def claim(scope: Scope) -> list[Wanted]:
    """At most 25 customers who are due, leased to the caller, with what the ledger says of them now."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            with due as materialized (
                -- Materialised, so that it is read once: joined in, it might be read again and give more than its limit.
                select customer_id from standings where merchant_id = $1 and due_at <= $2 order by due_at limit $4
                for update skip locked
            )
            update standings s set due_at = $3, attempts = attempts + 1
            from customers c
            join points_accounts a on a.merchant_id = $1 and a.customer_id = {HEIR}
            left join customer_shops t on t.merchant_id = $1 and t.shopify_id = c.shopify_id
            where s.merchant_id = $1 and c.merchant_id = $1 and c.id = s.customer_id
                and s.customer_id in (select customer_id from due)
            returning s.customer_id, c.shopify_id, c.state, t.shop_domain, s.wanted, s.digest, s.attempts,
                a.customer_id as owner, a.balance, a.version, (
                    select count(*) + count(undone_at) from customer_merges g where g.merchant_id = $1 and g.gone_id = c.id
                ) as turns
            """,
            scope.merchant_id,
            scope.at,
            scope.at + LEASE,
            BATCH,
        )
        ids = [row["owner"] for row in rows]
        held = await connection.fetch(
            """
            select coalesce(c.merged_into, c.id) as owner, r.id, r.points
            from reservations r join customers c on c.merchant_id = $1 and c.id = r.customer_id
            where r.merchant_id = $1 and (c.id = any ($2) or c.merged_into = any ($2)) and r.status = 'held' order by r.id
            """,
            scope.merchant_id,
            ids,
        )
        belonging = await memberships.of_customers(scope, ids)
    reserved = {row["owner"]: (row["id"], row["points"]) for row in held}
    return [
        Wanted(
            customer_id=row["customer_id"],
            shopify_id=row["shopify_id"],
            shop_domain=row["shop_domain"],
            wanted=row["wanted"],
            digest=row["digest"],
            value=None if row["state"] == State.REDACTED else _value(row, reserved.get(row["owner"]), belonging[row["owner"]]),
            attempts=row["attempts"],
        )
        for row in rows
    ]


def _value(row: Any, reserved: tuple[UUID, int] | None, belonging: Membership) -> str:
    """The metafield (shopify_functions/schemas/loyalty.schema.json).

    `turns`, `account_version` and `membership_revision` tell us, in this order, which of two is newer: a customer who is merged
    into another or parted from them has another account from then on.
    """
    told: dict[str, Any] = {"version": 1, "balance": row["balance"], "account_version": row["version"]}
    if belonging.revision:
        told["membership_revision"] = belonging.revision
    if belonging.tier is not None:
        told["tier"] = belonging.tier
    if belonging.segments:
        # No one has more but by merges, and with more checkout would not know the customer at all.
        told["segments"] = belonging.segments[:SEGMENTS_MAX]
    if row["turns"]:
        told["turns"] = row["turns"]
    if reserved is not None:
        told["balance"] += reserved[1]
        told["reservation"] = {"id": str(reserved[0]), "points": reserved[1]}
    return msgspec.json.encode(told, order="sorted").decode()


async def written(scope: Scope, done: Sequence[tuple[UUID, int, str | None]]) -> None:
    """Shopify has it: (customer, the change up to which, the digest; None for nothing). What changed meanwhile stays due."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update standings s set written = greatest(s.written, n.wanted), digest = n.digest, attempts = 0,
                due_at = case when s.wanted = n.wanted then null else $5::timestamptz end
            from unnest($2::uuid[], $3::bigint[], $4::text[]) as n (customer_id, wanted, digest)
            where s.merchant_id = $1 and s.customer_id = any ($2) and s.customer_id = n.customer_id
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
