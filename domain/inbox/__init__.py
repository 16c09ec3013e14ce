"""Deliveries from Shopify: stored before they are answered, worked off after."""

from domain.inbox.commands import Waiting, claim, receive, set_aside, work_off
from domain.inbox.rules import TOPICS, Delivery, Kind, NotJson, delivery

__all__ = [
    "TOPICS",
    "Delivery",
    "Kind",
    "NotJson",
    "Waiting",
    "claim",
    "delivery",
    "receive",
    "set_aside",
    "work_off",
]
