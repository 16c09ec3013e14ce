"""Rewards: what points can be spent on, and how it comes to be in Shopify."""

from domain.rewards.catalogue import add_coupons, create, update
from domain.rewards.commands import cancel, redeem
from domain.rewards.queries import (
    Redemption,
    Reservation,
    Reward,
    is_theirs,
    pay_with_points,
    redemption,
    redemptions_page,
    reservation,
    reward,
    rewards_by_ids,
    rewards_page,
    taken,
)
from domain.rewards.reservations import end_due, release, reserve
from domain.rewards.returning import settle_returns
from domain.rewards.rules import (
    Definition,
    DiscountClass,
    InvalidReward,
    Obstacle,
    RedemptionStatus,
    RewardKind,
    RewardStatus,
    Standing,
    name_in,
    obstacles,
    percent_text,
)
from domain.rewards.tracking import keep, track

__all__ = [
    "Definition",
    "DiscountClass",
    "InvalidReward",
    "Obstacle",
    "Redemption",
    "RedemptionStatus",
    "Reservation",
    "Reward",
    "RewardKind",
    "RewardStatus",
    "Standing",
    "add_coupons",
    "cancel",
    "create",
    "end_due",
    "is_theirs",
    "keep",
    "name_in",
    "obstacles",
    "pay_with_points",
    "percent_text",
    "redeem",
    "redemption",
    "redemptions_page",
    "release",
    "reservation",
    "reserve",
    "reward",
    "rewards_by_ids",
    "rewards_page",
    "settle_returns",
    "taken",
    "track",
    "update",
]
