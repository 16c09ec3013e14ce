"""The ledger: the only package that writes it."""

from domain.points.commands import Posted, adjust, award_signups, post
from domain.points.inactivity import Inactivity, expire_inactive, inactivity
from domain.points.lots import Lot, NothingToRestore, Standing, expire, expiring_lots, hold, open_lots, restore
from domain.points.notices import (
    Activity,
    ExpiryReason,
    Notice,
    activity_page,
    activity_since,
    horizon,
    warn_of_inactivity,
    warn_of_lots,
)
from domain.points.queries import Account, Link, Transaction, account, newest_at, page, since, transaction
from domain.points.rules import (
    POINTS_MAX,
    Entry,
    InsufficientPoints,
    PointsOutOfRange,
    TransactionType,
    genesis,
)

__all__ = [
    "POINTS_MAX",
    "Account",
    "Activity",
    "Entry",
    "ExpiryReason",
    "Inactivity",
    "InsufficientPoints",
    "Link",
    "Lot",
    "NothingToRestore",
    "Notice",
    "PointsOutOfRange",
    "Posted",
    "Standing",
    "Transaction",
    "TransactionType",
    "account",
    "activity_page",
    "activity_since",
    "adjust",
    "award_signups",
    "expire",
    "expire_inactive",
    "expiring_lots",
    "genesis",
    "hold",
    "horizon",
    "inactivity",
    "newest_at",
    "open_lots",
    "page",
    "post",
    "restore",
    "since",
    "transaction",
    "warn_of_inactivity",
    "warn_of_lots",
]
