"""Orders: their points are a function of their state, and the ledger books differences."""

from domain.orders.commands import converge, mature
from domain.orders.queries import Order, by_shopify_id
from domain.orders.rules import InvalidOrder, OrderSnapshot, keep, parse
from domain.orders.simulation import simulate

__all__ = [
    "InvalidOrder",
    "Order",
    "OrderSnapshot",
    "by_shopify_id",
    "converge",
    "keep",
    "mature",
    "parse",
    "simulate",
]
