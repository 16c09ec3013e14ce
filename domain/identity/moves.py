"""What of a merge concerns orders: their pending points, the lots that they know by number, and how both go back."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from domain import orders, points
from domain.orders import Order
from domain.points import Arrived
from domain.scope import Scope


class MovedOrder(msgspec.Struct, frozen=True):
    """An order that moved with its customer, as it was before, and where its lots went. Written down with the merge."""

    number: int
    lots: list[int]
    went_to: dict[int, int]
    expired_elsewhere: int


async def move(
    scope: Scope, moving: Sequence[Order], lots: Mapping[int, int], *, from_id: UUID, to_id: UUID, cause: str
) -> list[MovedOrder]:
    """Give orders and their pending points to another customer. lots: where the lots of the account went.

    Precondition: an open transaction that holds the orders, and has moved the lots.
    """
    expired = await points.expired_of(scope, from_id, [lot for order in moving for lot in order.lots])
    written = [
        replace(
            order,
            customer_id=to_id,
            lots=[lots[lot] for lot in order.lots if lot in lots],
            expired_elsewhere=order.expired_elsewhere + sum(expired[lot] for lot in order.lots),
        )
        for order in moving
    ]
    await _move_pending(scope, written, from_id=from_id, to_id=to_id, cause=cause, purpose="pending")
    return [
        MovedOrder(order.shopify_id, order.lots, {lot: lots[lot] for lot in order.lots if lot in lots}, order.expired_elsewhere)
        for order in moving
    ]


async def move_back(
    scope: Scope,
    moved: Mapping[int, MovedOrder],
    returning: Sequence[Order],
    arrived: Mapping[int, Arrived],
    *,
    to_id: UUID,
    cause: str,
) -> None:
    """Give orders and what is pending of them back to the customer from whom they came. arrived: what became of the lots.

    Precondition: an open transaction that holds the orders, and has moved the lots back.
    """
    written: list[Order] = []
    for order in returning:
        before = moved[order.shopify_id]
        lost = {lot: arrived[lot] for lot in order.lots}
        later = [one.lot for lot, one in lost.items() if lot not in before.went_to.values() and one.lot is not None]
        written.append(
            replace(
                order,
                customer_id=to_id,
                lots=[*before.lots, *later],
                expired_elsewhere=before.expired_elsewhere + sum(one.expired for one in lost.values()),
            )
        )
    if written:
        [from_id] = {order.customer_id for order in returning}
        assert from_id is not None, "they moved to a customer"
        await _move_pending(scope, written, from_id=from_id, to_id=to_id, cause=cause, purpose="back-pending")


def later_lots(moved: Mapping[int, MovedOrder], returning: Sequence[Order]) -> dict[int, UUID]:
    """The lots that orders have opened since they moved, and in whose account."""
    return {
        lot: order.customer_id
        for order in returning
        for lot in order.lots
        if order.customer_id is not None and lot not in moved[order.shopify_id].went_to.values()
    }


async def _move_pending(scope: Scope, moving: Sequence[Order], *, from_id: UUID, to_id: UUID, cause: str, purpose: str) -> None:
    """Move what is pending of orders, note the entry by which it is pending now, and write the orders."""
    entries = [
        points.moved(customer_id, 0, cause, f"{purpose}-{side}:{order.shopify_id}", pending=sign * order.posted_pending)
        for order in moving
        if order.posted_pending
        for customer_id, side, sign in ((from_id, "out", -1), (to_id, "in", 1))
    ]
    positions = {entries[one.index].purpose: one.position for one in await points.post(scope, entries)}
    await orders.write(
        scope,
        [replace(order, pending_entry=positions.get(f"{purpose}-in:{order.shopify_id}")) for order in moving],
        frozenset(),
    )
