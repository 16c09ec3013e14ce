"""Goals: how often one is reached is a function of what was spent on the customer's orders as they are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import db, points, programs
from domain.actions.claims import all_of, book
from domain.actions.rules import Claim, Kind, Reason
from domain.programs import Clawback, Goal, ProgramVersion
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
        await settle_goals(scope, customer_id)


async def settle_goals(scope: Scope, customer_id: UUID, *, exact: bool = False) -> None:
    """Compare what a customer's goals deserve with their claims, and book the difference. Precondition: the account is held.

    exact: take back whole what is not deserved any more, whatever the program says. Raises MergeSpent when some of it was spent.
    """
    known = await _known(scope, customer_id)
    waiting = any(claim.posted_pending for claims in known.claims.values() for claim in claims)
    if not waiting and known.given == known.deserved:
        # Most orders reach no goal and lose none: then nobody asks which of the customer's many orders did.
        return
    decided = await _decided(scope, customer_id, known, 0)
    kept = {claim.key for claim in decided}
    standing = {claim.key: claim for claim in known.standing()}
    lost = [replace(claim, deserved=0, reason=Reason.BELOW_GOAL) for key, claim in standing.items() if key not in kept]
    if exact:
        for claim in lost:
            owed = max(0, -claim.change - claim.posted_pending)
            await points.unspent(scope, customer_id, claim.lots, owed + claim.absorbed - claim.expired_elsewhere)
    changed = [claim for claim in decided if claim != standing.get(claim.key)]
    await book(scope, [*lost, *changed], Clawback.UNLIMITED if exact else None)


async def unite(scope: Scope, *, kept_id: UUID, gone_id: UUID) -> list[Claim]:
    """Give for the goals that two customers have reached only together, and tell which claims of the one who goes are too many.

    Claims that were given stay as they are. Precondition: an open transaction that holds both accounts, in which what was spent
    is the kept one's already.
    """
    known = await _known(scope, kept_id)
    gone = _in_order(await all_of(scope, gone_id, Kind.GOAL), gone_id)
    given = {goal: sum(1 for one in claims if one.deserved) for goal, claims in gone.items()}
    surplus: list[Claim] = []
    for goal, count_ in given.items():
        too_many = min(count_, known.given.get(goal, 0) + count_ - known.deserved.get(goal, 0))
        surplus += [one for one in gone[goal] if one.deserved][count_ - max(0, too_many) :]
    reaching = {goal for goal, times in known.deserved.items() if times > known.given.get(goal, 0) + given.get(goal, 0)}
    if reaching:
        together = replace(known, goals={goal: one for goal, one in known.goals.items() if goal in reaching})
        decided = await _decided(scope, kept_id, together, given)
        await book(scope, [claim for claim in decided if claim.key not in {one.key for one in known.standing()}])
    return surplus


@dataclass(frozen=True, slots=True)
class _Known:
    """A customer's goals, by their ids: what each is, how often it is deserved, and its claims, those that are given first."""

    goals: dict[str, Goal]
    versions: dict[int, ProgramVersion]
    deserved: dict[str, int]
    claims: dict[str, list[Claim]]

    @property
    def given(self) -> dict[str, int]:
        """How often each goal is given; those that are not are left out."""
        counts = {goal: sum(1 for one in claims if one.deserved) for goal, claims in self.claims.items()}
        return {goal: times for goal, times in counts.items() if times}

    def standing(self) -> list[Claim]:
        """The claims that are given."""
        return [one for claims in self.claims.values() for one in claims if one.deserved]


async def _known(scope: Scope, customer_id: UUID) -> _Known:
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
    deserved = await _times(scope, customer_id, list(goals.values()), versions)
    return _Known(goals, versions, deserved, _in_order(await all_of(scope, customer_id, Kind.GOAL), customer_id))


def _in_order(claims: Sequence[Claim], customer_id: UUID) -> dict[str, list[Claim]]:
    """Claims by their goal: those that are given first, the customer's own before those that came by a merge.

    What was given twice and taken back by a merge is not given again: it comes back when the merge is undone.
    """
    found: dict[str, list[Claim]] = {}
    for claim in sorted(claims, key=lambda one: (not one.deserved, one.told_of != customer_id, one.told_of, _nth(one.key))):
        if claim.reason != Reason.GIVEN_TWICE:
            found.setdefault(claim.rule, []).append(claim)
    return found


async def _decided(scope: Scope, customer_id: UUID, known: _Known, others: Mapping[str, int] | int) -> list[Claim]:
    """The claims that a customer's goals deserve, those of `others` times of each goal left out, as they are to be."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select program_version, currency, spent_minor, placed_at, paid_at from action_spendings
            where merchant_id = $1 and customer_id = $2 and paid_at is not null order by paid_at, key
            """,
            scope.merchant_id,
            customer_id,
        )
    decided: list[Claim] = []
    for goal in known.goals.values():
        claims = known.claims.get(goal.id, [])
        fresh = max((_nth(one.key) for one in claims if one.told_of == customer_id), default=0)
        skipped = others if isinstance(others, int) else others.get(goal.id, 0)
        times = reached(goal, rows, known.versions)
        given = sum(1 for one in claims if one.deserved) if skipped else 0
        for place, (row, at) in enumerate([*times[:given], *times[given + skipped :]]):
            earlier = claims[place] if place < len(claims) else None
            if earlier is None:
                fresh += 1
            key = _key(customer_id, goal, fresh) if earlier is None else earlier.key
            decided.append(_claim(scope, key, customer_id, goal, row, at, earlier))
    return decided


async def _times(scope: Scope, customer_id: UUID, goals: Sequence[Goal], versions: dict[int, ProgramVersion]) -> dict[str, int]:
    """How often each of a customer's goals is reached, from the sums alone: what `reached` finds one by one."""
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
    times: dict[str, int] = {}
    for row in rows:
        place: int = row["place"]
        spent: int = row["spent"]
        goal = goals[place]
        if often := sum(spent >= nth * goal.spend_minor() for nth in range(1, goal.times + 1)):
            times[goal.id] = often
    return times


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


def _nth(key: str) -> int:
    return int(key.rpartition(".")[2])


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
    return Claim(
        kind=Kind.GOAL.value,
        key=key,
        customer_id=customer_id,
        told_of=customer_id,
        rule=goal.id,
        created_at=scope.at,
        trace=None,
        **decided,
    )


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
