"""Rewards: what points can be spent on, and how it comes to be in Shopify."""

from domain.rewards.catalogue import add_coupons, create, update
from domain.rewards.commands import cancel, redeem
from domain.rewards.queries import (
    Redemption,
    Reservation,
    Reward,
    pay_with_points,
    redemption,
    redemptions_page,
    reservation,
    reward,
    rewards_by_ids,
    rewards_page,
    standing,
    taken,
)
from domain.rewards.reservations import end_due, release, reserve
from domain.rewards.rules import (
    Definition,
    DiscountClass,
    InvalidReward,
    Obstacle,
    RedemptionStatus,
    RewardKind,
    RewardStatus,
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
    "add_coupons",
    "cancel",
    "create",
    "end_due",
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
    "standing",
    "taken",
    "track",
    "update",
]
