"""Reading the inbox: what is due, what is known, and what came."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from domain import db
from domain.inbox.handlers import HANDLERS
from domain.inbox.kinds import Kind, Status
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery as it stands in the list: nothing of its payload."""

    webhook_id: str
    topic: str
    parent: str | None
    status: str
    attempts: int
    failure: str | None
    failure_message: str | None
    failure_path: str | None
    triggered_at: datetime | None
    received_at: datetime
    due_at: datetime
    request_id: str


_SELECT = f"select {', '.join(field.name for field in fields(Received))} from inbox where merchant_id = $1"


async def due(scope: Scope) -> list[Kind]:
    """The kinds of which something is due, in the order of their work. Each costs one look into the index."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select k.kind from unnest($2::text[]) with ordinality as k (kind, place)
            -- A limit, and not `exists`: that would be planned as a join that reads all that is pending.
            where (
                select true from inbox i
                where i.merchant_id = $1 and i.status = 'pending' and i.kind = k.kind and i.due_at <= $3 limit 1
            )
            order by k.place
            """,
            scope.merchant_id,
            [kind.value for kind in Kind if kind in HANDLERS],
            scope.at,
        )
    return [Kind(row["kind"]) for row in rows]


async def known(scope: Scope, parents: Collection[str]) -> set[str]:
    """Which of these orders and customers are known, as keys."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for parent in parents:
        of, _, number = parent.partition("/")
        numbers[of].append(int(number))
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select 'order/' || shopify_id as key from orders where merchant_id = $1 and shopify_id = any ($2)
            union all
            select 'customer/' || shopify_id from customers where merchant_id = $1 and shopify_id = any ($3)
            """,
            scope.merchant_id,
            numbers["order"],
            numbers["customer"],
        )
    return {row["key"] for row in rows}


async def by_webhook_id(scope: Scope, webhook_id: str) -> Received | None:
    """The delivery that Shopify knows by this id."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(f"{_SELECT} and webhook_id = $2", scope.merchant_id, webhook_id)
    return _received(row) if row else None


async def page(
    scope: Scope, first: int, after: tuple[datetime, str] | None, *, status: Status | None = None, topic: str | None = None
) -> list[Received]:
    """At most `first` deliveries, the newest first, from behind `after` (instant of receipt, webhook id)."""
    conditions: list[str] = []
    values: list[Any] = [scope.merchant_id]
    if status is not None:
        # Written out and not a parameter: the index of what was set aside is chosen by it.
        conditions.append(f"status = '{status.value}'")
    if topic is not None:
        values.append(topic)
        conditions.append(f"topic = ${len(values)}")
    if after is not None:
        values.extend(after)
        conditions.append(f"(received_at, webhook_id) < (${len(values) - 1}, ${len(values)})")
    values.append(first)
    sql = "".join([_SELECT, *(f" and {condition}" for condition in conditions)])
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{sql} order by received_at desc, webhook_id desc limit ${len(values)}", *values)
    return [_received(row) for row in rows]


def _received(row: Any) -> Received:
    return Received(*row)
