"""The commands about rewards, and the stream of a redemption."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import strawberry

from domain import calendar, merchants, money, rewards
from domain.access import Permission
from domain.errors import DomainError, NotFound
from domain.rewards import Definition, InvalidReward
from domain.scope import Scope
from schema.command import command
from schema.context import Info
from schema.doors import EVERYBODY, STAFF, STAFF_AND_CUSTOMERS
from schema.errors import UserError
from schema.identifiers import shopify_number, uuid_of
from schema.reward_enums import DiscountClass, RewardKind, RewardStatus
from schema.rewards import (
    PointsReservation,
    Redemption,
    Reward,
    redemption,
    reservation,
    shown,
    visible_redemption,
    whom,
)
from schema.scalars import Money, Points


@strawberry.input(description="A text in one language.")
class LocalisedTextInput:
    """A text and its locale."""

    locale: str = strawberry.field(description="The locale, such as en or pt-BR.")
    text: str = strawberry.field(description="The text.")


@strawberry.input(description="All that a reward says.")
class RewardInput:
    """A reward's content; which fields are needed depends on its kind."""

    kind: RewardKind = strawberry.field(description="What it gives. A reward stays of its kind.")
    names: list[LocalisedTextInput] = strawberry.field(description="Its names; one of them is English (en).")
    points: Points = strawberry.field(
        description="What it costs; for paying with points, how many points are worth `amount`. One or more."
    )
    descriptions: list[LocalisedTextInput] = strawberry.field(default_factory=list, description="Its descriptions.")
    amount: Money | None = strawberry.field(
        default=None, description="The amount off, the store credit, or what `points` are worth, in the shop's currency."
    )
    percent: str | None = strawberry.field(
        default=None,
        description='The percentage as decimal text with at most two decimals, such as "12.5"; above 0 and up to 100.',
    )
    quantity: int = strawberry.field(default=1, description="How many units are free, for a free product.")
    product_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="The products that it is for, by Shopify's global ids or numbers; at most 100."
    )
    minimum_subtotal: Money | None = strawberry.field(default=None, description="What the goods must cost at least.")
    limit_per_customer: Points | None = strawberry.field(default=None, description="How often one customer may take it.")
    stock: Points | None = strawberry.field(
        default=None, description="How many are left; null when nobody counts. A pool of coupons counts itself."
    )
    tiers: list[str] = strawberry.field(default_factory=list, description="Only for these tiers.")
    segments: list[str] = strawberry.field(default_factory=list, description="Only for these segments.")
    starts_at: datetime | None = strawberry.field(default=None, description="From when on it can be taken.")
    ends_at: datetime | None = strawberry.field(default=None, description="Until before when it can be taken.")
    combines_with: list[DiscountClass] = strawberry.field(
        default_factory=list, description="The classes of other discounts that it combines with."
    )
    valid_days: int | None = strawberry.field(
        default=None, description="How many days an issued code lasts, 1 to 3650. Store credit needs it."
    )
    returns_unused: bool = strawberry.field(
        default=True, description="Whether a code that has run out unused gives its points back."
    )
    status: RewardStatus = strawberry.field(default=RewardStatus.ACTIVE, description="Whether it is offered.")


@strawberry.type(description="The answer to `rewardCreate`.")
class RewardCreatePayload:
    """The new reward."""

    reward: Reward | None = strawberry.field(default=None, description="The new reward.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `rewardUpdate`.")
class RewardUpdatePayload:
    """The reward as it is now."""

    reward: Reward | None = strawberry.field(default=None, description="The reward as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `rewardCouponsAdd`.")
class RewardCouponsAddPayload:
    """The pool as it is now."""

    reward: Reward | None = strawberry.field(default=None, description="The reward as it is now.")
    added: int | None = strawberry.field(default=None, description="How many of the codes were new.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `rewardRedeem`.")
