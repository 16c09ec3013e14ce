"""What a reward is, when a customer can take it, and why not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from domain import money
from domain.errors import Code, DomainError
from domain.memberships import Membership, is_handle
from domain.points import POINTS_MAX

NAME_LENGTH_MAX = 80
DESCRIPTION_LENGTH_MAX = 1000
LOCALES_MAX = 40
PRODUCTS_MAX = 100
NAMES_MAX = 50
QUANTITY_MAX = 1000
VALID_DAYS_MAX = 3650
HUNDREDTHS_MAX = 10_000
FALLBACK_LOCALE = "en"


class RewardKind(StrEnum):
    """What a customer gets for their points."""

    AMOUNT_OFF = "amount_off"
    PERCENTAGE = "percentage"
    FREE_SHIPPING = "free_shipping"
    FREE_PRODUCT = "free_product"
    EXCLUSIVE_PRODUCT = "exclusive_product"
    COUPON = "coupon"
    CASHBACK = "cashback"
    PAY_WITH_POINTS = "pay_with_points"


class RewardStatus(StrEnum):
    """Whether a reward is offered."""

    ACTIVE = "active"
    PAUSED = "paused"


class RedemptionStatus(StrEnum):
    """Where a redemption stands. The points are gone while it is held, issued or used."""

    HELD = "held"
    ISSUED = "issued"
    USED = "used"
    CANCELLING = "cancelling"
    EXPIRING = "expiring"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"
    RETURNED = "returned"


class DiscountClass(StrEnum):
    """Shopify's classes of discounts."""

    ORDER = "order"
    PRODUCT = "product"
    SHIPPING = "shipping"


class Obstacle(StrEnum):
    """Why a reward cannot be taken now."""

    PAUSED = "paused"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OUT_OF_STOCK = "out_of_stock"
    LIMIT_REACHED = "limit_reached"
    TIER_REQUIRED = "tier_required"
    SEGMENT_REQUIRED = "segment_required"
    INSUFFICIENT_POINTS = "insufficient_points"


class InvalidReward(DomainError):
    """The reward's definition breaks a rule; `field` says which."""

    code = Code.REWARD_INVALID


class RewardChanged(DomainError):
    """The reward was edited since the revision given."""

    code = Code.REWARD_CHANGED


class RewardUnavailable(DomainError):
    """The reward cannot be taken by this customer now."""

    code = Code.REWARD_UNAVAILABLE


class NotCancellable(DomainError):
    """The redemption is used, over, or of a kind that cannot be taken back."""

    code = Code.REDEMPTION_NOT_CANCELLABLE


