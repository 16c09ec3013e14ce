"""The ledger: the only package that writes it."""

from domain.points.commands import adjust, award_signups, post
from domain.points.queries import Transaction, page, since, transaction
from domain.points.rules import (
    POINTS_MAX,
    Entry,
    InsufficientPoints,
    PointsOutOfRange,
    TransactionType,
)

__all__ = [
    "POINTS_MAX",
    "Entry",
    "InsufficientPoints",
    "PointsOutOfRange",
    "Transaction",
    "TransactionType",
    "adjust",
    "award_signups",
    "page",
    "post",
    "since",
    "transaction",
]
