"""Reading what customers belong to. Who was merged into another is read with them, so that a merge moves nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain import db
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Membership:
    """A customer's tier, their segments in the order of the alphabet, and how often that has changed."""

    tier: str | None = None
    segments: tuple[str, ...] = ()
    revision: int = 0


NONE = Membership()

_FAMILIES = """
    with recursive family as (
        select n.id as asked, '{}'::uuid[] as way, n.id as member, true as tier_counts, true as segments_count,
            m.tier, m.segments, m.tier_at, m.segments_at, m.revision
        from unnest($2::uuid[]) as n (id) left join memberships m on m.merchant_id = $1 and m.customer_id = n.id
        union all
        select f.asked, f.way || g.id, g.gone_id,
            f.tier_counts and (f.tier_at is null or f.tier_at < g.merged_at),
            f.segments_count and (f.segments_at is null or f.segments_at < g.merged_at),
            m.tier, m.segments, m.tier_at, m.segments_at, m.revision
        from family f
        join customer_merges g on g.merchant_id = $1 and g.kept_id = f.member and g.undone_at is null
        left join memberships m on m.merchant_id = $1 and m.customer_id = g.gone_id
    )
    select asked, way = '{}' as is_own, tier_counts, segments_count, tier, segments, revision from family
    where revision is not null order by asked, way
"""
"""What was said of customers and of everybody who was merged into them, each before those who came later, and a customer who was
merged before those who had been merged into them. What was said after a merge stands alone, so that it can also say less."""


async def of_customers(scope: Scope, customer_ids: Collection[UUID]) -> dict[UUID, Membership]:
    """What customers belong to; who belongs to nothing is there too.

    After a merge the kept customer has their own tier, or else that of who was merged into them, and the segments of both.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(_FAMILIES, scope.merchant_id, list(customer_ids))
    families: dict[UUID, list[Any]] = {customer_id: [] for customer_id in customer_ids}
    for row in rows:
        families[row["asked"]].append(row)
    return {customer_id: _read(family) for customer_id, family in families.items()}


async def only(scope: Scope, customer_id: UUID) -> Membership:
    """What one customer belongs to."""
    return (await of_customers(scope, [customer_id]))[customer_id]


def _read(family: list[Any]) -> Membership:
    tiers = [row["tier"] for row in family if row["tier_counts"] and row["tier"] is not None]
    segments = {segment for row in family if row["segments_count"] for segment in row["segments"]}
    return Membership(
        tier=tiers[0] if tiers else None,
        segments=tuple(sorted(segments)),
        revision=sum(row["revision"] for row in family if row["is_own"]),
    )
