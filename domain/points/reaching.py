"""Telling customers that their points have come to what something costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from domain import db
from domain.points.transfers import hold_all
from domain.scope import Scope

REACHABLE = "reward.reachable"


@dataclass(frozen=True, slots=True)
class Target:
    """What points can be spent on: its cost in points, and its names by locale."""

    id: UUID
    points: int
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Crossing:
    """The entry by which a balance came to or over a target's cost."""

    customer_id: UUID
    target_id: UUID
    position: int


async def crossings(scope: Scope, changes: Sequence[tuple[UUID, int]], targets: Sequence[Target]) -> list[Crossing]:
    """Where balances have come to a target's cost and still have it, by the versions that events name; nothing is locked.

    One event tells of all the entries that were posted together, and names the last: they share their instant, and stand
    next to one another. Points that come by a merge were their owner's before, and a closed account spends nothing. Of several
    crossings of one target the last counts.
    """
    if not changes or not targets:
        return []
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            with recursive together as (
                select n.customer_id, a.balance, e.*
                from unnest($2::uuid[], $3::bigint[]) as n (customer_id, version)
                join points_accounts a on a.merchant_id = $1 and a.customer_id = any ($2) and a.customer_id = n.customer_id
                    and a.closed is null
                cross join lateral (
                    select e.position, e.type, e.points, e.balance_after, e.occurred_at from points_transactions e
                    where e.merchant_id = $1 and e.customer_id = n.customer_id and e.position = n.version
                    offset 0
                ) e
                union all
                -- One entry further back by its whole key; the offset keeps the planner from another way.
                select t.customer_id, t.balance, e.*
                from together t
                cross join lateral (
                    select e.position, e.type, e.points, e.balance_after, e.occurred_at from points_transactions e
                    where e.merchant_id = $1 and e.customer_id = t.customer_id and e.position = t.position - 1
                        and e.occurred_at = t.occurred_at
                    offset 0
                ) e
            )
            select distinct on (t.customer_id, g.id) t.customer_id, g.id, t.position
            from together t
            join unnest($4::uuid[], $5::bigint[]) as g (id, cost)
                on t.balance_after - t.points < g.cost and g.cost <= t.balance_after and g.cost <= t.balance
            where t.points > 0 and t.type <> 'merge'
            order by t.customer_id, g.id, t.position desc
            """,
            scope.merchant_id,
            [customer_id for customer_id, _ in changes],
            [version for _, version in changes],
            [target.id for target in targets],
            [target.points for target in targets],
        )
    return [Crossing(row["customer_id"], row["id"], row["position"]) for row in rows]


async def tell_reached(scope: Scope, found: Sequence[Crossing], targets: Sequence[Target]) -> int:
    """Tell customers of these crossings, once each, unless the points are gone meanwhile. Returns how many notices are new.

    Precondition: an open transaction. Running it twice is running it once.
    """
    if not found:
        return 0
    await hold_all(scope, [crossing.customer_id for crossing in found])
    by_id = {target.id: target for target in targets}
    async with db.connection(scope) as connection:
        status = await connection.execute(
            _TELL,
            scope.merchant_id,
            scope.at,
            [crossing.customer_id for crossing in found],
            [crossing.target_id for crossing in found],
            [crossing.position for crossing in found],
            [by_id[crossing.target_id].points for crossing in found],
            [msgspec.json.encode(by_id[crossing.target_id].names, order="sorted").decode() for crossing in found],
        )
    return int(status.rpartition(" ")[2])


_TELL = f"""
    with fresh as (
        select r.*, 'reward:' || r.target_id || ':' || r.crossed as cause, a.version
        from unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[])
            as r (customer_id, target_id, crossed, cost, names)
        join points_accounts a on a.merchant_id = $1 and a.customer_id = r.customer_id
        where a.closed is null and a.balance >= r.cost and not exists (
            select from points_notices n
            where n.merchant_id = $1 and n.customer_id = r.customer_id and n.cause = 'reward:' || r.target_id || ':' || r.crossed
        )
    ), told as (
        insert into points_notices (merchant_id, customer_id, position, number, kind, cause, payload, occurred_at)
        select $1, f.customer_id, f.version,
            coalesce((
                select max(n.number) from points_notices n
                where n.merchant_id = $1 and n.customer_id = f.customer_id and n.position = f.version
            ), 0) + row_number() over (partition by f.customer_id order by f.cost, f.target_id),
            '{REACHABLE}', f.cause,
            jsonb_build_object('reward_id', f.target_id, 'points', f.cost, 'names', f.names::jsonb), $2
        from fresh f
        returning customer_id, position, number
    )
    insert into outbox (merchant_id, event, payload, created_at)
    select $1, '{REACHABLE}',
        jsonb_build_object('customer_id', t.customer_id, 'version', t.position, 'number', t.number), $2
    from told t order by t.customer_id, t.number
"""
