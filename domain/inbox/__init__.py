"""Deliveries from Shopify: stored before they are answered, worked off after."""

from domain.inbox.commands import claim, receive, retry, retry_all, set_aside, wake, work_off
from domain.inbox.handlers import handles
from domain.inbox.kinds import TOPICS, Kind, Status
from domain.inbox.queries import Received, by_webhook_id, due, page
from domain.inbox.rules import Delivery, Failure, NotJson, customer_key, customers_of, delivery, failure_of, order_key
from domain.inbox.waiting import Waiting

__all__ = [
    "TOPICS",
    "Delivery",
    "Failure",
    "Kind",
    "NotJson",
    "Received",
    "Status",
    "Waiting",
    "by_webhook_id",
    "claim",
    "customer_key",
    "customers_of",
    "delivery",
    "due",
    "failure_of",
    "handles",
    "order_key",
    "page",
    "receive",
    "retry",
    "retry_all",
    "set_aside",
    "wake",
    "work_off",
]
