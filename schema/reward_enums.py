"""The enums of rewards, described."""

from domain.rewards import DiscountClass, Obstacle, RedemptionStatus, RewardKind, RewardStatus
from schema.enums import describe

__all__ = ["DiscountClass", "Obstacle", "RedemptionStatus", "RewardKind", "RewardStatus"]

describe(
    RewardKind,
    name="RewardKind",
    description="What a reward gives.",
    values={
        RewardKind.AMOUNT_OFF: "A code that takes an amount off.",
        RewardKind.PERCENTAGE: "A code that takes a percentage off.",
        RewardKind.FREE_SHIPPING: "A code for free shipping.",
        RewardKind.FREE_PRODUCT: "A code by which so many units of a product cost nothing.",
        RewardKind.EXCLUSIVE_PRODUCT: "A code for a percentage off certain products, up to all of it.",
        RewardKind.COUPON: "A code of the merchant's own, out of a pool.",
        RewardKind.CASHBACK: "Store credit.",
        RewardKind.PAY_WITH_POINTS: "Points are paid with at checkout, as many as the customer wants.",
    },
)
describe(
    RewardStatus,
    name="RewardStatus",
    description="Whether a reward is offered.",
    values={RewardStatus.ACTIVE: "It is offered.", RewardStatus.PAUSED: "It is kept, and nobody can take it."},
)
describe(
    RedemptionStatus,
    name="RedemptionStatus",
    description="Where a redemption stands.",
    values={
        RedemptionStatus.HELD: "The points are taken, and Shopify is being told.",
        RedemptionStatus.ISSUED: "The code works.",
        RedemptionStatus.USED: "It was used, or the store credit was given.",
        RedemptionStatus.CANCELLING: "It is being taken back: the code goes first, then the points return.",
        RedemptionStatus.EXPIRING: "The code has run out, and Shopify is asked whether it was used.",
        RedemptionStatus.CANCELLED: "It was taken back, and the points are back.",
        RedemptionStatus.EXPIRED: "The code ran out unused. Whether the points are back is the reward's to say.",
        RedemptionStatus.FAILED: "Shopify would not make it, and the points are back.",
        RedemptionStatus.RETURNED: "The order that used it was cancelled, and the points are back.",
    },
)
describe(
    DiscountClass,
    name="DiscountClass",
    description="Shopify's classes of discounts.",
    values={
        DiscountClass.ORDER: "Discounts on the whole order.",
        DiscountClass.PRODUCT: "Discounts on products.",
        DiscountClass.SHIPPING: "Discounts on shipping.",
    },
)
describe(
    Obstacle,
    name="RewardObstacle",
    description="Why a reward cannot be taken now.",
    values={
        Obstacle.PAUSED: "It is not offered at present.",
        Obstacle.NOT_STARTED: "It can be taken later.",
        Obstacle.ENDED: "It cannot be taken any more.",
        Obstacle.OUT_OF_STOCK: "None is left.",
        Obstacle.LIMIT_REACHED: "The customer has taken it as often as is allowed.",
        Obstacle.TIER_REQUIRED: "It is for another tier.",
        Obstacle.SEGMENT_REQUIRED: "It is for another segment.",
        Obstacle.INSUFFICIENT_POINTS: "The customer has too few points.",
    },
)
