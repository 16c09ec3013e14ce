"""How a customer stands. Whoever changes it closes or opens the account with it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import db
from domain.customers.queries import HEIR
from domain.customers.rules import State
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer under lock."""

    id: UUID
    shopify_id: int
    state: State
    joined_at: datetime | None
    merged_into: UUID | None


async def lock(scope: Scope, customer_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Lock customers, and those who were merged into them, so that no order can find its owner until the transaction ends.

    Precondition: an open transaction. Whoever goes on to lock orders has locked those that are there before, as orders do.
    """
    async with db.connection(scope) as connection:
        # By itself, so that the statement after it sees who was merged into them while this one waited.
        await connection.fetch(
            "select from customers where merchant_id = $1 and id = any ($2) order by id for update",
            scope.merchant_id,
            list(customer_ids),
        )
        rows = await connection.fetch(
            """
            select id, shopify_id, state, joined_at, merged_into from customers
            where merchant_id = $1 and (id = any ($2) or merged_into = any ($2)) order by id for update
            """,
            scope.merchant_id,
            list(customer_ids),
        )
    return {
        row["id"]: Standing(row["id"], row["shopify_id"], State(row["state"]), row["joined_at"], row["merged_into"])
        for row in rows
    }


async def standing(scope: Scope, customer_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Who stands for each of these customers: themself, or who was kept when they were merged. Unknown ids are left out.

    Precondition: an open transaction. Until it ends none of them can be merged, closed or opened.
    """
    found: dict[UUID, Standing] = {}
    async with db.connection(scope) as connection:
        # Whoever is merged while this waits for them is passed over by the first look, and found by the second.
        for _ in range(2):
            wanted = set(customer_ids) - found.keys()
            if not wanted:
                break
            rows = await connection.fetch(
                f"""
                select c.id as asked, o.id, o.shopify_id, o.state, o.joined_at, o.merged_into
                from customers c join customers o on o.merchant_id = $1 and o.id = {HEIR}
                where c.merchant_id = $1 and c.id = any ($2) order by c.id for key share
                """,
                scope.merchant_id,
                list(wanted),
            )
            found |= {
                row["asked"]: Standing(row["id"], row["shopify_id"], State(row["state"]), row["joined_at"], row["merged_into"])
                for row in rows
            }
    return found


async def set_state(scope: Scope, customer_id: UUID, state: State, told_at: datetime | None = None) -> bool:
    """Write down how a customer stands. Returns whether anything changed.

    told_at: the instant of the delivery that says so; one that is older than what is known changes nothing, and of two of the
    same instant the one that closes stays. Precondition: an open transaction that holds the customer.
    """
    async with db.connection(scope) as connection:
        changed = await connection.fetchval(
            """
            update customers set state = $3, state_at = coalesce($4, state_at)
            where merchant_id = $1 and id = $2 and state <> $3
                and ($4::timestamptz is null or state_at is null or state_at < $4 or (state_at = $4 and $3 <> 'open'))
            returning id
            """,
            scope.merchant_id,
            customer_id,
            state.value,
            told_at,
        )
        if changed is None:
            await connection.execute(
                "update customers set state_at = greatest(state_at, $3) where merchant_id = $1 and id = $2 and state = $4",
                scope.merchant_id,
                customer_id,
                told_at,
                state.value,
            )
            return False
    return True


async def set_all_redacted(scope: Scope) -> None:
    """Write down that all customers of the shop were erased. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute("update customers set state = 'redacted' where merchant_id = $1", scope.merchant_id)


async def family(scope: Scope, customer_id: UUID) -> dict[UUID, int]:
    """The Shopify numbers of a customer and of all who were merged into them, by our ids."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select id, shopify_id from customers where merchant_id = $1 and (id = $2 or merged_into = $2) order by id",
            scope.merchant_id,
            customer_id,
        )
    return {row["id"]: row["shopify_id"] for row in rows}


async def look_for_guests(scope: Scope, *, as_guest: bool) -> None:
    """Take turns between orders of guests and customers who might be them, until the transaction ends.

    An order looks for its customer and a customer for their orders; each writes and looks. Were both to do so at the same moment,
    neither would see the other. Orders share their turn. Precondition: an open transaction.
    """
    function = "pg_advisory_xact_lock_shared" if as_guest else "pg_advisory_xact_lock"
    async with db.connection(scope) as connection:
        await connection.execute(f"select {function}(hashtextextended($1, 0))", f"{scope.merchant_id}/guests")


async def verified(scope: Scope, email_terms: Collection[bytes]) -> dict[bytes, int]:
    """The Shopify numbers of the open customers whose verified address has one of these keyed hashes; of several the first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select distinct on (email_term) email_term, shopify_id from customers
            where merchant_id = $1 and email_term = any ($2) and state = 'open' order by email_term, id
            """,
            scope.merchant_id,
            list(set(email_terms)),
        )
    return {row["email_term"]: row["shopify_id"] for row in rows}


async def namesakes(scope: Scope, shopify_ids: Collection[int]) -> list[tuple[int, int]]:
    """Pairs of open customers with one verified address, one of each pair among these: (who was here first, who came later)."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select distinct first.shopify_id as kept, later.shopify_id as gone
            from customers asked
            join customers later on later.merchant_id = $1 and later.email_term = asked.email_term and later.state = 'open'
            join lateral (
                select c.id, c.shopify_id from customers c
                where c.merchant_id = $1 and c.email_term = asked.email_term and c.state = 'open'
                order by c.joined_at nulls last, c.id limit 1
            ) first on first.id <> later.id
            where asked.merchant_id = $1 and asked.shopify_id = any ($2) and asked.state = 'open'
            order by kept, gone
            """,
            scope.merchant_id,
            list(shopify_ids),
        )
    return [(row["kept"], row["gone"]) for row in rows]


async def sharing(scope: Scope, shopify_ids: Collection[int], email_terms: Collection[bytes]) -> set[int]:
    """Which of these customers are known, and who else has one of these verified addresses: their Shopify numbers."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select shopify_id from customers where merchant_id = $1 and (shopify_id = any ($2) or email_term = any ($3))",
            scope.merchant_id,
            list(shopify_ids),
            list(email_terms),
        )
    return {row["shopify_id"] for row in rows}


async def email_terms(scope: Scope, shopify_ids: Collection[int]) -> set[bytes]:
    """The keyed hashes of the verified addresses of these customers."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select email_term from customers
            where merchant_id = $1 and shopify_id = any ($2) and email_term is not null and state = 'open'
            """,
            scope.merchant_id,
            list(shopify_ids),
        )
    return {row["email_term"] for row in rows}
