"""Keeping customers as the shop tells of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

import msgspec

from domain import db
from domain.customers import terms
from domain.customers.rules import CustomerSnapshot, Profile, State
from domain.identifiers import new_id
from domain.scope import Scope
from domain.seal import match_term, seal, search_term


@dataclass(frozen=True, slots=True)
class Owner:
    """Who stands for a customer of Shopify's: themself, or the one into whom they were merged."""

    id: UUID
    is_open: bool
    is_another: bool


async def ensure(scope: Scope, shopify_ids: Iterable[int]) -> dict[int, UUID]:
    """The ids of who stands for these Shopify customers; `owners` without the rest."""
    return {shopify_id: owner.id for shopify_id, owner in (await owners(scope, shopify_ids)).items()}


async def stand_for(scope: Scope, shopify_ids: Collection[int]) -> dict[int, UUID]:
    """The ids of who stands for these Shopify customers, as `ensure`, but held by nobody, so that they can change.

    It is for who goes on to `lock` them: two who held the same row already would then wait for each other for ever.
    Precondition: an open transaction.
    """
    async with db.connection(scope) as connection:
        found = await _stand_for(scope, connection, shopify_ids)
        missing = sorted(set(shopify_ids) - set(found))
        if missing:
            await _create(scope, connection, missing)
            found |= await _stand_for(scope, connection, missing)
    return found


async def _stand_for(scope: Scope, connection: db.Connection, shopify_ids: Collection[int]) -> dict[int, UUID]:
    rows = await connection.fetch(
        "select shopify_id, coalesce(merged_into, id) as id from customers where merchant_id = $1 and shopify_id = any ($2)",
        scope.merchant_id,
        list(shopify_ids),
    )
    return {row["shopify_id"]: row["id"] for row in rows}


async def owners(scope: Scope, shopify_ids: Iterable[int]) -> dict[int, Owner]:
    """Who stands for these Shopify customers, made with an empty account where they are new.

    Precondition: an open transaction. Until it ends none of them can be merged, closed or opened. Raises Collision when one is
    merged in between.
    """
    wanted = sorted(set(shopify_ids))
    if not wanted:
        return {}
    async with db.connection(scope) as connection:
        found = await _owners(scope, connection, wanted)
        missing = [shopify_id for shopify_id in wanted if shopify_id not in found]
        if missing:
            await _create(scope, connection, missing)
            # Another transaction may have made or merged some of them in between: what stands there now is what counts.
            found |= await _owners(scope, connection, missing)
    assert len(found) == len(wanted), "those that were missing were made"
    return found


async def _owners(scope: Scope, connection: db.Connection, shopify_ids: list[int]) -> dict[int, Owner]:
    # Next to nobody is merged, so who stands for those who are is asked for apart: a join costs as much again for everybody.
    rows = await connection.fetch(
        """
        select shopify_id, id, state, merged_into from customers
        where merchant_id = $1 and shopify_id = any ($2) order by id for key share
        """,
        scope.merchant_id,
        shopify_ids,
    )
    merged = {row["merged_into"] for row in rows if row["merged_into"] is not None}
    heirs = await _heirs(scope, connection, merged) if merged else {}
    return {
        row["shopify_id"]: Owner(row["id"], row["state"] == State.OPEN, is_another=False)
        if row["merged_into"] is None
        else Owner(row["merged_into"], heirs[row["merged_into"]] == State.OPEN, is_another=True)
        for row in rows
    }


async def _heirs(scope: Scope, connection: db.Connection, customer_ids: Collection[UUID]) -> dict[UUID, str]:
    """The states of those who stand for others, held. Raises Collision when one was merged on while this waited for them."""
    rows = await connection.fetch(
        "select id, state, merged_into from customers where merchant_id = $1 and id = any ($2) order by id for key share",
        scope.merchant_id,
        list(customer_ids),
    )
    if any(row["merged_into"] for row in rows):
        raise db.Collision("who stood for a customer is merged themself")
    return {row["id"]: row["state"] for row in rows}


async def _create(scope: Scope, connection: db.Connection, shopify_ids: list[int]) -> None:
    await connection.execute(
        """
        with made as (
            insert into customers (merchant_id, id, shopify_id, created_at)
            select $1, n.id, n.shopify_id, $4 from unnest($2::uuid[], $3::bigint[]) as n (id, shopify_id)
            on conflict (merchant_id, shopify_id) do nothing
            returning id, shopify_id
        ), findable as (
            insert into customer_terms (merchant_id, customer_id, term)
            select $1, made.id, n.term from made join unnest($3::bigint[], $5::bytea[]) as n (shopify_id, term) using (shopify_id)
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


async def arrive(scope: Scope, arrivals: list[tuple[CustomerSnapshot, Profile]]) -> list[UUID]:
    """Take over what the shop says of its customers; an older snapshot than the one kept changes nothing.

    What comes late of somebody who was merged, deleted or erased changes nothing either.

    Precondition: an open transaction. Returns the ids of those of whom the shop told for the first time.
    """
    newest: dict[int, tuple[CustomerSnapshot, Profile]] = {}
    for snapshot, profile in arrivals:
        kept = newest.get(snapshot.id)
        if kept is None or kept[0].updated_at <= snapshot.updated_at:
            newest[snapshot.id] = (snapshot, profile)
    known = await owners(scope, newest)
    joined: list[UUID] = []
    async with db.connection(scope) as connection:
        for shopify_id, (snapshot, profile) in sorted(newest.items()):
            customer_id = known[shopify_id].id
            if known[shopify_id].is_another:
                continue
            first = await connection.fetchval(
                "update customers set joined_at = $3 where merchant_id = $1 and id = $2 and joined_at is null "
                "and state in ('open', 'disabled') returning id",
                scope.merchant_id,
                customer_id,
                snapshot.created_at,
            )
            if first is not None:
                joined.append(customer_id)
            taken_over = await connection.fetchval(
                """
                update customers set snapshot_updated_at = $3, profile = $4, email_term = $5
                where merchant_id = $1 and id = $2 and (snapshot_updated_at is null or snapshot_updated_at <= $3)
                    and state in ('open', 'disabled')
                returning id
                """,
                scope.merchant_id,
                customer_id,
                snapshot.updated_at,
                seal(scope.merchant_id, "customers.profile", str(customer_id), msgspec.json.encode(profile)),
                _verified_term(scope, snapshot, profile),
            )
            if taken_over is not None:
                await terms.write(scope, customer_id, terms.of(scope, shopify_id, profile))
    return joined


def verified_terms(scope: Scope, arrivals: Iterable[tuple[CustomerSnapshot, Profile]]) -> set[bytes]:
    """The keyed hashes of the addresses that the shop says are their customers'."""
    return {term for one in arrivals if (term := _verified_term(scope, *one)) is not None}


def _verified_term(scope: Scope, snapshot: CustomerSnapshot, profile: Profile) -> bytes | None:
    return match_term(scope.merchant_id, profile.email) if snapshot.is_verified and profile.email else None
