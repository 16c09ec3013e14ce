"""Goals: how often one is reached is a function of what was spent on the customer's orders as they are now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import points, programs
from domain.actions.claims import all_of, book
from domain.actions.rules import Claim, Kind, Reason
from domain.actions.totals import Counted, Shift, owners, reached_by, shift, totals_of
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

    Precondition: an open transaction that holds the orders or sales. Whatever order it is told in, and however often, it ends
    alike; and it takes as long for a customer of ten thousand orders as for a new one.
    """
    told = [(one, one.version.version) for one in spendings if one.version is not None and one.version.definition.actions.goals]
    if not told:
        return
    changed: dict[UUID, set[str]] = {}
    for moved in await shift(scope, await _rows(scope, told)):
        if _may_change(moved):
            changed.setdefault(moved.customer_id, set()).add(moved.goal.id)
    for customer_id, goals in sorted(changed.items()):
        await settle_goals(scope, customer_id, goals)


async def _rows(scope: Scope, told: Sequence[tuple[Spending, int]]) -> list[Counted]:
    """What was told as rows. What is nobody's any more stays with who had it, and is nothing."""
    left = await owners(scope, [one.key for one, _ in told if one.customer_id is None])
    return [
        Counted(
            one.key,
            owner,
            version,
            one.currency,
            0 if one.customer_id is None else max(0, one.spent),
            one.placed_at,
            one.paid_at,
        )
        for one, version in told
        if (owner := one.customer_id or left.get(one.key)) is not None
    ]


def _may_change(moved: Shift) -> bool:
    """Whether the customer's claims can be others by this: the goal is reached more or less often, or a claim that waits for its
    hold, and is decided anew until it is over, can have been reached by another order."""
    if moved.goal.times_reached(moved.before) != moved.goal.times_reached(moved.after):
        return True
    return moved.waits_until is not None and moved.since <= moved.waits_until


async def settle_goals(scope: Scope, customer_id: UUID, goals: Collection[str] | None = None, *, exact: bool = False) -> None:
    """Compare what a customer's goals deserve with their claims, and book the difference. Precondition: the account is held.

    goals: the ids of those to look at; None for all.
    exact: take back whole what is not deserved any more, whatever the program says. Raises MergeSpent when some of it was spent.
    """
    known = await _known(scope, customer_id, goals)
    decided = await _decided(scope, customer_id, known, {})
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
    known = await _known(scope, kept_id, None)
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
    """A customer's goals, by their ids: what each is, what was spent towards it, and its claims, those that are given first."""

    goals: dict[str, Goal]
    versions: dict[int, ProgramVersion]
    spent: dict[str, int]
    claims: dict[str, list[Claim]]

    @property
    def deserved(self) -> dict[str, int]:
        """How often each goal is reached; those that are not are left out."""
        counts = {goal.id: goal.times_reached(self.spent.get(goal.id, 0)) for goal in self.goals.values()}
        return {goal: times for goal, times in counts.items() if times}

    @property
    def given(self) -> dict[str, int]:
        """How often each goal is given; those that are not are left out."""
        counts = {goal: sum(1 for one in claims if one.deserved) for goal, claims in self.claims.items()}
        return {goal: times for goal, times in counts.items() if times}

    def standing(self) -> list[Claim]:
        """The claims that are given."""
        return [one for claims in self.claims.values() for one in claims if one.deserved]


async def _known(scope: Scope, customer_id: UUID, only: Collection[str] | None) -> _Known:
    versions = {one.version: one for one in await programs.every(scope)}
    goals = programs.goals_by_id(version.definition for version in versions.values())
    spent = await totals_of(scope, customer_id)
    claims = _in_order(await all_of(scope, customer_id, Kind.GOAL, only), customer_id)
    asked = spent.keys() | claims.keys() if only is None else set(only)
    return _Known({goal: one for goal, one in goals.items() if goal in asked}, versions, spent, claims)


def _in_order(claims: Sequence[Claim], customer_id: UUID) -> dict[str, list[Claim]]:
    """Claims by their goal: those that are given first, the customer's own before those that came by a merge.

    What was given twice and taken back by a merge is not given again: it comes back when the merge is undone.
    """
    found: dict[str, list[Claim]] = {}
    for claim in sorted(claims, key=lambda one: (not one.deserved, one.told_of != customer_id, one.told_of, _nth(one.key))):
        if claim.reason != Reason.GIVEN_TWICE:
            found.setdefault(claim.rule, []).append(claim)
    return found


async def _decided(scope: Scope, customer_id: UUID, known: _Known, others: Mapping[str, int]) -> list[Claim]:
    """The claims that a customer's goals deserve, as they are to be. others: how often of each goal somebody else was given."""
    places: list[tuple[Goal, int, str, Claim | None]] = []
    for goal in known.goals.values():
        claims, skipped = known.claims.get(goal.id, []), others.get(goal.id, 0)
        fresh = max((_nth(one.key) for one in claims if one.told_of == customer_id), default=0)
        times = range(1, known.deserved.get(goal.id, 0) + 1)
        given = sum(1 for one in claims if one.deserved) if skipped else 0
        for place, nth in enumerate([*times[:given], *times[given + skipped :]]):
            earlier = claims[place] if place < len(claims) else None
            if earlier is None:
                fresh += 1
            places.append((goal, nth, _key(customer_id, goal, fresh) if earlier is None else earlier.key, earlier))
    first: dict[Goal, int] = {}
    for goal, nth, _, earlier in places:
        if earlier is None or not _is_settled(earlier):
            first[goal] = min(nth, first.get(goal, nth))
    wanted = {goal: (known.spent.get(goal.id, 0), nth) for goal, nth in first.items()}
    reached = await reached_by(scope, customer_id, wanted, known.versions)
    return [
        earlier
        if earlier is not None and _is_settled(earlier)
        else _claim(scope, key, customer_id, goal, reached[goal.id, nth], earlier)
        for goal, nth, key, earlier in places
    ]


def _is_settled(claim: Claim) -> bool:
    """What was given once keeps its terms; it is decided anew only when it was lost meanwhile, or waits."""
    return claim.deserved > 0 and claim.posted_pending == 0


def _key(customer_id: UUID, goal: Goal, nth: int) -> str:
    return f"{customer_id}.{goal.id}.{nth}"


def _nth(key: str) -> int:
    return int(key.rpartition(".")[2])


def _claim(scope: Scope, key: str, customer_id: UUID, goal: Goal, row: Counted, earlier: Claim | None) -> Claim:
    assert row.paid_at is not None, "what is not paid reaches nothing"
    decided: dict[str, Any] = {
        "occurred_at": row.paid_at,
        "program_version": row.program_version,
        "deserved": goal.points,
        "reason": None,
        "spendable_at": row.paid_at + timedelta(days=goal.hold_days),
    }
    if earlier is not None:
        return replace(earlier, **decided)
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
