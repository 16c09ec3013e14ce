"""What customers have spent towards their goals: running totals, moved by what changes, so that no order reads the others."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from uuid import UUID

from domain import db, points, programs
from domain.programs import Goal, ProgramVersion
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Counted:
    """What was kept of an order or of a sale, as its row says it. The fields are the row's columns.

    spent_minor: minor units of `currency`. paid_at: until then it does not count.
    """

    key: str
    customer_id: UUID
    program_version: int
    currency: str
    spent_minor: int
    placed_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much what a customer has spent towards a goal has changed.

    before, after: minor units of the goal's currency. since: when the first of the orders was paid that changed it. waits_until:
    which order reached the goal is still open for all that were paid up to this instant; None when it is settled.
    """

    customer_id: UUID
    goal: Goal
    before: int
    after: int
    since: datetime
    waits_until: datetime | None


_COLUMNS = "key, customer_id, program_version, currency, spent_minor, placed_at, paid_at"
_SELECT = f"select {_COLUMNS} from action_spendings where merchant_id = $1"
PAGE = 50
"""How much is read at a time to find by which order a goal was reached: mostly it was the newest."""


async def shift(scope: Scope, changed: Sequence[Counted]) -> list[Shift]:
    """Take over rows of what was spent, and move the totals by the difference to the rows before. Rows that stay are passed over.

    Precondition: an open transaction in which nobody else changes these rows; it holds the accounts of their customers from then
    on.
    """
    earlier = await _by_keys(scope, [one.key for one in changed])
    fresh = [one for one in changed if one != earlier.get(one.key)]
    if not fresh:
        return []
    replaced = [earlier[one.key] for one in fresh if one.key in earlier]
    await points.hold_all(scope, {one.customer_id for one in (*replaced, *fresh)})
    await _write(scope, fresh)
    versions = await programs.by_numbers(scope, {one.program_version for one in (*replaced, *fresh)})
    difference: dict[tuple[UUID, Goal], int] = defaultdict(int)
    since: dict[tuple[UUID, Goal], datetime] = {}
    for sign, rows in ((-1, replaced), (1, fresh)):
        for row in rows:
            for goal in towards(row, versions):
                assert row.paid_at is not None, "what is not paid counts towards nothing"
                place = row.customer_id, goal
                difference[place] += sign * row.spent_minor
                since[place] = min(row.paid_at, since.get(place, row.paid_at))
    return await _add(scope, difference, since)


async def owners(scope: Scope, keys: Collection[str]) -> dict[str, UUID]:
    """Whose what was kept under these keys is; unknown keys are left out."""
    return {key: one.customer_id for key, one in (await _by_keys(scope, keys)).items()} if keys else {}


async def hand_over(scope: Scope, keys: Collection[str], *, from_id: UUID, to_id: UUID) -> None:
    """Give what was kept under these keys, as far as it is the one's, to the other, with its part of the totals.

    Precondition: an open transaction that holds both accounts.
    """
    rows = (await _by_keys(scope, keys)).values()
    await shift(scope, [replace(row, customer_id=to_id) for row in rows if row.customer_id == from_id])


async def hand_over_all(scope: Scope, *, from_id: UUID, to_id: UUID) -> None:
    """Give all that a customer has spent to another. Precondition: an open transaction that holds both accounts."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update action_spendings set customer_id = $3 where merchant_id = $1 and customer_id = $2",
            scope.merchant_id,
            from_id,
            to_id,
        )
        await connection.execute(
            """
            insert into action_totals (merchant_id, customer_id, goal, spent_minor)
            select $1, $3, t.goal, t.spent_minor from action_totals t where t.merchant_id = $1 and t.customer_id = $2
            on conflict (merchant_id, customer_id, goal) do update set
                spent_minor = action_totals.spent_minor + excluded.spent_minor
            """,
            scope.merchant_id,
            from_id,
            to_id,
        )
        await connection.execute(
            "update action_totals set spent_minor = 0 where merchant_id = $1 and customer_id = $2", scope.merchant_id, from_id
        )


async def totals_of(scope: Scope, customer_id: UUID) -> dict[str, int]:
    """What a customer has spent towards each goal, by its id, in minor units of its currency."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select goal, spent_minor from action_totals where merchant_id = $1 and customer_id = $2",
            scope.merchant_id,
            customer_id,
        )
    return {row["goal"]: int(row["spent_minor"]) for row in rows}


async def reached_by(
    scope: Scope, customer_id: UUID, wanted: Mapping[Goal, tuple[int, int]], versions: Mapping[int, ProgramVersion]
) -> dict[tuple[str, int], Counted]:
    """By which of a customer's orders goals were reached the given times, by the goal's id and the time, counted from 1.

    wanted: of each goal the total, and the first time that is asked for; all later ones are told too. It reads from the newest
    order back, as far as the first time that is asked for: a total grows with every order, so that is as far as it matters.
    """
    found: dict[tuple[str, int], Counted] = {}
    # Of each goal, what was spent up to the row at hand, the last time that is still looked for, and the first one.
    left = {goal: (total, goal.times_reached(total), first) for goal, (total, first) in wanted.items()}
    left = {goal: one for goal, one in left.items() if one[1] >= one[2]}
    behind: Counted | None = None
    while left:
        rows = await _paid_before(scope, customer_id, behind)
        assert rows, "a total is the sum of its rows, so they reach what it reaches"
        behind = rows[-1]
        for row in rows:
            for goal in towards(row, versions):
                if goal not in left:
                    continue
                after, nth, first = left[goal]
                before = after - row.spent_minor
                while nth >= first and before < nth * goal.spend_minor():
                    found[goal.id, nth] = row
                    nth -= 1
                left[goal] = before, nth, first
                if nth < first:
                    del left[goal]
    return found


