"""Reduces and evaluates stored orders again, and tells which of them no longer come to what is booked.

It reads in pages, so that memory does not grow with the orders.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from domain import db, programs
from domain.orders.evaluation import evaluate
from domain.orders.guests import of_claimant, reason_of
from domain.orders.net import History
from domain.orders.queries import Order
from domain.scope import Scope

PAGE = 1_000
SMALLEST, LARGEST = -(2**63), 2**63 - 1

_SELECT = f"select {', '.join(Order.__struct_fields__)} from orders where merchant_id = $1"


@dataclass(frozen=True, slots=True)
class Drift:
    """An order that comes to something else than what is kept with it, or whose entries do not add up to it."""

    shopify_id: int
    kept: tuple[int, str | None, str | None]
    computed: tuple[int, str | None, str | None]
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of orders came to. `last` is the number of its last order."""

    orders: int
    last: int
    drifts: list[Drift]


async def replay(scope: Scope, after: int = SMALLEST, until: int = LARGEST) -> AsyncIterator[Page]:
    """Evaluate every stored order again whose number is behind `after` and at most `until`, from its snapshot, its facts, its
    frozen version and its frozen history, and compare points, reason and explanation with what is kept."""
    while True:
        async with db.connection(scope) as connection:
            rows = await connection.fetch(
                f"{_SELECT} and shopify_id > $2 and shopify_id <= $3 order by shopify_id limit $4",
                scope.merchant_id,
                after,
                until,
                PAGE,
            )
        if not rows:
            return
        page = [Order(*row) for row in rows]
        after = page[-1].shopify_id
        yield Page(len(page), after, await _compare(scope, page))
        if len(page) < PAGE:
            return


async def _compare(scope: Scope, page: list[Order]) -> list[Drift]:
    versions = await programs.by_numbers(scope, {order.program_version for order in page if order.program_version})
    known = {one.shopify_id: msgspec.json.decode(one.history, type=History) for one in page if one.history is not None}
    computed = evaluate(
        {order.shopify_id: (of_claimant(order), order.snapshot) for order in page},
        {order.shopify_id: order.customer_id for order in page},
        {order.shopify_id: versions[order.program_version] if order.program_version else None for order in page},
        (known, set()),
        {order.shopify_id: order.told() for order in page if order.facts is not None},
    )
    drifts: list[Drift] = []
    for order in page:
        again = computed[order.shopify_id]
        posted = order.posted_points + order.posted_pending
        drift = Drift(
            order.shopify_id,
            (order.deserved, order.reason, order.trace),
            (again.points, reason_of(again.reason, order.email_term), again.trace),
            adds_up=posted == order.deserved + order.absorbed + order.forgiven + order.seized,
        )
        # What waits for its account to be opened is evaluated then, and until then stays as it was booked.
        if (drift.kept != drift.computed and not order.waiting) or not drift.adds_up:
            drifts.append(drift)
    return drifts
