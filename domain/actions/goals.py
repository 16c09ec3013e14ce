"""Goals: how often one is reached is a function of what was spent on the customer's orders as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import db, points, programs
from domain.actions.claims import book, of_customer
from domain.actions.rules import Claim, Kind, Reason
from domain.programs import Goal, ProgramVersion
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Spending:
    """What was kept of an order, or of a sale at the till.

    key: which one. customer_id: whose; None for nobody's. spent: minor units of `currency`, after refunds. version: the program
    that the order keeps; only its goals count it. paid_at: when it was paid; until then it does not count.
    """

    key: str
    customer_id: UUID | None
    version: ProgramVersion | None
    currency: str
    spent: int
    placed_at: datetime
    paid_at: datetime | None


async def count(scope: Scope, spendings: Sequence[Spending]) -> None:
    """Take over what was spent, and book what goals give for it or do not give any more.

    Precondition: an open transaction. Whatever order it is told in, and however often, it ends alike.
    """
    counting = [one for one in spendings if one.version is not None and one.version.definition.actions.goals]
    if not counting:
        return
    async with db.connection(scope) as connection:
        known = await connection.fetch(
            "select key, customer_id from action_spendings where merchant_id = $1 and key = any ($2)",
            scope.merchant_id,
            [one.key for one in counting],
        )
    owners: dict[str, UUID] = {row["key"]: row["customer_id"] for row in known}
    concerned = {*owners.values(), *(one.customer_id for one in counting if one.customer_id is not None)}
    await points.hold_all(scope, concerned)
    rows: list[tuple[Any, ...]] = []
    for one in counting:
        owner = one.customer_id or owners.get(one.key)
        if owner is not None and one.version is not None:
            spent = 0 if one.customer_id is None else max(0, one.spent)
            rows.append((one.key, owner, one.version.version, one.currency, spent, one.placed_at, one.paid_at))
    await _write(scope, rows)
    for customer_id in sorted(concerned):
        await _settle(scope, customer_id)


async def _settle(scope: Scope, customer_id: UUID) -> None:
    """Compare what a customer's goals deserve with their claims, and book the difference. Precondition: the account is held."""
    async with db.connection(scope) as connection:
        numbers = await connection.fetch(
            """
            select distinct program_version from action_spendings
            where merchant_id = $1 and customer_id = $2 and paid_at is not null
            """,
            scope.merchant_id,
            customer_id,
        )
    versions = await programs.by_numbers(scope, {row["program_version"] for row in numbers})
    goals = programs.goals_by_id(version.definition for version in versions.values())
    claims = await of_customer(scope, customer_id, Kind.GOAL)
    standing = {key for key, claim in claims.items() if claim.deserved}
    waiting = any(claim.posted_pending for claim in claims.values())
    if not waiting and standing == await _keys(scope, customer_id, list(goals.values()), versions):
        # Most orders reach no goal and lose none: then nobody asks which of the customer's many orders did.
        return
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select program_version, currency, spent_minor, placed_at, paid_at from action_spendings
            where merchant_id = $1 and customer_id = $2 and paid_at is not null order by paid_at, key
            """,
            scope.merchant_id,
            customer_id,
        )
    deserved: dict[str, Claim] = {}
    for goal in goals.values():
        for nth, (row, at) in enumerate(reached(goal, rows, versions), start=1):
            key = _key(customer_id, goal, nth)
            deserved[key] = _claim(scope, key, customer_id, goal, row, at, claims.get(key))
    lost = [replace(claims[key], deserved=0, reason=Reason.BELOW_GOAL) for key in standing if key not in deserved]
    gained = [claim for key, claim in deserved.items() if claim != claims.get(key)]
    await book(scope, [*lost, *gained])


async def _keys(scope: Scope, customer_id: UUID, goals: Sequence[Goal], versions: dict[int, ProgramVersion]) -> set[str]:
    """The keys of all claims that a customer's goals deserve, from the sums alone: what `reached` finds one by one."""
    asked = [
        (place, number, goal.currency, goal.starts_at, goal.ends_at)
        for place, goal in enumerate(goals)
        for number, version in versions.items()
        if _offers(version, goal)
    ]
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select n.place, sum(s.spent_minor)::bigint as spent
            from unnest($3::integer[], $4::integer[], $5::text[], $6::timestamptz[], $7::timestamptz[])
                as n (place, program_version, currency, starts_at, ends_at)
            join action_spendings s on s.program_version = n.program_version and s.currency = n.currency
                and (n.starts_at is null or s.placed_at >= n.starts_at) and (n.ends_at is null or s.placed_at < n.ends_at)
            where s.merchant_id = $1 and s.customer_id = $2 and s.paid_at is not null
            group by n.place
            """,
            scope.merchant_id,
            customer_id,
            *([one[index] for one in asked] for index in range(5)),
        )
    by_place = dict(enumerate(goals))
    return {
        _key(customer_id, by_place[row["place"]], nth)
        for row in rows
        for nth in range(1, by_place[row["place"]].times + 1)
        if row["spent"] >= nth * by_place[row["place"]].spend_minor()
    }


def reached(goal: Goal, rows: Sequence[Any], versions: dict[int, ProgramVersion]) -> list[tuple[Any, datetime]]:
    """Each time that a goal is reached: by which of the spendings, given in the order of their payment, and when."""
    each, total = goal.spend_minor(), 0
    found: list[tuple[Any, datetime]] = []
    for row in rows:
        offered = _offers(versions[row["program_version"]], goal)
        if not offered or row["currency"] != goal.currency or not goal.counts(row["placed_at"]):
            continue
        total += row["spent_minor"]
        while len(found) < goal.times and total >= each * (len(found) + 1):
            found.append((row, row["paid_at"]))
    return found


def _offers(version: ProgramVersion, goal: Goal) -> bool:
    return version.definition.enabled and any(one.id == goal.id for one in version.definition.actions.goals)


def _key(customer_id: UUID, goal: Goal, nth: int) -> str:
    return f"{customer_id}.{goal.id}.{nth}"


def _claim(scope: Scope, key: str, customer_id: UUID, goal: Goal, row: Any, at: datetime, earlier: Claim | None) -> Claim:
    decided: dict[str, Any] = {
        "occurred_at": at,
        "program_version": row["program_version"],
        "deserved": goal.points,
        "reason": None,
        "spendable_at": at + timedelta(days=goal.hold_days),
    }
    if earlier is not None:
        # What was given once keeps its terms; it is decided anew only when it was lost meanwhile, or waits.
        settled = earlier.deserved and not earlier.posted_pending
        return earlier if settled else replace(earlier, **decided)
    return Claim(kind=Kind.GOAL.value, key=key, customer_id=customer_id, rule=goal.id, created_at=scope.at, trace=None, **decided)


async def _write(scope: Scope, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into action_spendings (
                merchant_id, key, customer_id, program_version, currency, spent_minor, placed_at, paid_at
            )
            select $1, n.* from unnest(
                $2::text[], $3::uuid[], $4::integer[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]
            ) as n (key, customer_id, program_version, currency, spent_minor, placed_at, paid_at)
            on conflict (merchant_id, key) do update set
                customer_id = excluded.customer_id, spent_minor = excluded.spent_minor, paid_at = excluded.paid_at
            """,
            scope.merchant_id,
            *(list(column) for column in zip(*rows, strict=True)),
        )
