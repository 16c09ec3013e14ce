"""Reading the catalogue and what was taken of it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import customers, db
from domain.rewards.rules import Definition, RedemptionStatus, definition_from
from domain.scope import Scope

TAKEN = ("held", "issued", "used", "cancelling", "expiring")
"""The redemptions that count against a customer's limit: those that may still be, or have been, of use."""


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward of the catalogue. `text` is its stored definition; `revision` rises with each edit.

    shopify_id: the discount by which points are paid with in the merchant's own shop; elsewhere: those of other shops, as JSON.
    """

    id: UUID
    text: str
    status: str
    stock: int | None
    revision: int
    created_at: datetime
    updated_at: datetime
    shopify_id: str | None
    elsewhere: str

    @property
    def definition(self) -> Definition:
        """What it says."""
        return definition_from(self.text)


@dataclass(frozen=True, slots=True)
class Redemption:
    """A reward that a customer has taken. `text` is the reward's definition as it was then.

    shop_domain, customer_number: in which shop it is made, and for which of Shopify's customers; None is the merchant's own shop,
    and the customer's own number.
    """

    id: UUID
    customer_id: UUID
    reward_id: UUID
    text: str
    points: int
    position: int | None
    status: str
    code: str | None
    expires_at: datetime | None
    shopify_id: str | None
    order_id: int | None
    failure: str | None
    created_at: datetime
    updated_at: datetime
    attempts: int
    shop_domain: str | None = None
    customer_number: int | None = None
    points_returned: int = 0

    @property
    def definition(self) -> Definition:
        """What was promised."""
        return definition_from(self.text)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Points set aside for one checkout."""

    id: UUID
    customer_id: UUID
    reward_id: UUID
    text: str
    points: int
    position: int
    status: str
    points_used: int
    order_id: int | None
    created_at: datetime
    expires_at: datetime
    points_returned: int = 0

    @property
    def definition(self) -> Definition:
        """At which worth they were set aside."""
        return definition_from(self.text)


def _names(kind: type[Any]) -> str:
    return ", ".join("definition" if field.name == "text" else field.name for field in fields(kind))


REWARD = _names(Reward)
REDEMPTION = _names(Redemption)
RESERVATION = _names(Reservation)


async def reward(scope: Scope, reward_id: UUID) -> Reward | None:
    """The reward with this id."""
    found = await rewards_by_ids(scope, [reward_id])
    return found.get(reward_id)


async def rewards_by_ids(scope: Scope, reward_ids: Sequence[UUID]) -> dict[UUID, Reward]:
    """The rewards with these ids."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"select {REWARD} from rewards where merchant_id = $1 and id = any ($2)", scope.merchant_id, list(reward_ids)
        )
    return {row["id"]: Reward(*row) for row in rows}


async def rewards_page(scope: Scope, first: int, after: UUID | None, *, active: bool) -> list[Reward]:
    """At most `first` rewards, newest first, from behind `after`; only the active ones where that is asked."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            select {REWARD} from rewards
            where merchant_id = $1 and ($2::uuid is null or id < $2) and (status = 'active' or not $3)
            order by id desc limit $4
            """,
            scope.merchant_id,
            after,
            active,
            first,
        )
    return [Reward(*row) for row in rows]


async def offered(scope: Scope) -> list[Reward]:
    """Every active reward of which any is left."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"select {REWARD} from rewards where merchant_id = $1 and status = 'active' and stock is distinct from 0 order by id",
            scope.merchant_id,
        )
    return [Reward(*row) for row in rows]


async def pay_with_points(scope: Scope) -> Reward | None:
    """The active reward by which points are paid with; a merchant has one at most."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {REWARD} from rewards where merchant_id = $1 and kind = 'pay_with_points' and status = 'active'",
            scope.merchant_id,
        )
    return Reward(*row) if row else None


FAMILY = "(select id from customers where merchant_id = $1 and (id = $2 or merged_into = $2))"
"""A customer, and all who were merged into them: what these have taken is theirs."""


async def is_theirs(scope: Scope, taker_id: UUID, customer_id: UUID) -> bool:
    """Whether a customer, or one who was merged into them, has taken what `taker_id` has."""
    return customer_id in (taker_id, await customers.stands_for(scope, taker_id))


async def taken(scope: Scope, customer_id: UUID, reward_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How often a customer has taken each of these rewards and not got the points back."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            select reward_id, count(*) from redemptions
            where merchant_id = $1 and customer_id in {FAMILY} and reward_id = any ($3) and status = any ($4) group by reward_id
            """,
            scope.merchant_id,
            customer_id,
            list(reward_ids),
            list(TAKEN),
        )
    return {row["reward_id"]: row["count"] for row in rows}


async def redemption(scope: Scope, redemption_id: UUID) -> Redemption | None:
    """The redemption with this id."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {REDEMPTION} from redemptions where merchant_id = $1 and id = $2", scope.merchant_id, redemption_id
        )
    return Redemption(*row) if row else None


async def redemptions_page(
    scope: Scope, first: int, after: UUID | None, *, customer_id: UUID | None = None, status: RedemptionStatus | None = None
) -> list[Redemption]:
    """At most `first` redemptions, newest first, from behind `after`; a customer's are those of who was merged into them too."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            select {REDEMPTION} from redemptions
            where merchant_id = $1 and ($3::uuid is null or id < $3) and ($2::uuid is null or customer_id in {FAMILY})
                and ($4::text is null or status = $4)
            order by id desc limit $5
            """,
            scope.merchant_id,
            customer_id,
            after,
            status and status.value,
            first,
        )
    return [Redemption(*row) for row in rows]


async def reservation(scope: Scope, reservation_id: UUID) -> Reservation | None:
    """The reservation with this id."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {RESERVATION} from reservations where merchant_id = $1 and id = $2", scope.merchant_id, reservation_id
        )
    return Reservation(*row) if row else None
