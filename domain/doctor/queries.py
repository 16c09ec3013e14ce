"""What the ledger has of orders."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from domain import db, orders
from domain.doctor.reading import State
from domain.doctor.rules import Drift, Kept, drift_of
from domain.orders.rules import is_newer
from domain.scope import Scope

PAGE = 5_000


async def compare(scope: Scope, states: Sequence[State]) -> list[Drift]:
    """Which of these orders drift, and why: from what is stored alone. Of an order that comes twice the newest counts."""
    newest: dict[int, State] = {}
    for state in states:
        earlier = newest.get(state.snapshot.id)
        if earlier is None or is_newer(state.snapshot, state.text, earlier.snapshot, earlier.text):
            newest[state.snapshot.id] = state
    kept = await _kept(scope, list(newest))
    drifts = [drift_of(state, kept.get(shopify_id)) for shopify_id, state in newest.items()]
    return [drift for drift in drifts if drift is not None]


async def _kept(scope: Scope, shopify_ids: list[int]) -> dict[int, Kept]:
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select o.shopify_id, o.snapshot, o.posted_points, o.posted_pending, l.points, l.pending
            from orders o cross join lateral (
                select coalesce(sum(t.points), 0)::bigint as points, coalesce(sum(t.pending), 0)::bigint as pending
                from points_transactions t
                where t.merchant_id = $1 and t.source = 'order' and t.external_id = o.shopify_id::text
            ) l
            where o.merchant_id = $1 and o.shopify_id = any ($2)
            """,
            scope.merchant_id,
            shopify_ids,
        )
    return {
        row["shopify_id"]: Kept(
            orders.parse(row["snapshot"]),
            row["snapshot"],
            (row["posted_points"], row["posted_pending"]),
            (row["points"], row["pending"]),
        )
        for row in rows
    }


async def created_between(scope: Scope, first: datetime, last: datetime) -> AsyncIterator[int]:
    """The numbers of the orders that the ledger has and that were placed from `first` to `last`, in ascending order."""
    behind = -1
    while True:
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                """
                select shopify_id from orders
                where merchant_id = $1 and shopify_id > $2 and created_at between $3 and $4 order by shopify_id limit $5
                """,
                scope.merchant_id,
                behind,
                first,
                last,
                PAGE,
            )
        for row in rows:
            yield row["shopify_id"]
        if len(rows) < PAGE:
            return
        behind = rows[-1]["shopify_id"]
