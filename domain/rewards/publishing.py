"""The one discount in Shopify by which points are paid with: made when a reward says so, deactivated when it does not."""

from datetime import timedelta
from uuid import UUID

from domain import db
from domain.rewards.queries import REWARD, Reward
from domain.scope import Scope

LEASE = timedelta(seconds=30)
RETRY = timedelta(minutes=1)


async def claim(scope: Scope) -> list[Reward]:
    """The rewards whose discount must be seen to, leased to the caller."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            with due as materialized (
                select id from rewards where merchant_id = $1 and due_at <= $2 order by due_at limit 10 for update skip locked
            )
            update rewards set due_at = $3 where merchant_id = $1 and id in (select id from due) returning {REWARD}
            """,
            scope.merchant_id,
            scope.at,
            scope.at + LEASE,
        )
    return [Reward(*row) for row in rows]


async def published(scope: Scope, reward_id: UUID, revision: int, shopify_id: str | None) -> None:
    """Shopify has what this revision says; `shopify_id` is None when that is nothing. A later edit stays due."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update rewards set shopify_id = $4, due_at = case revision when $3 then null else $5::timestamptz end
            where merchant_id = $1 and id = $2
            """,
            scope.merchant_id,
            reward_id,
            revision,
            shopify_id,
            scope.at,
        )


async def put_off(scope: Scope, reward_id: UUID) -> None:
    """Shopify is away or refuses: again in a minute."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update rewards set due_at = $3 where merchant_id = $1 and id = $2", scope.merchant_id, reward_id, scope.at + RETRY
        )
