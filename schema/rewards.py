"""Rewards in the API: the catalogue, what a customer can take of it, and what they have taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import merchants, money, rewards
from domain.errors import NotFound
from domain.rewards import Redemption as RedemptionRow
from domain.rewards import Reservation as ReservationRow
from domain.rewards import Reward as RewardRow
from domain.rewards import obstacles, percent_text, standings
from domain.rewards.tracking import ATTRIBUTE
from domain.scope import Door
from schema.context import Info
from schema.customers import visible_customer
from schema.doors import EVERYBODY, PERSONAL_DATA
from schema.identifiers import gid, uuid_of
from schema.localised import LocalisedText, localised
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.reward_enums import DiscountClass, Obstacle, RedemptionStatus, RewardKind, RewardStatus
from schema.scalars import CurrencyCode, Money, Points


@strawberry.type(description="Whether a customer can take a reward now, and if not, why.")
class RewardAvailability:
    """What stands in the way, and how much is missing."""

    available: bool = strawberry.field(description="Whether it can be taken now.")
    obstacles: list[Obstacle] = strawberry.field(description="Everything that stands in the way, the most lasting first.")
    points_missing: Points = strawberry.field(description="How many points the customer is short of it; 0 when none.")


@strawberry.type(description="What points can be spent on.")
class Reward(Node):
    """A reward of the catalogue."""

    row: strawberry.Private[RewardRow]
    kind: RewardKind = strawberry.field(description="What it gives.")
    status: RewardStatus = strawberry.field(description="Whether it is offered.")
    points: Points = strawberry.field(description="What it costs; for paying with points, how many points are worth `amount`.")
    currency: CurrencyCode = strawberry.field(description="The shop's currency, in which the amounts are.")
    amount: Money | None = strawberry.field(description="The amount off, the store credit, or what `points` are worth.")
    percent: str | None = strawberry.field(
        description='The percentage off as decimal text, such as "12.50"; for paying with points, the most of a cart to pay so.'
    )
    quantity: int = strawberry.field(description="How many units are free, for a free product.")
    product_ids: list[strawberry.ID] = strawberry.field(description="The products that it is for, by Shopify's global ids.")
    minimum_subtotal: Money | None = strawberry.field(description="What the goods must cost at least.")
    limit_per_customer: Points | None = strawberry.field(description="How often one customer may take it; null for no limit.")
    stock: Points | None = strawberry.field(description="How many are left; null when nobody counts.")
    tiers: list[str] = strawberry.field(description="The tiers that it is for; empty for all.")
    segments: list[str] = strawberry.field(description="The segments that it is for; empty for all.")
    starts_at: datetime | None = strawberry.field(description="From when on it can be taken.")
    ends_at: datetime | None = strawberry.field(description="Until before when it can be taken.")
    combines_with: list[DiscountClass] = strawberry.field(description="The classes of other discounts that it combines with.")
    valid_days: int | None = strawberry.field(description="How many days an issued code lasts; null for ever.")
    returns_unused: bool = strawberry.field(description="Whether a code that has run out unused gives its points back.")
    revision: int = strawberry.field(description="How often it was edited. Pass it to be refused when somebody else edited.")
    names: list[LocalisedText] = strawberry.field(description="Its name in every language that it has.")
    descriptions: list[LocalisedText] = strawberry.field(description="Its description in every language that it has.")
    availability: RewardAvailability | None = strawberry.field(
        description="Whether the customer who asks, or who is asked about, can take it; null when there is none."
    )

    @strawberry.field(description="Its name in a language, or in English where it has none.")
    def name(self, locale: Annotated[str, strawberry.argument(description="The locale, such as pt-BR.")] = "en") -> str:
        """The localised name."""
        return self.row.definition.name(locale)

    @strawberry.field(description="Its description in a language, or in English.")
    def description(
        self, locale: Annotated[str, strawberry.argument(description="The locale, such as pt-BR.")] = "en"
    ) -> str | None:
        """The localised description."""
        return self.row.definition.description(locale)


@strawberry.type(description="A reward that a customer has taken.")
class Redemption(Node):
    """A reward taken."""

    customer_id: strawberry.ID = strawberry.field(description="Who has taken it.")
    reward_id: strawberry.ID = strawberry.field(description="What was taken.")
    kind: RewardKind = strawberry.field(description="What it gives.")
    name: str = strawberry.field(description="The reward's English name when it was taken.")
    status: RedemptionStatus = strawberry.field(description="Where it stands.")
    points: Points = strawberry.field(description="What it cost.")
    points_returned: Points = strawberry.field(
        description="How many of the points have come back, because the order that used it was refunded or cancelled."
    )
    code: str | None = strawberry.field(
        description="The code to enter at checkout; null until it works, and for store credit.", extensions=[PERSONAL_DATA]
    )
    expires_at: datetime | None = strawberry.field(description="When the code or the store credit runs out.")
    order_id: strawberry.ID | None = strawberry.field(description="The order that used it, by Shopify's global id.")
    failure: str | None = strawberry.field(
        description="Why nothing came of it: Shopify's code, NOT_INSTALLED or UNANSWERED. The points are back then."
    )
    created_at: datetime = strawberry.field(description="When it was taken.")
    updated_at: datetime = strawberry.field(description="When its status changed last.")
    shop_domain: str | None = strawberry.field(
        description="The shop in which the code or the credit is good, where it is not the merchant's own."
    )


@strawberry.type(description="Points set aside for one checkout.")
class PointsReservation(Node):
    """A reservation."""

    customer_id: strawberry.ID = strawberry.field(description="Whose points they are.")
    points: Points = strawberry.field(description="How many were set aside.")
    points_used: Points = strawberry.field(description="How many the order has paid with.")
    points_returned: Points = strawberry.field(
        description="How many of these have come back, because the order was refunded or cancelled."
    )
    status: str = strawberry.field(
        description="held: for the checkout. leaving: no more, and soon back. captured: paid with. released, returned: back."
    )
    expires_at: datetime = strawberry.field(description="When they come back if no order is placed.")

    @strawberry.field(
        description=(
            "Whether checkout has been told, usually within a second. The discount is worked out when the cart changes: change "
            "it after that."
        )
    )
    async def is_at_checkout(self, info: Info) -> bool:
        """Whether nothing of the customer is left to be told; false in a shop without the app."""
        customer_id = uuid_of("Customer", self.customer_id)
        assert customer_id is not None, "a reservation has its customer"
        return await standings.is_told(info.context.scope, customer_id)

    order_id: strawberry.ID | None = strawberry.field(description="The order that paid with them, by Shopify's global id.")
    attribute_key: str = strawberry.field(description="The attribute that the cart must carry.")
    attribute_value: str = strawberry.field(description="Its value.")


SHOWN = frozenset({"issued", "used", "expiring", "expired", "returned"})
"""The statuses in which a code is shown: before, it does not work; and of one that was taken back nobody is to know."""


def redemption(row: RedemptionRow) -> Redemption:
    """A redemption's row as the API shows it."""
    definition = row.definition
    return Redemption(
        id=strawberry.ID(gid("Redemption", row.id)),
        customer_id=strawberry.ID(gid("Customer", row.customer_id)),
        reward_id=strawberry.ID(gid("Reward", row.reward_id)),
        kind=definition.kind,
        name=definition.name(),
        status=RedemptionStatus(row.status),
        points=Points(row.points),
        points_returned=Points(row.points_returned),
        code=row.code if row.status in SHOWN else None,
        expires_at=row.expires_at,
        order_id=_order_id(row.order_id),
        failure=row.failure,
        created_at=row.created_at,
        updated_at=row.updated_at,
        shop_domain=row.shop_domain,
    )


