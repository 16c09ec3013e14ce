"""Orders: their points are a function of their state, and the ledger books differences."""

from domain.orders.commands import converge, mature, settle_again
from domain.orders.door import keep
from domain.orders.facts import Deletion, Dispute, Fact, read_fact
from domain.orders.guests import (
    claimable,
    forget_addresses,
    of_guests,
    pause,
    waiting_of,
    with_email,
)
from domain.orders.ledger import write
from domain.orders.queries import Order, by_shopify_id, hold_of, maturing_of, of_customer
from domain.orders.remaining import remaining
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
    "claimable",
    "converge",
    "forget_addresses",
    "hold_of",
    "keep",
    "mature",
    "maturing_of",
    "of_customer",
    "of_guests",
    "parse",
    "pause",
    "read_fact",
    "remaining",
    "replay",
    "settle_again",
    "simulate",
    "waiting_of",
    "with_email",
    "write",
]
