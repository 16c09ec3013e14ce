"""Reading the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db
from domain.points.rules import TransactionType
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Transaction:
    """An entry of the ledger, as it was written."""

    customer_id: UUID
    position: int
    type: str
    points: int
    pending: int
    balance_after: int
    pending_after: int
    source: str
    external_id: str
    purpose: str
    program_version: int | None
    reason: str | None
    actor: str
    trace: str | None
    occurred_at: datetime
    hash: bytes
    lot: int | None
    reverses: int | None
    expires_at: datetime | None
    shares: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account: its figures, the number and the hash of its newest entry, and when its customer earned or spent last."""

    customer_id: UUID
    balance: int
    pending: int
    version: int
    last_hash: bytes
    active_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as a link of its account's chain, with all that its hash is made of."""

    position: int
    hash: bytes
    previous_hash: bytes
    digest: bytes
    balance_after: int
    pending_after: int
    occurred_at: datetime


_SELECT = f"select {', '.join(field.name for field in fields(Transaction))} from points_transactions where merchant_id = $1"


async def account(scope: Scope, customer_id: UUID) -> Account | None:
    """A customer's account."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select customer_id, balance, pending, version, last_hash, active_at from points_accounts
            where merchant_id = $1 and customer_id = $2
            """,
            scope.merchant_id,
            customer_id,
        )
    return Account(*row) if row else None


async def newest_at(scope: Scope, customer_id: UUID, at: datetime) -> Link | None:
    """The newest entry of an account among those booked at an instant or earlier, or None before the first."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select t.position, t.hash, coalesce(p.hash, points_genesis(t.merchant_id, t.customer_id)), t.digest,
                t.balance_after, t.pending_after, t.occurred_at
            from points_transactions t
            left join points_transactions p
                on p.merchant_id = $1 and p.customer_id = $2 and p.position = t.position - 1
            where t.merchant_id = $1 and t.customer_id = $2 and t.occurred_at <= $3
            order by t.position desc limit 1
            """,
            scope.merchant_id,
            customer_id,
            at,
        )
    return Link(*row) if row else None


async def transaction(scope: Scope, customer_id: UUID, position: int) -> Transaction | None:
    """One entry of a customer's account."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"{_SELECT} and customer_id = $2 and position = $3", scope.merchant_id, customer_id, position
        )
    return _transaction(row) if row else None


async def transactions(scope: Scope, customer_id: UUID, positions: Sequence[int]) -> dict[int, Transaction]:
    """The entries of an account at these positions."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and customer_id = $2 and position = any ($3)", scope.merchant_id, customer_id, list(positions)
        )
    return {row["position"]: _transaction(row) for row in rows}


async def since(scope: Scope, customer_id: UUID, position: int, limit: int) -> list[Transaction]:
    """The entries of an account behind `position`, oldest first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and customer_id = $2 and position > $3 order by position limit $4",
            scope.merchant_id,
            customer_id,
            position,
            limit,
        )
    return [_transaction(row) for row in rows]


async def page(
    scope: Scope,
    first: int,
    after: tuple[datetime, UUID, int] | None,
    *,
    customer_id: UUID | None = None,
    type: TransactionType | None = None,
    order_id: int | None = None,
    from_: datetime | None = None,
    until: datetime | None = None,
) -> list[Transaction]:
    """At most `first` entries, newest first, from behind `after` (instant, customer, position).

    order_id: the Shopify order that caused the entry. from_ and until: instants, half-open.
    """
    conditions: list[str] = []
    values: list[Any] = [scope.merchant_id]

    def where(condition: str, *given: Any) -> None:
        numbers = [f"${len(values) + index + 1}" for index in range(len(given))]
        conditions.append(condition.format(*numbers))
        values.extend(given)

    if customer_id is not None:
        where("customer_id = {}", customer_id)
    if type is not None:
        where("type = {}", type.value)
    if order_id is not None:
        where("source = 'order' and external_id = {}", str(order_id))
    if from_ is not None:
        where("occurred_at >= {}", from_)
    if until is not None:
        where("occurred_at < {}", until)
    if after is not None:
        where("(occurred_at, customer_id, position) < ({}, {}, {})", *after)
    sql = "".join([_SELECT, *(f" and {condition}" for condition in conditions)])
    values.append(first)
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{sql} order by occurred_at desc, customer_id desc, position desc limit ${len(values)}", *values
        )
    return [_transaction(row) for row in rows]


def _transaction(row: Any) -> Transaction:
    return Transaction(*row)