def reservation(row: ReservationRow) -> PointsReservation:
    """A reservation's row as the API shows it."""
    return PointsReservation(
        id=strawberry.ID(gid("PointsReservation", row.id)),
        customer_id=strawberry.ID(gid("Customer", row.customer_id)),
        points=Points(row.points),
        points_used=Points(row.points_used),
        points_returned=Points(row.points_returned),
        status=row.status,
        expires_at=row.expires_at,
        order_id=_order_id(row.order_id),
        attribute_key=ATTRIBUTE,
        attribute_value=str(row.id),
    )


def _order_id(number: int | None) -> strawberry.ID | None:
    return None if number is None else strawberry.ID(f"gid://shopify/Order/{number}")


async def shown(info: Info, rows: Sequence[RewardRow], customer_id: UUID | None) -> list[Reward]:
    """Rewards as the API shows them, each with what it is to the customer, where there is one."""
    scope = info.context.scope
    currency = await merchants.currency(scope)
    found: dict[UUID, RewardAvailability] = {}
    customer = None if customer_id is None else await visible_customer(info, customer_id)
    if customer is not None:
        before = await rewards.taken(scope, customer.id, [row.id for row in rows])
        membership = await info.context.memberships.load(customer.id)
        for row in rows:
            standing = rewards.Standing(customer.balance, before.get(row.id, 0), membership)
            hurdles, missing = obstacles(row.definition, row.status, row.stock, standing, scope.at)
            found[row.id] = RewardAvailability(available=not hurdles, obstacles=hurdles, points_missing=Points(missing))
    return [_reward(row, currency, found.get(row.id)) for row in rows]


