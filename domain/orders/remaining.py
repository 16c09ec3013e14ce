"""How much of an order is left, for whoever has a share in it: what a reward took off goes back as its order does."""

from collections.abc import Mapping

import msgspec

from domain import money
from domain.orders.net import core_order, share
from domain.orders.queries import Order
from domain.orders.rules import parse

OVER = frozenset({"refunded", "voided"})


class _Line(msgspec.Struct):
    id: str
    quantity: int
    unit_price: str
    discount: str
    tax: str


class _Kept(msgspec.Struct):
    lines: list[_Line]
    taxes_included: bool
    refunded: str = "0"


def remaining(order: Order, parts: Mapping[int, int] | None = None) -> tuple[int, int]:
    """(what is left, the whole) of parts of an order's lines, by the lines' numbers; without parts, of what the lines cost.

    A line that went back in part keeps that share of its part. Money that went back beyond the lines takes its share of
    all that is left of the goods; shipping that was not refunded holds nothing back. Minor units, rounded down line by line.
    Raises UnknownCurrency or InvalidAmount.
    """
    snapshot, currency = parse(order.snapshot), order.currency
    bought = {line.id: line.quantity for line in snapshot.line_items}
    if not parts:
        parts = {line.id: _minor(line.price, currency) * line.quantity for line in snapshot.line_items}
    whole = sum(parts.values())
    if snapshot.cancelled_at is not None or snapshot.financial_status in OVER:
        return 0, whole
    kept = msgspec.json.decode(core_order(snapshot, None, order.told(), void=False), type=_Kept)
    left = worth = 0
    for line in kept.lines:
        left += share(parts.get(int(line.id), 0), line.quantity, bought[int(line.id)])
        worth += _minor(line.unit_price, currency) * line.quantity - _minor(line.discount, currency)
        worth += 0 if kept.taxes_included else _minor(line.tax, currency)
    refunded = min(worth, _minor(kept.refunded, currency))
    return (share(left, worth - refunded, worth) if refunded else left), whole


def _minor(amount: str | float, currency: str) -> int:
    return money.parse(str(amount), currency)
