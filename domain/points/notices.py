"""What customers are told that moves no points: that some will expire, days before they do; and reading all that is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain import calendar, db
from domain.points.inactivity import IN_WINDOW, Inactivity
from domain.points.queries import Transaction, transactions
from domain.points.reaching import REACHABLE
from domain.points.transfers import hold_all
from domain.programs import Definition
from domain.scope import Scope

EXPIRING = "points.expiring"


class ExpiryReason(StrEnum):
    """Why points will expire."""

    LOT = "lot"
    INACTIVITY = "inactivity"


class _Expiring(msgspec.Struct, frozen=True):
    points: int
    expires_at: datetime
    reason: ExpiryReason


class _Reachable(msgspec.Struct, frozen=True):
    reward_id: UUID
    points: int
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """That points will expire: how many there were when it was told, when they expire, and why."""

    customer_id: UUID
    position: int
    number: int
    occurred_at: datetime
    points: int
    expires_at: datetime
    reason: ExpiryReason


@dataclass(frozen=True, slots=True)
class Reached:
    """That the points have come to what a reward costs: its cost and its names as they were when it was told."""

    customer_id: UUID
    position: int
    number: int
    occurred_at: datetime
    reward_id: UUID
    points: int
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that happened to an account: an entry of the ledger (number 0), or a notice of either kind behind it."""

    position: int
    number: int
    entry: Transaction | None
    notice: Notice | None
    reached: Reached | None = None


def horizon(definition: Definition, midnight: datetime) -> datetime:
    """Until when points expire of which customers are told at this midnight."""
    return calendar.days_after(midnight, definition.expiry_warning_days, calendar.time_zone(definition.time_zone))


_CAUSE = "'{reason}:' || (extract(epoch from {expires_at}) * 1000000)::bigint"
_LOT_CAUSE = _CAUSE.format(reason="lot", expires_at="l.expires_at")


async def warn_of_lots(scope: Scope, until: datetime, after: UUID | None, limit: int) -> UUID | None:
    """Tell customers of their lots that will have expired by `until`, at most `limit` customers behind `after`.

    One notice for all that expires at one instant, once. Returns the last of the customers, or None when there was none.
    Precondition: an open transaction. Running it twice is running it once.
    """
    async with db.connection(scope) as connection:
        due = await connection.fetch(
            f"""
            select distinct l.customer_id from points_lots l
            where l.merchant_id = $1 and l.remaining > 0 and l.expires_at > $2 and l.expires_at <= $3
                and ($4::uuid is null or l.customer_id > $4)
                and not exists (
                    select from points_notices n
                    where n.merchant_id = $1 and n.customer_id = l.customer_id and n.cause = {_LOT_CAUSE}
                )
            order by l.customer_id limit $5
            """,
            scope.merchant_id,
            scope.at,
            until,
            after,
            limit,
        )
        if not due:
            return None
        customer_ids: list[UUID] = [row["customer_id"] for row in due]
        await hold_all(scope, customer_ids)
        rows = await connection.fetch(
            """
            select customer_id, sum(remaining)::bigint as points, expires_at from points_lots
            where merchant_id = $1 and customer_id = any ($2) and remaining > 0 and expires_at > $3 and expires_at <= $4
            group by customer_id, expires_at
            """,
            scope.merchant_id,
            customer_ids,
            scope.at,
            until,
        )
    await _tell(scope, ExpiryReason.LOT, [(row["customer_id"], row["points"], row["expires_at"]) for row in rows])
    return customer_ids[-1]


_NOT_TOLD = """not exists (
    select from points_notices n
    where n.merchant_id = $1 and n.customer_id = a.customer_id and starts_with(n.cause, 'inactivity:')
        and n.occurred_at >= greatest(coalesce(a.active_at, $2), $2)
)"""


async def warn_of_inactivity(scope: Scope, rule: Inactivity, until: datetime, after: UUID | None, limit: int) -> UUID | None:
    """Tell customers whose whole balance will expire by `until` unless they earn or spend: as `warn_of_lots` does."""
    window = rule.clocks_until(scope.at), rule.clocks_until(until)
    if rule.since >= window[1]:
        return None
    async with db.connection(scope) as connection:
        due = await connection.fetch(
            f"""
            select customer_id from points_accounts a
            where merchant_id = $1 and balance > 0 and {IN_WINDOW} and {_NOT_TOLD} and ($5::uuid is null or customer_id > $5)
            order by customer_id limit $6
            """,
            scope.merchant_id,
            rule.since,
            *window,
            after,
            limit,
        )
        if not due:
            return None
        customer_ids: list[UUID] = [row["customer_id"] for row in due]
        await hold_all(scope, customer_ids)
        rows = await connection.fetch(
            f"""
            select customer_id, balance, active_at from points_accounts a
            where merchant_id = $1 and balance > 0 and {IN_WINDOW} and {_NOT_TOLD} and customer_id = any ($5)
            """,
            scope.merchant_id,
            rule.since,
            *window,
            customer_ids,
        )
    expiring = [(row["customer_id"], row["balance"], rule.deadline(row["active_at"])) for row in rows]
    await _tell(scope, ExpiryReason.INACTIVITY, expiring)
    return customer_ids[-1]


