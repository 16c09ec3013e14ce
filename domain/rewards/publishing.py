"""The one discount in Shopify by which points are paid with: made when a reward says so, deactivated when it does not."""

from datetime import datetime, timedelta

import msgspec

from domain import db
from domain.rewards.queries import REWARD, Reward
from domain.scope import Scope

LEASE = timedelta(seconds=30)
RETRY = timedelta(minutes=1)
AGAIN = timedelta(days=1)


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


def elsewhere(wanted: Reward) -> dict[str, str]:
    """The reward's discounts in the shops that joined the merchant, by their domains."""
    return msgspec.json.decode(wanted.elsewhere, type=dict[str, str])


async def published(
    scope: Scope, wanted: Reward, claimed_at: datetime, shopify_id: str | None, elsewhere: dict[str, str]
) -> None:
    """Shopify has what this revision says; `shopify_id` is None when that is nothing. claimed_at: the instant of the claim.

    What was edited or is to be looked at again since then stays due. What is active is looked at after a day in any case:
    somebody may have removed the discount.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update rewards set shopify_id = $4, elsewhere = $5, due_at = case
                when due_at is distinct from $3 then due_at when status = 'active' then $6::timestamptz
            end
            where merchant_id = $1 and id = $2
            """,
            scope.merchant_id,
            wanted.id,
            claimed_at + LEASE,
            shopify_id,
            msgspec.json.encode(elsewhere, order="sorted").decode(),
            scope.at + AGAIN,
        )


async def again(scope: Scope) -> None:
    """Look anew for every discount by which points are paid with, such as when a shop has installed the app, joined or left."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update rewards set due_at = $2 where merchant_id = $1 and kind = 'pay_with_points' and status = 'active'",
            scope.merchant_id,
            scope.at,
        )


async def put_off(scope: Scope, wanted: Reward, claimed_at: datetime) -> None:
    """Shopify is away or refuses: again in a minute, unless it is to be looked at again anyhow."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update rewards set due_at = $4 where merchant_id = $1 and id = $2 and due_at = $3",
            scope.merchant_id,
            wanted.id,
            claimed_at + LEASE,
            scope.at + RETRY,
        )
