"""Reading customers, each with the figures of the one account that they have."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain import db
from domain.customers.rules import Profile
from domain.scope import Scope
from domain.seal import match_term, search_terms, unseal

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
        """The personal data, opened."""
        return opened(self.merchant_id, self.id, self.sealed_profile)


def opened(merchant_id: UUID, customer_id: UUID, sealed_profile: bytes | None) -> Profile:
    """The personal data of a customer, opened."""
    if sealed_profile is None:
        return Profile()
    return msgspec.json.decode(unseal(merchant_id, "customers.profile", str(customer_id), sealed_profile), type=Profile)


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


async def by_email_terms(scope: Scope, terms: Collection[bytes]) -> dict[bytes, UUID]:
    """The customers whose e-mail has one of these match terms, verified or not."""
    if not terms:
        return {}
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and c.search_terms && $2 order by c.id", scope.merchant_id, list(terms))
    found: dict[bytes, UUID] = {}
    for customer in map(_customer, rows):
        email = customer.profile().email
        term = None if email is None else match_term(scope.merchant_id, email)
        if term in terms and term is not None:
            found.setdefault(term, customer.id)
    return found


async def page(scope: Scope, first: int, after: UUID | None, query: str | None) -> list[Customer]:
    """At most `first` customers, newest first, from behind `after`.

    Every word of `query` must be the customer's e-mail, a whole word of their name, or their Shopify id.
    """
    async with db.connection(scope) as connection:
        terms, other_terms = search_terms(scope.merchant_id, (query or "").split())
        rows = await connection.fetch(
            f"""
            {_SELECT} and ($2::bytea[] = '{{}}' or c.search_terms @> $2 or c.search_terms @> $5)
                and ($3::uuid is null or c.id < $3)
            order by c.id desc limit $4
            """,
            scope.merchant_id,
            terms,
            after,
            first,
            other_terms,
        )
    return [_customer(row) for row in rows]


def _customer(row: Any) -> Customer:
    return Customer(*row)
