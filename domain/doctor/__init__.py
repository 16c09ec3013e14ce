"""The order doctor: compares the orders that Shopify has with those that the ledger has, and books what is missing."""

from domain.doctor.bulk import QUERY
from domain.doctor.commands import settle
from domain.doctor.numbers import SortedNumbers
from domain.doctor.queries import compare, created_between
from domain.doctor.reading import State, Unreadable, states, with_refunds
from domain.doctor.rules import SETTLED, Cause, Drift, Movement

__all__ = [
    "QUERY",
    "SETTLED",
    "Cause",
    "Drift",
    "Movement",
    "SortedNumbers",
    "State",
    "Unreadable",
    "compare",
    "created_between",
    "settle",
    "states",
    "with_refunds",
]