class AlreadyReserved(DomainError):
    """The customer has set points aside for a checkout already."""

    code = Code.POINTS_RESERVED


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reward's content. Amounts are minor units of the shop's currency, percentages hundredths: 1250 is 12.5 %.

    points: what it costs; for paying with points, the points that are worth `amount_minor`. names and descriptions: by locale;
    every reward has an English name. percent_hundredths: the percentage; for paying with points, the share of a cart that may
    be paid so. valid_days: how long an issued code lasts. returns_unused: whether a code that ran out gives its points back.
    """

    kind: RewardKind
    names: dict[str, str]
    points: int
    descriptions: dict[str, str] = {}
    amount_minor: int | None = None
    percent_hundredths: int | None = None
    quantity: int = 1
    product_ids: list[int] = []
    minimum_subtotal_minor: int | None = None
    limit_per_customer: int | None = None
    tiers: list[str] = []
    segments: list[str] = []
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    combines_with: list[DiscountClass] = []
    valid_days: int | None = None
    returns_unused: bool = True

    def name(self, locale: str = FALLBACK_LOCALE) -> str:
        """The name in a locale, in its language without the region, or in English."""
        return name_in(self.names, locale)

    def description(self, locale: str = FALLBACK_LOCALE) -> str | None:
        """The description likewise; None when there is none."""
        return _localised(self.descriptions, locale) or self.descriptions.get(FALLBACK_LOCALE)


def name_in(names: dict[str, str], locale: str) -> str:
    """The name in a locale, in its language without the region, or in English, which every reward has."""
    return _localised(names, locale) or names[FALLBACK_LOCALE]


def _localised(texts: dict[str, str], locale: str) -> str | None:
    return texts.get(locale) or texts.get(locale.partition("-")[0])


def definition_from(text: str) -> Definition:
    """A stored definition."""
    return msgspec.json.decode(text, type=Definition)


def definition_text(definition: Definition) -> str:
    """A definition as it is stored: the same definition is always the same text."""
    return msgspec.json.encode(definition, order="deterministic").decode()


_AMOUNT = {RewardKind.AMOUNT_OFF, RewardKind.CASHBACK, RewardKind.PAY_WITH_POINTS}
_PERCENT = {RewardKind.PERCENTAGE, RewardKind.EXCLUSIVE_PRODUCT}
_PRODUCTS = {RewardKind.FREE_PRODUCT, RewardKind.EXCLUSIVE_PRODUCT}
_MINIMUM = {RewardKind.AMOUNT_OFF, RewardKind.PERCENTAGE, RewardKind.FREE_SHIPPING, RewardKind.EXCLUSIVE_PRODUCT}
IN_SHOPIFY = {*_AMOUNT, *_PERCENT, *_PRODUCTS, RewardKind.FREE_SHIPPING} - {RewardKind.PAY_WITH_POINTS}
"""The kinds for which something is made in Shopify when one is taken."""
WITH_CODE = IN_SHOPIFY - {RewardKind.CASHBACK}


def validate(definition: Definition) -> None:
    """Raises InvalidReward unless the definition could be offered."""
    kind = definition.kind
    _check_texts(definition)
    _between(definition.points, 1, POINTS_MAX, "points")
    _present(definition.amount_minor is not None, kind in _AMOUNT, "amount")
    _between(definition.amount_minor, 1, POINTS_MAX, "amount")
    _present(definition.percent_hundredths is not None, kind in _PERCENT, "percent", optional=kind is RewardKind.PAY_WITH_POINTS)
    _between(definition.percent_hundredths, 1, HUNDREDTHS_MAX, "percent")
    _present(bool(definition.product_ids), kind in _PRODUCTS, "productIds")
    if len(definition.product_ids) > PRODUCTS_MAX:
        raise InvalidReward(f"A reward names at most {PRODUCTS_MAX} products.", field=("productIds",))
    if definition.minimum_subtotal_minor is not None and kind not in _MINIMUM:
        raise InvalidReward("This kind of reward takes no minimum subtotal.", field=("minimumSubtotal",))
    _between(definition.minimum_subtotal_minor, 1, POINTS_MAX, "minimumSubtotal")
    _between(definition.quantity, 1, QUANTITY_MAX, "quantity")
    _between(definition.limit_per_customer, 1, POINTS_MAX, "limitPerCustomer")
    _between(definition.valid_days, 1, VALID_DAYS_MAX, "validDays")
    if kind is RewardKind.CASHBACK and definition.valid_days is None:
        raise InvalidReward("Store credit needs an end: it is what tells one credit from another.", field=("validDays",))
    if definition.starts_at and definition.ends_at and definition.ends_at <= definition.starts_at:
        raise InvalidReward("A reward ends after it starts.", field=("endsAt",))
    for name, values in (("tiers", definition.tiers), ("segments", definition.segments)):
        if len(values) > NAMES_MAX or not all(map(is_handle, values)):
            raise InvalidReward(f"At most {NAMES_MAX} handles of 1 to 64 small letters, digits and hyphens.", field=(name,))


def _check_texts(definition: Definition) -> None:
    if FALLBACK_LOCALE not in definition.names:
        raise InvalidReward("A reward has an English name.", field=("names",))
    for name, texts, longest in (
        ("names", definition.names, NAME_LENGTH_MAX),
        ("descriptions", definition.descriptions, DESCRIPTION_LENGTH_MAX),
    ):
        if len(texts) > LOCALES_MAX or any(not 2 <= len(locale) <= 35 for locale in texts):
            raise InvalidReward(f"At most {LOCALES_MAX} locales, such as en or pt-BR.", field=(name,))
        if any(not text.strip() or len(text) > longest for text in texts.values()):
            raise InvalidReward(f"Each text has 1 to {longest} characters.", field=(name,))


def _present(given: bool, wanted: bool, field: str, *, optional: bool = False) -> None:
    if given != wanted and not optional:
        message = "This kind of reward needs it." if wanted else "This kind of reward does not take it."
        raise InvalidReward(message, field=(field,))


def _between(value: int | None, least: int, most: int, field: str) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidReward(f"It is between {least} and {most}.", field=(field,))


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides whether a customer may take a reward. taken: how many of it they have taken and not got back."""

    balance: int
    taken: int
    membership: Membership


def obstacles(
    definition: Definition, status: str, stock: int | None, standing: Standing, at: datetime
) -> tuple[list[Obstacle], int]:
    """Every reason why the reward cannot be taken now, the most lasting first, and how many points are missing."""
    missing = max(0, definition.points - standing.balance)
    reached = definition.limit_per_customer is not None and standing.taken >= definition.limit_per_customer
    found = {
        Obstacle.PAUSED: status != RewardStatus.ACTIVE,
        Obstacle.ENDED: definition.ends_at is not None and definition.ends_at <= at,
        Obstacle.NOT_STARTED: definition.starts_at is not None and definition.starts_at > at,
        Obstacle.TIER_REQUIRED: bool(definition.tiers) and standing.membership.tier not in definition.tiers,
        Obstacle.SEGMENT_REQUIRED: bool(definition.segments)
        and set(standing.membership.segments).isdisjoint(definition.segments),
        Obstacle.LIMIT_REACHED: reached,
        Obstacle.OUT_OF_STOCK: stock == 0,
        Obstacle.INSUFFICIENT_POINTS: missing > 0,
    }
    return [obstacle for obstacle, stands in found.items() if stands], missing


def refusal(obstacle: Obstacle, missing: int) -> DomainError:
    """The refusal of a command for an obstacle."""
    if obstacle is Obstacle.INSUFFICIENT_POINTS:
        return DomainError(f"The customer is {missing} points short.", field=("rewardId",), code=Code.INSUFFICIENT_POINTS)
    return RewardUnavailable(f"This reward cannot be taken: {obstacle.value}.", field=("rewardId",), code=_CODES[obstacle])


_CODES = {
    Obstacle.PAUSED: Code.REWARD_UNAVAILABLE,
    Obstacle.ENDED: Code.REWARD_UNAVAILABLE,
    Obstacle.NOT_STARTED: Code.REWARD_UNAVAILABLE,
    Obstacle.TIER_REQUIRED: Code.REWARD_NOT_FOR_CUSTOMER,
    Obstacle.SEGMENT_REQUIRED: Code.REWARD_NOT_FOR_CUSTOMER,
    Obstacle.LIMIT_REACHED: Code.REWARD_LIMIT_REACHED,
    Obstacle.OUT_OF_STOCK: Code.REWARD_OUT_OF_STOCK,
}


def percent_text(hundredths: int) -> str:
    """A percentage as decimal text: 1250 is 12.50."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02d}"


def amount_text(minor: int, currency: str) -> str:
    """An amount as decimal text of the shop's currency."""
    return money.render(minor, currency)
