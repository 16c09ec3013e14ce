"""In which of several shops of a merchant a customer of Shopify's is. With one shop there is nothing to know."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain import db
from domain.scope import Scope


async def met(scope: Scope, numbers: Collection[int], shop_domain: str) -> None:
    """Keep that these customers of Shopify's are those of a shop that joined the merchant. Safe to repeat."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into customer_shops (merchant_id, shopify_id, shop_domain, told_at)
            select $1, n.id, $3, $4 from unnest($2::bigint[]) as n (id) order by n.id
            on conflict (merchant_id, shopify_id) do update set shop_domain = excluded.shop_domain, told_at = excluded.told_at
                where customer_shops.shop_domain <> excluded.shop_domain
            """,
            scope.merchant_id,
            sorted(set(numbers)),
            shop_domain,
            scope.at,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """By which number a shop knows a customer; None is the merchant's own shop."""

    shop_domain: str | None
    shopify_id: int


async def known_by(scope: Scope, customer_id: UUID) -> list[Known]:
    """By which number each shop knows a customer, their own first, then those of who was merged into them, the newest first.

    Within a shop only the first is good: the others were merged away there too.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select s.shop_domain, c.shopify_id from customers c
            left join customer_shops s on s.merchant_id = $1 and s.shopify_id = c.shopify_id
            where c.merchant_id = $1 and (c.id = $2 or c.merged_into = $2) order by c.id <> $2, c.id desc
            """,
            scope.merchant_id,
            customer_id,
        )
    return [Known(*row) for row in rows]


async def stands_for(scope: Scope, customer_id: UUID) -> UUID:
    """Who stands for a customer, without holding either: themself, or who was kept when they were merged."""
    async with db.connection(scope) as connection:
        found: UUID = await connection.fetchval(
            "select coalesce(merged_into, id) from customers where merchant_id = $1 and id = $2", scope.merchant_id, customer_id
        )
    return found
