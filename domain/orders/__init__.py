"""Orders: their points are a function of their state, and the ledger books differences."""

from domain.orders.commands import converge, mature
from domain.orders.door import keep
from domain.orders.facts import Deletion, Dispute, Fact, read_fact
from domain.orders.queries import Order, by_shopify_id, maturing_of
from domain.orders.replay import Drift, Page, replay
from domain.orders.rules import InvalidOrder, OrderSnapshot, Payment, Refund, parse
from domain.orders.simulation import simulate

__all__ = [
    "Deletion",
    "Dispute",
    "Drift",
    "Fact",
    "InvalidOrder",
    "Order",
    "OrderSnapshot",
    "Page",
    "Payment",
    "Refund",
    "by_shopify_id",
    "converge",
    "keep",
    "mature",
    "maturing_of",
    "parse",
    "read_fact",
    "replay",
    "simulate",
]