def _reward(row: RewardRow, currency: str, availability: RewardAvailability | None) -> Reward:
    definition = row.definition

    def amount(minor: int | None) -> Money | None:
        return None if minor is None else Money(money.render(minor, currency))

    return Reward(
        id=strawberry.ID(gid("Reward", row.id)),
        row=row,
        kind=definition.kind,
        status=RewardStatus(row.status),
        points=Points(definition.points),
        currency=CurrencyCode(currency),
        amount=amount(definition.amount_minor),
        percent=None if definition.percent_hundredths is None else percent_text(definition.percent_hundredths),
        quantity=definition.quantity,
        product_ids=[strawberry.ID(f"gid://shopify/Product/{number}") for number in definition.product_ids],
        minimum_subtotal=amount(definition.minimum_subtotal_minor),
        limit_per_customer=None if definition.limit_per_customer is None else Points(definition.limit_per_customer),
        stock=None if row.stock is None else Points(row.stock),
        tiers=definition.tiers,
        segments=definition.segments,
        starts_at=definition.starts_at,
        ends_at=definition.ends_at,
        combines_with=definition.combines_with,
        valid_days=definition.valid_days,
        returns_unused=definition.returns_unused,
        revision=row.revision,
        names=localised(definition.names),
        descriptions=localised(definition.descriptions),
        availability=availability,
    )


async def visible_reward(info: Info, identifier: str) -> Reward | None:
    """The reward with this global id; a customer sees only what is offered."""
    wanted = uuid_of("Reward", identifier)
    row = None if wanted is None else await rewards.reward(info.context.scope, wanted)
    if row is None or (_is_customer(info) and row.status != RewardStatus.ACTIVE):
        return None
    [found] = await shown(info, [row], info.context.customer_id)
    return found


async def visible_redemption(info: Info, identifier: str) -> Redemption | None:
    """The redemption with this global id; a customer sees only their own."""
    wanted = uuid_of("Redemption", identifier)
    row = None if wanted is None else await rewards.redemption(info.context.scope, wanted)
    return redemption(row) if row is not None and await _may_see(info, row.customer_id) else None


async def visible_reservation(info: Info, identifier: str) -> PointsReservation | None:
    """The reservation with this global id; a customer sees only their own."""
    wanted = uuid_of("PointsReservation", identifier)
    row = None if wanted is None else await rewards.reservation(info.context.scope, wanted)
    return reservation(row) if row is not None and await _may_see(info, row.customer_id) else None


def _is_customer(info: Info) -> bool:
    return info.context.scope.actor.door is Door.CUSTOMER


async def _may_see(info: Info, taker_id: UUID) -> bool:
    own = info.context.customer_id
    return not _is_customer(info) or (own is not None and await rewards.is_theirs(info.context.scope, taker_id, own))


async def whom(info: Info, customer_id: strawberry.ID | None) -> UUID | None:
    """The customer that is meant: the one named, or the one who asks. Raises NotFound for one whom the caller may not see."""
    wanted = info.context.customer_id if customer_id is None else uuid_of("Customer", customer_id)
    if customer_id is None and wanted is None:
        return None
    if wanted is None or await visible_customer(info, wanted) is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    return wanted


@strawberry.type
class RewardQueries:
    """The queries about rewards."""

    @strawberry.field(
        description=(
            "The catalogue, newest first, with what stands between a customer and each reward. A customer sees what is offered."
        ),
        extensions=[EVERYBODY],
    )
    async def rewards(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="For whom; a customer asks for themself.")
        ] = None,
    ) -> Connection[Reward]:
        """A page of the catalogue."""
        rows_wanted = check_first(first)
        customer = await whom(info, customer_id)
        place = read_cursor(after, tuple[UUID])
        rows = await rewards.rewards_page(info.context.scope, rows_wanted, place[0] if place else None, active=_is_customer(info))
        found = await shown(info, rows, customer)
        return connection(found, first, after, lambda one: one, lambda one: (one.row.id,))

    @strawberry.field(description="What was taken, newest first; a customer sees their own redemptions.", extensions=[EVERYBODY])
    async def redemptions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only this customer's.")] = None,
        status: Annotated[RedemptionStatus | None, strawberry.argument(description="Only those of this status.")] = None,
    ) -> Connection[Redemption]:
        """A page of redemptions."""
        rows_wanted = check_first(first)
        customer = await whom(info, customer_id)
        place = read_cursor(after, tuple[UUID])
        rows = await rewards.redemptions_page(
            info.context.scope, rows_wanted, place[0] if place else None, customer_id=customer, status=status
        )
        return connection(rows, first, after, redemption, lambda row: (row.id,))
