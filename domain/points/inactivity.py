"""Inactivity: when everything expires that a customer can spend, because they neither earned nor spent for so long.

A deadline is a local midnight, and is looked at in that midnight's turn and in no other: what comes to the account behind it
stays until the customer is active once more and inactive once more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain import calendar, db, programs
from domain.points.commands import post
from domain.points.rules import Entry, TransactionType
from domain.points.transfers import hold_all
from domain.programs import Definition, Period, ProgramVersion, Unit
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Inactivity:
    """The rule in force: `period` of `definition`, and since when it counts at the earliest."""

    definition: Definition
    period: Period
    since: datetime
    version: int

    def clock(self, active_at: datetime | None) -> datetime:
        """Where inactivity is counted from, for somebody who was active last at that instant."""
        return self.since if active_at is None else max(active_at, self.since)

    def deadline(self, active_at: datetime | None) -> datetime:
        """When everything expires of somebody who was active last at that instant."""
        return self.definition.after(self.clock(active_at), self.period)

    def clocks_until(self, at: datetime) -> datetime:
        """The first instant whose deadline is after `at`: every clock before it has its deadline at `at` or earlier."""
        zone = calendar.time_zone(self.definition.time_zone)
        day = calendar.local_day(at, zone)
        months, days = (self.period.count, 0) if self.period.unit is Unit.MONTHS else (0, self.period.count)
        # Surely a clock whose deadline is past, because a month that is shorter moves the day by three at most.
        day = calendar.add_months(day - timedelta(days=days), -months) - timedelta(days=5)
        while self.definition.after(calendar.day_start(day, zone), self.period) <= at:
            day += timedelta(days=1)
        return calendar.day_start(day, zone)


def _setting(version: ProgramVersion) -> tuple[Period | None, str]:
    return version.definition.inactivity_expires_after, version.definition.time_zone


async def inactivity(scope: Scope, at: datetime) -> Inactivity | None:
    """The rule of inactivity in force at an instant, or None.

    It counts from when it was published at the earliest, in this period and time zone: no version makes anything expire by a
    time that has passed already.
    """
    history = await programs.history(scope, at)
    if not history or (period := history[0].definition.inactivity_expires_after) is None:
        return None
    since = max(history[0].effective_from, history[0].published_at)
    for version in history[1:]:
        if _setting(version) != _setting(history[0]):
            break
        since = max(version.effective_from, version.published_at)
    return Inactivity(history[0].definition, period, since, history[0].version)


IN_WINDOW = "greatest(coalesce(active_at, $2), $2) >= $3 and greatest(coalesce(active_at, $2), $2) < $4"
"""Which accounts have their clock between two instants, half-open. $2: since when inactivity counts."""


async def expire_inactive(scope: Scope, rule: Inactivity, midnight: datetime, after: UUID | None, limit: int) -> UUID | None:
    """Take all that is spendable from those whose deadline is this midnight, at most `limit` customers behind `after`.

    Returns the last of them, or None when there was none. Pending points stay. Precondition: an open transaction. Running it
    twice is running it once; somebody who earns or spends at the same time comes before, and is active, or comes after.
    """
    zone = calendar.time_zone(rule.definition.time_zone)
    window = rule.clocks_until(calendar.days_after(midnight, -1, zone)), rule.clocks_until(midnight)
    if rule.since >= window[1]:
        return None
    async with db.connection(scope) as connection:
        due = await connection.fetch(
            f"""
            select customer_id from points_accounts
            where merchant_id = $1 and balance > 0 and {IN_WINDOW} and ($5::uuid is null or customer_id > $5)
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
        # Read again under the locks: somebody may have been active in between.
        accounts = await connection.fetch(
            f"""
            select customer_id, balance from points_accounts
            where merchant_id = $1 and balance > 0 and {IN_WINDOW} and customer_id = any ($5) order by customer_id
            """,
            scope.merchant_id,
            rule.since,
            *window,
            customer_ids,
        )
    day = calendar.local_day(midnight, zone)
    await post(
        scope,
        [
            Entry(
                customer_id=row["customer_id"],
                type=TransactionType.EXPIRE,
                points=-row["balance"],
                pending=0,
                source="inactivity",
                external_id=str(row["customer_id"]),
                purpose=f"expire:{day.isoformat()}",
                program_version=rule.version,
            )
            for row in accounts
        ],
    )
    return customer_ids[-1]
