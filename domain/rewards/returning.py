"""Points go back as the order goes back that they were spent on: pro rata, to the lots that they came from."""

from collections.abc import Collection

import msgspec
from loyalty_native import LoyaltyError, share_floor

from domain import db, money, orders
from domain.errors import DomainError
from domain.log import log
from domain.orders import Order
from domain.rewards import reservations, settling
from domain.rewards.queries import REDEMPTION, RESERVATION, Redemption, Reservation
from domain.scope import Scope


class _Application(msgspec.Struct):
    type: str = ""
    title: str | None = None
    code: str | None = None


class _Allocation(msgspec.Struct):
    amount: str | int | float = "0"
    discount_application_index: int = -1


class _Line(msgspec.Struct):
    id: int
    discount_allocations: list[_Allocation] = []


class _Discounted(msgspec.Struct):
    discount_applications: list[_Application] = []
    line_items: list[_Line] = []


_decoder = msgspec.json.Decoder(_Discounted, strict=False)


async def settle_returns(scope: Scope, order_numbers: Collection[int]) -> None:
    """Give back what is due of the points that these orders were paid with, or whose codes they used.

    What is due depends on the orders' state alone, and the difference to what came back already is booked: so the end is the same
    in whatever order and however often refunds are told. Precondition: an open transaction, in which the orders were written.
    """
    if not order_numbers:
        return
    async with db.connection(scope) as connection:
        redeemed = await connection.fetch(
            f"""
            select {REDEMPTION} from redemptions
            where merchant_id = $1 and order_id = any ($2) and status = 'used' order by id for update
            """,
            scope.merchant_id,
            list(order_numbers),
        )
        reserved = await connection.fetch(
            f"""
            select {RESERVATION} from reservations
            where merchant_id = $1 and order_id = any ($2) and status = 'captured' order by id for update
            """,
            scope.merchant_id,
            list(order_numbers),
        )
    for taken in (Redemption(*row) for row in redeemed):
        due = await _due(scope, taken.order_id, taken.points, taken.code, None)
        await settling.returned(scope, taken, due)
    for held in (Reservation(*row) for row in reserved):
        due = await _due(scope, held.order_id, held.points_used, None, held.definition.name())
        await reservations.give_back(scope, held, due)


async def _due(scope: Scope, number: int | None, points: int, code: str | None, title: str | None) -> int:
    """How many of the points are to be back by now: their share of what went back of the lines that the discount was on."""
    order = None if number is None else await orders.by_shopify_id(scope, number)
    if order is None:
        return 0
    try:
        left, whole = orders.remaining(order, _parts(order, code, title))
    except (DomainError, LoyaltyError) as error:
        # The orders' own reader has refused it as well, and says so where its deliveries are listed.
        log.warning("rewards.unreadable_order", merchant_id=str(scope.merchant_id), error=type(error).__name__)
        return 0
    return share_floor(points, whole - left, whole) if whole else 0


def _parts(order: Order, code: str | None, title: str | None) -> dict[int, int]:
    """What the discount took off each line, in minor units; nothing for one on the delivery."""
    told = _decoder.decode(order.snapshot)
    places = {
        place
        for place, one in enumerate(told.discount_applications)
        if (one.type == "automatic" and one.title == title if code is None else (one.code or "").upper() == code.upper())
    }
    return {
        line.id: amount
        for line in told.line_items
        if (
            amount := sum(
                money.parse(str(one.amount), order.currency)
                for one in line.discount_allocations
                if one.discount_application_index in places
            )
        )
    }
