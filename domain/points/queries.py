"""Reading the ledger."""

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


_SELECT = f"select {', '.join(field.name for field in fields(Transaction))} from points_transactions where merchant_id = $1"


async def transaction(scope: Scope, customer_id: UUID, position: int) -> Transaction | None:
    """One entry of a customer's account."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"{_SELECT} and customer_id = $2 and position = $3", scope.merchant_id, customer_id, position
        )
    return _transaction(row) if row else None


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