async def _tell(scope: Scope, reason: ExpiryReason, expiring: Sequence[tuple[UUID, int, datetime]]) -> None:
    """Write the notices that are not written yet, and their events. Precondition: the accounts are locked."""
    async with db.connection(scope) as connection:
        await connection.execute(
            _TELL,
            scope.merchant_id,
            scope.at,
            reason.value,
            [customer_id for customer_id, _, _ in expiring],
            [points for _, points, _ in expiring],
            [expires_at for _, _, expires_at in expiring],
        )


_TELL = f"""
    with fresh as (
        select e.* from (
            select n.*, {_CAUSE.format(reason="' || $3::text || '", expires_at="n.expires_at")} as cause
            from unnest($4::uuid[], $5::bigint[], $6::timestamptz[]) as n (customer_id, points, expires_at)
        ) as e
        where not exists (
            select from points_notices n
            where n.merchant_id = $1 and n.customer_id = e.customer_id and n.cause = e.cause
        )
    ), told as (
        insert into points_notices (merchant_id, customer_id, position, number, kind, cause, payload, occurred_at)
        select $1, f.customer_id, a.version,
            coalesce((
                select max(n.number) from points_notices n
                where n.merchant_id = $1 and n.customer_id = f.customer_id and n.position = a.version
            ), 0) + row_number() over (partition by f.customer_id order by f.expires_at),
            '{EXPIRING}', f.cause, jsonb_build_object('points', f.points, 'expires_at', f.expires_at, 'reason', $3::text), $2
        from fresh f join points_accounts a on a.merchant_id = $1 and a.customer_id = f.customer_id
        returning customer_id, position, number
    )
    insert into outbox (merchant_id, event, payload, created_at)
    select $1, '{EXPIRING}',
        jsonb_build_object('customer_id', t.customer_id, 'version', t.position, 'number', t.number), $2
    from told t order by t.customer_id, t.number
"""


async def activity_since(scope: Scope, customer_id: UUID, place: tuple[int, int], limit: int) -> list[Activity]:
    """What happened to an account behind a place (position, number), oldest first: entries and notices in their one order."""
    return await _activity(scope, customer_id, place, limit, _ACTIVITY.format(compare=">", direction="asc"))


async def activity_page(scope: Scope, customer_id: UUID, before: tuple[int, int] | None, limit: int) -> list[Activity]:
    """What happened to an account, newest first, from before a place (position, number)."""
    place = before or (2**63 - 1, 2**31 - 1)
    return await _activity(scope, customer_id, place, limit, _ACTIVITY.format(compare="<", direction="desc"))


# One statement, and so one snapshot: a notice is written under the account's lock, before any entry behind it.
_ACTIVITY = """
    (select position, 0 as number, null as kind, null as occurred_at, null as payload from points_transactions
    where merchant_id = $1 and customer_id = $2 and (position, 0) {compare} ($3::bigint, $4::integer)
    order by position {direction} limit $5)
    union all
    (select position, number, kind, occurred_at, payload from points_notices
    where merchant_id = $1 and customer_id = $2 and (position, number) {compare} ($3::bigint, $4::integer)
    order by position {direction}, number {direction} limit $5)
    order by position {direction}, number {direction} limit $5
"""


async def _activity(scope: Scope, customer_id: UUID, place: tuple[int, int], limit: int, statement: str) -> list[Activity]:
    async with db.connection(scope) as connection:
        rows = await connection.fetch(statement, scope.merchant_id, customer_id, *place, limit)
        # Entries never change, so that they can be read afterwards.
        entries = await transactions(scope, customer_id, [row["position"] for row in rows if row["number"] == 0])
    found: list[Activity] = []
    for row in rows:
        position, number = row["position"], row["number"]
        told = customer_id, position, number, row["occurred_at"]
        if row["kind"] is None:
            found.append(Activity(position, number, entries.get(position), None))
        elif row["kind"] == REACHABLE:
            reward = msgspec.json.decode(row["payload"], type=_Reachable)
            reached = Reached(*told, reward.reward_id, reward.points, reward.names)
            found.append(Activity(position, number, None, None, reached))
        else:
            expiring = msgspec.json.decode(row["payload"], type=_Expiring)
            notice = Notice(*told, expiring.points, expiring.expires_at, expiring.reason)
            found.append(Activity(position, number, None, notice))
    return found
