"""Reading orders."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain import db
from domain.orders.facts import Facts, facts_from
from domain.scope import Scope


class Order(msgspec.Struct, frozen=True):
    """An order as the ledger sees it: its newest snapshot, what it deserves and why, and what is posted for it.

    A struct, because each booking changes it several times, and a dataclass of this size takes 15 µs for each change.
    """

    shopify_id: int
    customer_id: UUID | None
    currency: str
    created_at: datetime
    snapshot: str
    snapshot_updated_at: datetime
    program_version: int | None
    history: str | None
    deserved: int
    reason: str | None
    trace: str | None
    paid_at: datetime | None
    matures_at: datetime | None
    posted_points: int
    posted_pending: int
    revision: int
    lots: list[int]
    pending_entry: int | None
    absorbed: int
    forgiven: int
    seized: int
    facts: str | None
    email_term: bytes | None
    claimed_by: int | None
    waiting: bool
    expired_elsewhere: int

    def told(self) -> Facts:
        """What was told of it besides its snapshots."""
        return facts_from(self.facts)

    @property
    def is_disputed(self) -> bool:
        """Whether a dispute is open. Of most orders nothing is told besides."""
        return self.facts is not None and self.told().is_disputed


_SELECT = f"select {', '.join(Order.__struct_fields__)} from orders where merchant_id = $1"


async def by_shopify_id(scope: Scope, shopify_id: int) -> Order | None:
    """The order that Shopify knows by this number."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(f"{_SELECT} and shopify_id = $2", scope.merchant_id, shopify_id)
    return _order(row) if row else None


async def locked(scope: Scope, shopify_ids: Sequence[int]) -> dict[int, Order]:
    """The orders with these numbers, locked in the order of their numbers. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and shopify_id = any ($2) order by shopify_id for update", scope.merchant_id, list(set(shopify_ids))
        )
    return {row["shopify_id"]: _order(row) for row in rows}


async def maturing(scope: Scope, limit: int, until: datetime) -> list[Order]:
    """At most `limit` orders whose hold had passed by `until`, locked, those first that matured first.

    Those that another worker holds are left to it.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and matures_at <= $2 order by matures_at, shopify_id limit $3 for update skip locked",
            scope.merchant_id,
            until,
            limit,
        )
    return [_order(row) for row in rows]


async def maturing_of(scope: Scope, customer_id: UUID, until: datetime) -> list[Order]:
    """A customer's orders with pending points whose hold will have passed by `until`, those first that mature first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_SELECT} and customer_id = $2 and posted_pending > 0 and matures_at <= $3 order by matures_at, shopify_id
            """,
            scope.merchant_id,
            customer_id,
            until,
        )
    return [_order(row) for row in rows]


async def pending_of(scope: Scope, customer_id: UUID, except_for: int) -> list[Order]:
    """A customer's other orders with pending points, locked, those first that mature first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_SELECT} and customer_id = $2 and posted_pending > 0 and shopify_id <> $3
            order by matures_at, shopify_id for update
            """,
            scope.merchant_id,
            customer_id,
            except_for,
        )
    return [_order(row) for row in rows]


async def of_customer(scope: Scope, customer_id: UUID) -> list[Order]:
    """All orders of a customer, locked in the order of their numbers. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and customer_id = $2 order by shopify_id for update", scope.merchant_id, customer_id
        )
    return [_order(row) for row in rows]


async def hold_of(scope: Scope, customer_ids: Collection[UUID], shopify_ids: Collection[int] = ()) -> None:
    """Lock all orders of these customers, and those with these numbers, in the order of their numbers.

    Precondition: an open transaction.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            with held as (
                select 1 from orders where merchant_id = $1 and (customer_id = any ($2) or shopify_id = any ($3))
                order by shopify_id for update
            )
            select count(*) from held
            """,
            scope.merchant_id,
            list(customer_ids),
            list(shopify_ids),
        )


def _order(row: Any) -> Order:
    return Order(*row)
