"""Which rewards customers have come to, by the changes of their balances."""

from collections.abc import Sequence
from uuid import UUID

from domain import db, memberships, points
from domain.memberships import Membership
from domain.points import POINTS_MAX, Crossing, Target
from domain.rewards.queries import TAKEN, offered
from domain.rewards.rules import Definition, Obstacle, RewardKind, RewardStatus, Standing, obstacles
from domain.scope import Scope

_OF_CUSTOMER = {Obstacle.TIER_REQUIRED, Obstacle.SEGMENT_REQUIRED}
"""What stands in the way of some and not of others."""


async def is_possible(scope: Scope) -> bool:
    """Whether there is anything that a balance could come to now."""
    return bool(await _open(scope))


async def tell(scope: Scope, changes: Sequence[tuple[UUID, int]]) -> int:
    """Tell customers of the rewards that these changes of their balances (customer, account version) brought within reach.

    Precondition: an open transaction, in which the changes' events are removed. Told are only rewards that the customer can take
    now. Paying with points has a rate and no cost, and is not told. Returns how many notices are new.
    """
    open_ = await _open(scope)
    targets = [Target(reward_id, definition.points, definition.names) for reward_id, definition in open_.items()]
    found = await points.crossings(scope, changes, targets)
    limits = {
        reward_id: definition.limit_per_customer
        for reward_id, definition in open_.items()
        if definition.limit_per_customer is not None
    }
    over = await _over_limit(scope, found, limits) | await _not_for(scope, found, open_)
    return await points.tell_reached(scope, [one for one in found if (one.customer_id, one.target_id) not in over], targets)


async def _open(scope: Scope) -> dict[UUID, Definition]:
    """The rewards with a cost that can be taken now by whoever has the points, and the tier or segment where one is asked for."""
    anybody = Standing(POINTS_MAX, 0, Membership())
    return {
        row.id: definition
        for row in await offered(scope)
        if (definition := row.definition).kind is not RewardKind.PAY_WITH_POINTS
        and set(obstacles(definition, row.status, row.stock, anybody, scope.at)[0]) <= _OF_CUSTOMER
    }


async def _not_for(scope: Scope, found: Sequence[Crossing], open_: dict[UUID, Definition]) -> set[tuple[UUID, UUID]]:
    """The (customer, reward) pairs of which the reward is for another tier or segment."""
    chosen = [one for one in found if open_[one.target_id].tiers or open_[one.target_id].segments]
    if not chosen:
        return set()
    belonging = await memberships.of_customers(scope, {one.customer_id for one in chosen})
    return {
        (one.customer_id, one.target_id)
        for one in chosen
        if obstacles(
            open_[one.target_id], RewardStatus.ACTIVE, None, Standing(POINTS_MAX, 0, belonging[one.customer_id]), scope.at
        )[0]
    }


async def _over_limit(scope: Scope, found: Sequence[Crossing], limits: dict[UUID, int]) -> set[tuple[UUID, UUID]]:
    """The (customer, reward) pairs of which the customer has taken all that they may."""
    limited = [crossing for crossing in found if crossing.target_id in limits]
    if not limited:
        return set()
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select coalesce(c.merged_into, c.id) as customer_id, r.reward_id, count(*) as taken
            from redemptions r join customers c on c.merchant_id = $1 and c.id = r.customer_id
            where r.merchant_id = $1 and (c.id = any ($2) or c.merged_into = any ($2)) and r.reward_id = any ($3)
                and r.status = any ($4)
            group by coalesce(c.merged_into, c.id), r.reward_id
            """,
            scope.merchant_id,
            [crossing.customer_id for crossing in limited],
            [crossing.target_id for crossing in limited],
            list(TAKEN),
        )
    return {(row["customer_id"], row["reward_id"]) for row in rows if row["taken"] >= limits.get(row["reward_id"], POINTS_MAX)}
