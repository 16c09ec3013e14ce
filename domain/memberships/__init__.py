"""What customers belong to: one tier or none, and segments. Staff and partners say so; rewards and checkout go by it."""

from domain.memberships.commands import CHANGED, set_segments, set_tier, turn
from domain.memberships.queries import Membership, of_customers, only
from domain.memberships.rules import SEGMENTS_MAX, is_handle

__all__ = [
    "CHANGED",
    "SEGMENTS_MAX",
    "Membership",
    "is_handle",
    "of_customers",
    "only",
    "set_segments",
    "set_tier",
    "turn",
]
