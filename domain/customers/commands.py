"""Keeping customers as the shop tells of them."""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from domain import db
from domain.customers.rules import CustomerSnapshot, Profile, words
from domain.identifiers import new_id
from domain.scope import Scope
from domain.seal import seal, search_term


async def ensure(scope: Scope, shopify_ids: Iterable[int]) -> dict[int, UUID]:
    """The ids of these Shopify customers, made with an empty account where they are new. Precondition: a transaction."""
    wanted = sorted(set(shopify_ids))
    if not wanted:
        return {}
    async with db.connection(scope) as connection:
        known = await connection.fetch(
            "select shopify_id, id from customers where merchant_id = $1 and shopify_id = any ($2)", scope.merchant_id, wanted
        )
        found: dict[int, UUID] = {row["shopify_id"]: row["id"] for row in known}
        missing = [shopify_id for shopify_id in wanted if shopify_id not in found]
        if missing:
            found |= await _create(scope, connection, missing)
    return found


async def _create(scope: Scope, connection: db.Connection, shopify_ids: list[int]) -> dict[int, UUID]:
    await connection.execute(
        """
        with made as (
            insert into customers (merchant_id, id, shopify_id, created_at, search_terms)
            select $1, n.id, n.shopify_id, $4, array[n.term]
            from unnest($2::uuid[], $3::bigint[], $5::bytea[]) as n (id, shopify_id, term)
            on conflict (merchant_id, shopify_id) do nothing
            returning id
        )
        insert into points_accounts (merchant_id, customer_id, last_hash)
        select $1, made.id, points_genesis($1, made.id) from made
        """,
        scope.merchant_id,
        [new_id() for _ in shopify_ids],
        shopify_ids,
        scope.at,
        [search_term(scope.merchant_id, str(shopify_id)) for shopify_id in shopify_ids],
    )
    # Another transaction may have made some of them in between: its rows, not ours, are the customers.
    rows = await connection.fetch(
        "select shopify_id, id from customers where merchant_id = $1 and shopify_id = any ($2)", scope.merchant_id, shopify_ids
    )
    return {row["shopify_id"]: row["id"] for row in rows}


async def arrive(scope: Scope, arrivals: list[tuple[CustomerSnapshot, Profile]]) -> list[UUID]:
    """Take over what the shop says of its customers; an older snapshot than the one kept changes nothing.

    Precondition: an open transaction. Returns the ids of those of whom the shop told for the first time.
    """
    newest: dict[int, tuple[CustomerSnapshot, Profile]] = {}
    for snapshot, profile in arrivals:
        kept = newest.get(snapshot.id)
        if kept is None or kept[0].updated_at <= snapshot.updated_at:
            newest[snapshot.id] = (snapshot, profile)
    ids = await ensure(scope, newest)
    joined: list[UUID] = []
    async with db.connection(scope) as connection:
        for shopify_id, (snapshot, profile) in sorted(newest.items()):
            customer_id = ids[shopify_id]
            first = await connection.fetchval(
                "update customers set joined_at = $3 where merchant_id = $1 and id = $2 and joined_at is null returning id",
                scope.merchant_id,
                customer_id,
                snapshot.created_at,
            )
            if first is not None:
                joined.append(customer_id)
            await connection.execute(
                """
                update customers set snapshot_updated_at = $3, profile = $4, search_terms = $5
                where merchant_id = $1 and id = $2 and (snapshot_updated_at is null or snapshot_updated_at <= $3)
                """,
                scope.merchant_id,
                customer_id,
                snapshot.updated_at,
                seal(scope.merchant_id, "customers", str(customer_id), msgspec.json.encode(profile)),
                [search_term(scope.merchant_id, word) for word in sorted(words(shopify_id, profile))],
            )
    return joined
