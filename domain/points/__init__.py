"""The ledger: the only package that writes it."""

from domain.points.commands import Posted, adjust, award_signups, post
from domain.points.lots import Lot, NothingToRestore, Standing, expire, hold, open_lots, restore
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
    "Lot",
    "NothingToRestore",
    "PointsOutOfRange",
    "Posted",
    "Standing",
    "Transaction",
    "TransactionType",
    "adjust",
    "award_signups",
    "expire",
    "hold",
    "open_lots",
    "page",
    "post",
    "restore",
    "since",
    "transaction",
]
