"""Settling orders that drift: the booking of every other delivery, with Shopify's own state in its place."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from domain import db, inbox, orders, rewards
from domain.doctor.rules import SETTLED, Drift, Movement
from domain.scope import Scope


async def settle(scope: Scope, drifts: Sequence[Drift]) -> list[Drift]:
    """Take over Shopify's state of orders that drift. Returns them with the entries that this makes.

    Precondition: an open transaction, which the caller commits to book, or rolls back when it only wants to know. Drifts that
    booking does not mend come back as they are. Doing it twice is doing it once. Raises what `orders.converge` raises.
    """
    states = [drift.state for drift in drifts if drift.cause in SETTLED and drift.state is not None]
    if not states:
        return list(drifts)
    numbers = [state.snapshot.id for state in states]
    before = await _entries(scope, numbers)
    await orders.converge(scope, [(state.snapshot, state.text) for state in states])
    await rewards.track(scope, [state.text for state in states])
    buyers = {inbox.customer_key(state.snapshot.customer.id) for state in states if state.snapshot.customer}
    await inbox.wake(scope, buyers | {inbox.order_key(number) for number in numbers})
    movements: dict[int, list[Movement]] = defaultdict(list)
    for cause, movement in (await _entries(scope, numbers)).items():
        if cause not in before:
            movements[int(cause[0])].append(movement)
    return [replace(drift, movements=tuple(movements[drift.shopify_id])) for drift in drifts]


async def _entries(scope: Scope, numbers: Sequence[int]) -> dict[tuple[str, str], Movement]:
    """What was posted for these orders, in the order of posting, by number and purpose.

    The orders are locked as `orders.converge` locks them, so that what is found after it and was not before is its own.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            "select 1 from orders where merchant_id = $1 and shopify_id = any ($2) order by shopify_id for update",
            scope.merchant_id,
            list(numbers),
        )
        rows = await connection.fetch(
            """
            select t.external_id, t.purpose, c.shopify_id, t.points, t.pending
            from points_transactions t join customers c on c.merchant_id = $1 and c.id = t.customer_id
            where t.merchant_id = $1 and t.source = 'order' and t.external_id = any ($2)
            order by t.occurred_at, t.customer_id, t.position
            """,
            scope.merchant_id,
            [str(number) for number in numbers],
        )
    return {
        (row["external_id"], row["purpose"]): Movement(row["shopify_id"], row["points"], row["pending"], row["purpose"])
        for row in rows
    }