class RewardRedeemPayload:
    """The redemption."""

    redemption: Redemption | None = strawberry.field(
        default=None, description="The redemption as it was when the key was first used."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `redemptionCancel`.")
class RedemptionCancelPayload:
    """The redemption as it is now."""

    redemption: Redemption | None = strawberry.field(default=None, description="The redemption as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `pointsReserve`.")
class PointsReservePayload:
    """The reservation."""

    reservation: PointsReservation | None = strawberry.field(
        default=None, description="The reservation as it was when the key was first used."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `reservationRelease`.")
class ReservationReleasePayload:
    """The reservation as it is now."""

    reservation: PointsReservation | None = strawberry.field(default=None, description="The reservation as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


async def _definition(scope: Scope, given: RewardInput) -> Definition:
    """The input as the domain reads it. Raises InvalidReward or InvalidAmount with the field at fault."""
    currency = await merchants.currency(scope)

    def minor(amount: str | None, field: str) -> int | None:
        return None if amount is None else money.parse(amount, currency, field=("input", field))

    numbers = [shopify_number("Product", one) for one in given.product_ids]
    if None in numbers:
        raise InvalidReward("A product is gid://shopify/Product/632910392 or its number.", field=("input", "productIds"))
    return Definition(
        kind=given.kind,
        names={one.locale: one.text for one in given.names},
        points=given.points,
        descriptions={one.locale: one.text for one in given.descriptions},
        amount_minor=minor(given.amount, "amount"),
        percent_hundredths=_hundredths(given.percent),
        quantity=given.quantity,
        product_ids=sorted({number for number in numbers if number is not None}),
        minimum_subtotal_minor=minor(given.minimum_subtotal, "minimumSubtotal"),
        limit_per_customer=given.limit_per_customer,
        tiers=given.tiers,
        segments=given.segments,
        starts_at=_instant(given.starts_at, "startsAt"),
        ends_at=_instant(given.ends_at, "endsAt"),
        combines_with=given.combines_with,
        valid_days=given.valid_days,
        returns_unused=given.returns_unused,
    )


def _hundredths(percent: str | None) -> int | None:
    """A percentage in decimal text as hundredths of a percent: 12.5 is 1250."""
    if percent is None:
        return None
    whole, _, rest = percent.partition(".")
    digits = whole + rest
    if not (whole and len(whole) <= 3 and len(rest) <= 2 and digits.isascii() and digits.isdigit()):
        raise InvalidReward("A percentage is decimal text with at most two decimals.", field=("input", "percent"))
    return int(whole) * 100 + int(rest.ljust(2, "0"))


def _instant(at: datetime | None, field: str) -> datetime | None:
    if at is not None and not calendar.is_usable(at):
        raise InvalidReward("An instant needs its time zone, and a year from 1900 to 2999.", field=("input", field))
    return at


@contextmanager
def _in_input() -> Iterator[None]:
    """The domain names a field of the definition; the client finds it in `input`."""
    try:
        yield
    except InvalidReward as error:
        raise InvalidReward(error.message, field=("input", *error.field)) from error


_KEY = strawberry.argument(description="Any text of 1 to 255 characters that names this call and no other.")
_CUSTOMER = strawberry.argument(description="The customer, by our global id; a customer may leave it out.")


@strawberry.type
class RewardMutations:
    """The commands about rewards."""

    @strawberry.mutation(description="Put a reward into the catalogue. Audited.", extensions=[STAFF])
    @command
    async def reward_create(
        self, info: Info, input: Annotated[RewardInput, strawberry.argument(description="What it says.")]
    ) -> RewardCreatePayload:
        """Create a reward."""
        scope = info.context.scope
        definition = await _definition(scope, input)
        with _in_input():
            row = await rewards.create(scope, definition, stock=input.stock, status=input.status)
        return RewardCreatePayload(reward=(await shown(info, [row], None))[0])

    @strawberry.mutation(
        description="Replace what a reward says. What was taken before keeps what was promised then. Audited.",
        extensions=[STAFF],
    )
    @command
    async def reward_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The reward, by our global id.")],
        input: Annotated[RewardInput, strawberry.argument(description="All that it is to say from now on.")],
        revision: Annotated[
            int | None, strawberry.argument(description="The revision that was read; refused when it is not the reward's.")
        ] = None,
    ) -> RewardUpdatePayload:
        """Replace a reward."""
        scope = info.context.scope
        wanted = uuid_of("Reward", id)
        if wanted is None:
            raise NotFound("There is no such reward.", field=("id",))
        definition = await _definition(scope, input)
        with _in_input():
            row = await rewards.update(scope, wanted, definition, stock=input.stock, status=input.status, revision=revision)
        return RewardUpdatePayload(reward=(await shown(info, [row], None))[0])

    @strawberry.mutation(
        description="Add codes to a pool of coupons; those that are in a pool already are passed over. Audited.",
        extensions=[STAFF],
    )
    @command
    async def reward_coupons_add(
        self,
        info: Info,
        reward_id: Annotated[strawberry.ID, strawberry.argument(description="The reward, by our global id.")],
        codes: Annotated[list[str], strawberry.argument(description="1 to 1000 codes of 1 to 64 characters.")],
    ) -> RewardCouponsAddPayload:
        """Fill a pool."""
        wanted = uuid_of("Reward", reward_id)
        if wanted is None:
            raise NotFound("There is no such reward.", field=("rewardId",))
        row, added = await rewards.add_coupons(info.context.scope, wanted, codes)
        return RewardCouponsAddPayload(reward=(await shown(info, [row], None))[0], added=added)

    @strawberry.mutation(
        description=(
            "Take a reward. Its points leave the balance now; the code works as soon as Shopify has it, usually within a second: "
            "`redemptionUpdated` tells. Should Shopify refuse, the points come back. The same key with the same input gives the "
            "same answer and takes nothing twice."
        ),
        extensions=[STAFF_AND_CUSTOMERS.needing(Permission.POINTS)],
    )
    @command
    async def reward_redeem(
        self,
        info: Info,
        reward_id: Annotated[strawberry.ID, strawberry.argument(description="The reward, by our global id.")],
        idempotency_key: Annotated[str, _KEY],
        customer_id: Annotated[strawberry.ID | None, _CUSTOMER] = None,
        shop_domain: Annotated[
            str | None,
            strawberry.argument(
                description="In which of the merchant's shops it is to be used; left out, the one that the customer is in."
            ),
        ] = None,
    ) -> RewardRedeemPayload:
        """Redeem points for a reward."""
        customer = await whom(info, customer_id)
        wanted = uuid_of("Reward", reward_id)
        if customer is None:
            raise DomainError("Say whose points are to be spent.", field=("customerId",))
        if wanted is None:
            raise NotFound("There is no such reward.", field=("rewardId",))
        row = await rewards.redeem(
            info.context.scope,
            customer_id=customer,
            reward_id=wanted,
            idempotency_key=idempotency_key,
            shop_domain=shop_domain,
        )
        return RewardRedeemPayload(redemption=redemption(row))

    @strawberry.mutation(
        description=(
            "Take a redemption back: its code is deleted in Shopify, and then the points return. A code that was used, store "
            "credit and coupons that were given out stay. Calling it again changes nothing. Audited."
        ),
        extensions=[STAFF_AND_CUSTOMERS.needing(Permission.POINTS)],
    )
    @command
    async def redemption_cancel(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The redemption, by our global id.")]
    ) -> RedemptionCancelPayload:
        """Cancel a redemption."""
        wanted = uuid_of("Redemption", id)
        if wanted is None:
            raise NotFound("There is no such redemption.", field=("id",))
        row = await rewards.cancel(info.context.scope, wanted, customer_id=info.context.customer_id)
        return RedemptionCancelPayload(redemption=redemption(row))

    @strawberry.mutation(
        description=(
            "Set points aside for a checkout, for five minutes. The cart must then carry the reservation's attribute; the order "
            "that pays with the points captures them, and what it does not use comes back. The same key with the same input "
            "gives the same answer."
        ),
        extensions=[STAFF_AND_CUSTOMERS.needing(Permission.POINTS)],
    )
    @command
    async def points_reserve(
        self,
        info: Info,
        points: Annotated[Points, strawberry.argument(description="How many, one or more.")],
        idempotency_key: Annotated[str, _KEY],
        customer_id: Annotated[strawberry.ID | None, _CUSTOMER] = None,
    ) -> PointsReservePayload:
        """Reserve points."""
        customer = await whom(info, customer_id)
        if customer is None:
            raise DomainError("Say whose points are to be set aside.", field=("customerId",))
        row = await rewards.reserve(info.context.scope, customer_id=customer, points=points, idempotency_key=idempotency_key)
        return PointsReservePayload(reservation=reservation(row))

    @strawberry.mutation(
        description="Let a reservation go: checkout forgets it at once, and two minutes later the points can be spent again.",
        extensions=[STAFF_AND_CUSTOMERS.needing(Permission.POINTS)],
    )
    @command
    async def reservation_release(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The reservation, by our global id.")]
    ) -> ReservationReleasePayload:
        """Release a reservation."""
        wanted = uuid_of("PointsReservation", id)
        if wanted is None:
            raise NotFound("There is no such reservation.", field=("id",))
        row = await rewards.release(info.context.scope, wanted, customer_id=info.context.customer_id)
        return ReservationReleasePayload(reservation=reservation(row))


@strawberry.type
class RewardSubscriptions:
    """The streams of rewards."""

    @strawberry.subscription(
        description="A redemption, live: as it stands, and again whenever its status changes.", extensions=[EVERYBODY]
    )
    async def redemption_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The redemption, by our global id.")]
    ) -> AsyncGenerator[Redemption, None]:
        """The stream of one redemption."""
        context = info.context
        found = await visible_redemption(info, id)
        if found is None:
            raise NotFound("There is no such redemption.", field=("id",))
        customer_id = uuid_of("Customer", found.customer_id)
        assert customer_id is not None, "a redemption has its customer"
        with context.doorbell.listen(context.scope.merchant_id, customer_id) as bell:
            shown_last: Redemption | None = None
            while True:
                bell.clear()
                # Read behind the bell, so that nothing falls between the two.
                current = await visible_redemption(info, id)
                assert current is not None, "redemptions are never removed"
                if shown_last is None or (current.status, current.order_id) != (shown_last.status, shown_last.order_id):
                    shown_last = current
                    yield current
                await bell.wait()
