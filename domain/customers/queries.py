"""Reading customers, each with the figures of the one account that they have."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db
from domain.customers import terms
from domain.customers.rules import Profile, opened
from domain.damage import Damaged
from domain.scope import Scope
from domain.seal import match_term

_SELECT = """
    select c.merchant_id, c.id, c.shopify_id, c.created_at, c.joined_at, c.profile, a.balance, a.pending, a.version,
        c.state, c.merged_into
    from customers c join points_accounts a on a.merchant_id = c.merchant_id and a.customer_id = c.id
    where c.merchant_id = $1
"""

HEIR = "case when c.merged_into is null then c.id else c.merged_into end"
"""Who stands for a customer `c`, to be joined by. `coalesce` says the same, but behind row-level security it is no condition of
an index for PostgreSQL, which reads all customers of the merchant instead (docs/adr/0044)."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and their account: points spendable and pending, and the account's version."""

    merchant_id: UUID
    id: UUID
    shopify_id: int
    created_at: datetime
    joined_at: datetime | None
    sealed_profile: bytes | None
    balance: int
    pending: int
    version: int
    state: str
    merged_into: UUID | None

    def profile(self) -> Profile:
        """The personal data, opened. Raises Damaged."""
        return opened(self.merchant_id, self.id, self.sealed_profile)


async def by_id(scope: Scope, customer_id: UUID) -> Customer | None:
    """The merchant's customer with this id."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(f"{_SELECT} and c.id = $2", scope.merchant_id, customer_id)
    return _customer(row) if row else None


async def by_shopify_id(scope: Scope, shopify_id: int) -> Customer | None:
    """The merchant's customer whom Shopify knows by this number, or into whom that one was merged."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            {_SELECT} and c.id = (
                select coalesce(n.merged_into, n.id) from customers n where n.merchant_id = $1 and n.shopify_id = $2
            )
            """,
            scope.merchant_id,
            shopify_id,
        )
    return _customer(row) if row else None


async def by_ids(scope: Scope, customer_ids: list[UUID]) -> dict[UUID, Customer]:
    """The merchant's customers with these ids."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and c.id = any ($2)", scope.merchant_id, customer_ids)
    return {row["id"]: _customer(row) for row in rows}


async def by_email_terms(scope: Scope, wanted: Collection[bytes]) -> dict[bytes, UUID]:
    """The customers whose e-mail has one of these match terms, verified or not."""
    found: dict[bytes, UUID] = {}
    for customer in await _of(scope, await terms.having_any(scope, wanted)):
        try:
            email = customer.profile().email
        except Damaged:
            # Nobody is taken for the owner of an address that cannot be read.
            continue
        term = None if email is None else match_term(scope.merchant_id, email)
        # The oldest comes last, and stays.
        if term is not None and term in wanted:
            found[term] = customer.id
    return found


async def page(scope: Scope, first: int, after: UUID | None, query: str | None) -> list[Customer]:
    """At most `first` customers, newest first, from behind `after`.

    Every word of `query` must be the customer's e-mail, a whole word of their name, or their Shopify id.
    """
    words = (query or "").split()
    if words:
        return await _of(scope, await terms.having_all(scope, words, first, after))
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and ($2::uuid is null or c.id < $2) order by c.id desc limit $3", scope.merchant_id, after, first
        )
    return [_customer(row) for row in rows]


async def _of(scope: Scope, customer_ids: Collection[UUID]) -> list[Customer]:
    """These customers, newest first."""
    if not customer_ids:
        return []
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and c.id = any ($2) order by c.id desc", scope.merchant_id, customer_ids)
    return [_customer(row) for row in rows]


def _customer(row: Any) -> Customer:
    return Customer(*row)