def towards(row: Counted, versions: Mapping[int, ProgramVersion]) -> list[Goal]:
    """The goals towards which something that was spent counts. It never changes while the row stays as it is."""
    definition = versions[row.program_version].definition
    if row.paid_at is None or not definition.enabled:
        return []
    return [goal for goal in definition.actions.goals if goal.currency == row.currency and goal.counts(row.placed_at)]


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """A total that is not the sum of what it is to sum up. kept, summed: minor units of the goal's currency."""

    customer_id: UUID
    goal: str
    kept: int
    summed: int


async def wrong_totals(scope: Scope) -> list[WrongTotal]:
    """Every total of the shop's that is not the sum of its rows. It reads all of them, and changes nothing."""
    offered = [
        (goal.id, version.version, goal.currency, goal.starts_at, goal.ends_at)
        for version in await programs.every(scope)
        if version.definition.enabled
        for goal in version.definition.actions.goals
    ]
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select coalesce(t.customer_id, s.customer_id) as customer_id, coalesce(t.goal, s.goal) as goal,
                coalesce(t.spent_minor, 0) as kept, coalesce(s.summed, 0) as summed
            from (select customer_id, goal, spent_minor from action_totals where merchant_id = $1) t
            full join (
                select s.customer_id, n.goal, sum(s.spent_minor) as summed
                from unnest($2::text[], $3::integer[], $4::text[], $5::timestamptz[], $6::timestamptz[])
                    as n (goal, program_version, currency, starts_at, ends_at)
                join action_spendings s on s.merchant_id = $1 and s.program_version = n.program_version
                    and s.currency = n.currency and s.paid_at is not null
                    and (n.starts_at is null or s.placed_at >= n.starts_at) and (n.ends_at is null or s.placed_at < n.ends_at)
                group by s.customer_id, n.goal
            ) s on s.customer_id = t.customer_id and s.goal = t.goal
            where coalesce(t.spent_minor, 0) <> coalesce(s.summed, 0) order by customer_id, goal
            """,
            scope.merchant_id,
            *([one[index] for one in offered] for index in range(5)),
        )
    return [WrongTotal(row["customer_id"], row["goal"], int(row["kept"]), int(row["summed"])) for row in rows]


async def _by_keys(scope: Scope, keys: Collection[str]) -> dict[str, Counted]:
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and key = any ($2)", scope.merchant_id, list(keys))
    return {row["key"]: Counted(*row) for row in rows}


async def _paid_before(scope: Scope, customer_id: UUID, behind: Counted | None) -> list[Counted]:
    """A page of what a customer has paid, the newest first, from before one of them."""
    place = (None, None) if behind is None else (behind.paid_at, behind.key)
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_SELECT} and customer_id = $2 and paid_at is not null
                and ($3::timestamptz is null or (paid_at, key) < ($3, $4)) order by paid_at desc, key desc limit $5
            """,
            scope.merchant_id,
            customer_id,
            *place,
            PAGE,
        )
    return [Counted(*row) for row in rows]


async def _write(scope: Scope, rows: Iterable[Counted]) -> None:
    async with db.connection(scope) as connection:
        await connection.execute(
            f"""
            insert into action_spendings (merchant_id, {_COLUMNS})
            select $1, n.* from unnest(
                $2::text[], $3::uuid[], $4::integer[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]
            ) as n ({_COLUMNS})
            on conflict (merchant_id, key) do update set
                customer_id = excluded.customer_id, program_version = excluded.program_version, currency = excluded.currency,
                spent_minor = excluded.spent_minor, placed_at = excluded.placed_at, paid_at = excluded.paid_at
            """,
            scope.merchant_id,
            *(list(column) for column in zip(*map(astuple, rows), strict=True)),
        )


async def _add(
    scope: Scope, difference: Mapping[tuple[UUID, Goal], int], since: Mapping[tuple[UUID, Goal], datetime]
) -> list[Shift]:
    """Add to totals. Precondition: the accounts are held, so that nobody else adds to them between the read and the write."""
    if not difference:
        return []
    places = list(difference)
    ids, goals = [customer_id for customer_id, _ in places], [goal.id for _, goal in places]
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select coalesce(t.spent_minor, 0) as spent_minor, (
                select max(c.occurred_at) from action_claims c
                where c.merchant_id = $1 and c.customer_id = n.customer_id and c.kind = 'goal' and c.rule = n.goal
                    and c.posted_pending > 0
            ) as waits_until
            from unnest($2::uuid[], $3::text[]) with ordinality as n (customer_id, goal, place)
            left join action_totals t on t.merchant_id = $1 and t.customer_id = n.customer_id and t.goal = n.goal
            order by n.place
            """,
            scope.merchant_id,
            ids,
            goals,
        )
        before: list[tuple[int, datetime | None]] = [(int(row["spent_minor"]), row["waits_until"]) for row in rows]
        after = [spent + difference[place] for place, (spent, _) in zip(places, before, strict=True)]
        await connection.execute(
            """
            insert into action_totals (merchant_id, customer_id, goal, spent_minor)
            select $1, n.* from unnest($2::uuid[], $3::text[], $4::numeric[]) as n
            on conflict (merchant_id, customer_id, goal) do update set spent_minor = excluded.spent_minor
            """,
            scope.merchant_id,
            ids,
            goals,
            after,
        )
    return [
        Shift(*place, spent, now, since[place], waits_until)
        for place, (spent, waits_until), now in zip(places, before, after, strict=True)
    ]
