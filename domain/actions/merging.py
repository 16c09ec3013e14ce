"""What of a merge concerns claims: what was given twice, what only both reach, pending points, and how all goes back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import msgspec

from domain import calendar, db, points, programs
from domain.actions.birthdays import DAYS_BETWEEN, move_birthday, move_birthday_back, pause_birthdays, resume_birthday
from domain.actions.claims import all_of, write
from domain.actions.goals import settle_goals, unite
from domain.actions.reviews import look_again
from domain.actions.rules import Claim, Kind, Reason
from domain.actions.till import settle_sales_of
from domain.actions.totals import hand_over, hand_over_all
from domain.points import Arrived, Entry
from domain.programs import Clawback, EventRule, ProgramVersion, ReviewRule
from domain.scope import Scope


class Taken(msgspec.Struct, frozen=True):
    """What was taken back of a claim because both had it: what it deserved, and of it points, pending ones, and expired ones."""

    deserved: int
    points: int
    pending: int
    absorbed: int


class MovedClaim(msgspec.Struct, frozen=True):
    """A claim that moved with its customer, as it was before, and where its lots went. Written down with the merge."""

    kind: str
    key: str
    lots: list[int]
    went_to: dict[int, int]
    expired_elsewhere: int
    taken: Taken | None = None


Twice = Mapping[tuple[str, str], Taken]
"""What was taken back, by the claim's kind and key."""


async def take_back_twice(scope: Scope, *, from_id: UUID, to_id: UUID, cause: str) -> Twice:
    """Take back from who goes what both were given, and give what both have reached only together.

    Twice is a follow of the same network, a birthday within 365 days of one of the other's, a goal more often than all that was
    spent reaches it, and reviews and events beyond what the program gives one customer for. Precondition: an
    open transaction that holds both accounts and has moved nothing yet.
    """
    own, theirs = await all_of(scope, to_id), await all_of(scope, from_id)
    follows = {one.rule for one in own if one.kind == Kind.FOLLOW and one.deserved}
    twice = [one for one in theirs if one.kind == Kind.FOLLOW and one.deserved and one.rule in follows]
    twice += await _birthdays_twice(scope, own, theirs)
    twice += await _beyond_caps(scope, own, theirs)
    await hand_over_all(scope, from_id=from_id, to_id=to_id)
    twice += await unite(scope, kept_id=to_id, gone_id=from_id)
    return {(claim.kind, claim.key): await _take_back(scope, claim, cause) for claim in twice}


async def _birthdays_twice(scope: Scope, own: Sequence[Claim], theirs: Sequence[Claim]) -> list[Claim]:
    live = await programs.live(scope)
    zone = calendar.time_zone(live.definition.time_zone if live else "UTC")
    days = [calendar.local_day(one.occurred_at, zone) for one in own if one.kind == Kind.BIRTHDAY and one.deserved]
    return [
        one
        for one in theirs
        if one.kind == Kind.BIRTHDAY
        and one.deserved
        and any(abs((calendar.local_day(one.occurred_at, zone) - day).days) < DAYS_BETWEEN for day in days)
    ]


async def _beyond_caps(scope: Scope, own: Sequence[Claim], theirs: Sequence[Claim]) -> list[Claim]:
    """The reviews and events of who goes that one customer would not have been given for, besides those of who is kept.

    Each by the program that gave for it, and the earliest first: so it is as if all of who is kept had been told before.
    """
    versions = await programs.by_numbers(scope, {one.program_version for one in theirs if one.program_version is not None})
    standing = [one for one in own if one.deserved]
    beyond: list[Claim] = []
    for claim in sorted(theirs, key=lambda one: (one.occurred_at, one.key)):
        version = versions.get(claim.program_version or 0)
        caps = None if version is None else _caps(version, claim)
        if version is None or caps is None or not claim.deserved:
            continue
        zone = calendar.time_zone(version.definition.time_zone)
        day = calendar.local_day(claim.occurred_at, zone)
        others = [one for one in standing if one.kind == claim.kind and (claim.kind == Kind.REVIEW or one.rule == claim.rule)]
        that_day = sum(1 for one in others if calendar.local_day(one.occurred_at, zone) == day)
        if (caps.per_life is not None and len(others) >= caps.per_life) or (
            caps.per_day is not None and that_day >= caps.per_day
        ):
            beyond.append(claim)
        else:
            standing.append(claim)
    return beyond


def _caps(version: ProgramVersion, claim: Claim) -> ReviewRule | EventRule | None:
    match claim.kind:
        case Kind.REVIEW:
            return version.definition.actions.review
        case Kind.EVENT:
            return version.definition.actions.event(claim.rule)
        case _:
            return None


async def _take_back(scope: Scope, claim: Claim, cause: str) -> Taken:
    """Take back a claim whole, whatever the program says: out of its own lots, else out of any, else as a debt."""
    pending = min(claim.deserved, claim.posted_pending)
    standing = await points.hold(scope, claim.customer_id, claim.lots)
    met = points.reversal(
        claim.deserved - pending,
        list(standing.lots.values()),
        absorbed_before=claim.absorbed - claim.expired_elsewhere,
        balance=standing.balance,
        seizable=0,
        policy=Clawback.UNLIMITED,
    )
    parts: list[tuple[int | None, int]] = list(met.own)
    if met.others:
        lot, part = parts.pop() if parts else (max(claim.lots, default=None), 0)
        parts.append((lot, part + met.others))
    mark = f"{claim.kind}:{claim.key}"
    entries = [points.moved(claim.customer_id, -part, cause, f"taken:{mark}:{lot}", lot=lot, reverses=lot) for lot, part in parts]
    if pending:
        entries.append(
            points.moved(claim.customer_id, 0, cause, f"taken-pending:{mark}", pending=-pending, reverses=claim.pending_entry)
        )
    await points.post(scope, entries)
    taken = Taken(claim.deserved, sum(part for _, part in parts), pending, met.absorbed)
    await write(
        scope,
        [
            replace(
                claim,
                deserved=0,
                reason=Reason.GIVEN_TWICE,
                posted_points=claim.posted_points - taken.points,
                posted_pending=claim.posted_pending - pending,
                absorbed=claim.absorbed + met.absorbed,
                matures_at=None,
            )
        ],
    )
    return taken


async def move(
    scope: Scope, lots: Mapping[int, int], *, from_id: UUID, to_id: UUID, cause: str, twice: Twice
) -> list[MovedClaim]:
    """Give a customer's claims with what is pending of them, and their birthday, to another. lots: where the lots went.

    Precondition: an open transaction that holds both accounts, and has moved the lots.
    """
    moving = await all_of(scope, from_id)
    expired = await points.expired_of(scope, from_id, [lot for claim in moving for lot in claim.lots])
    is_open = to_id not in await points.closed(scope, [to_id])
    written = [
        replace(
            claim,
            customer_id=to_id,
            lots=[lots[lot] for lot in claim.lots if lot in lots],
            expired_elsewhere=claim.expired_elsewhere + sum(expired[lot] for lot in claim.lots),
            matures_at=claim.spendable_at if is_open and claim.posted_pending else None,
        )
        for claim in moving
    ]
    entries = [
        points.moved(customer_id, 0, cause, f"claim-pending-{side}:{claim.kind}:{claim.key}", pending=sign * claim.posted_pending)
        for claim in moving
        if claim.posted_pending
        for customer_id, side, sign in ((from_id, "out", -1), (to_id, "in", 1))
    ]
    await _post(scope, written, entries, "claim-pending-in")
    await move_birthday(scope, from_id=from_id, to_id=to_id)
    return [
        MovedClaim(
            claim.kind,
            claim.key,
            claim.lots,
            {lot: lots[lot] for lot in claim.lots if lot in lots},
            claim.expired_elsewhere,
            twice.get((claim.kind, claim.key)),
        )
        for claim in moving
    ]


async def returning(scope: Scope, customer_id: UUID, told_of: Collection[UUID]) -> list[Claim]:
    """The claims of a customer that were told of others who were merged into them, before or since."""
    return [claim for claim in await all_of(scope, customer_id) if claim.told_of in told_of]


def later_lots(moved: Sequence[MovedClaim], claims: Sequence[Claim]) -> dict[int, UUID]:
    """The lots that claims have opened since they moved, and in whose account."""
    known = _by_key(moved)
    return {
        lot: claim.customer_id
        for claim in claims
        for lot in claim.lots
        if lot not in _went_to(known.get((claim.kind, claim.key)))
    }


async def move_back(
    scope: Scope,
    moved: Sequence[MovedClaim],
    claims: Sequence[Claim],
    orders: Collection[int],
    arrived: Mapping[int, Arrived],
    *,
    from_id: UUID,
    to_id: UUID,
    cause: str,
) -> None:
    """Give claims and what is pending of them back to the customer from whom they came, with what was taken back as given twice.

    orders: the numbers of those that go back. arrived: what became of the lots. Precondition: an open transaction that holds both
    accounts, and has moved the lots back.
    """
    known = _by_key(moved)
    written: list[Claim] = []
    entries: list[Entry] = []
    for claim in claims:
        before = known.get((claim.kind, claim.key)) or MovedClaim(claim.kind, claim.key, [], {}, 0)
        lost = {lot: arrived[lot] for lot in claim.lots}
        later = [one.lot for lot, one in lost.items() if lot not in _went_to(before) and one.lot is not None]
        back = replace(
            claim,
            customer_id=to_id,
            lots=[*before.lots, *later],
            expired_elsewhere=before.expired_elsewhere + sum(one.expired for one in lost.values()),
        )
        if before.taken is not None:
            back = replace(
                back,
                deserved=before.taken.deserved,
                reason=None,
                posted_points=claim.posted_points + before.taken.points,
                posted_pending=claim.posted_pending + before.taken.pending,
                absorbed=claim.absorbed - before.taken.absorbed,
            )
        mark = f"{claim.kind}:{claim.key}"
        if claim.posted_pending:
            entries.append(points.moved(from_id, 0, cause, f"claim-back-out:{mark}", pending=-claim.posted_pending))
        if back.posted_pending:
            entries.append(points.moved(to_id, 0, cause, f"claim-back-in:{mark}", pending=back.posted_pending))
        written.append(replace(back, matures_at=back.spendable_at if back.posted_pending else None))
    await _post(scope, written, entries, "claim-back-in")
    spent = [f"order/{number}" for number in orders] + [f"sale/{one.key}" for one in claims if one.kind == Kind.SALE]
    await hand_over(scope, spent, from_id=from_id, to_id=to_id)
    await move_birthday_back(scope, from_id=from_id, to_id=to_id)


async def settle_apart(scope: Scope, customer_ids: Collection[UUID]) -> None:
    """Take back what customers have deserved only together, now that each stands for themself again.

    Precondition: an open transaction that holds their accounts. Raises MergeSpent when some of it was spent.
    """
    for customer_id in sorted(customer_ids):
        await settle_goals(scope, customer_id, exact=True)


async def pause(scope: Scope, customer_id: UUID | None) -> None:
    """Let the claims of a customer wait whose hold has not passed, and their birthday, because the account is closed.

    None is everybody of the shop. Precondition: an open transaction.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update action_claims set matures_at = null
            where merchant_id = $1 and ($2::uuid is null or customer_id = $2) and matures_at is not null
            """,
            scope.merchant_id,
            customer_id,
        )
    await pause_birthdays(scope, customer_id)


async def resume(scope: Scope, customer_id: UUID, family: Collection[UUID]) -> None:
    """Let go on what has waited for the account to be opened, and make up for what was told meanwhile.

    family: the customer and all who were merged into them. Precondition: an open transaction, behind `hold_tills`.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update action_claims set matures_at = spendable_at
            where merchant_id = $1 and customer_id = $2 and posted_pending > 0 and matures_at is null
            """,
            scope.merchant_id,
            customer_id,
        )
    await resume_birthday(scope, customer_id)
    await look_again(scope, family)
    await settle_sales_of(scope, family)
    await points.hold(scope, customer_id)
    await settle_goals(scope, customer_id)


def _by_key(moved: Sequence[MovedClaim]) -> dict[tuple[str, str], MovedClaim]:
    return {(one.kind, one.key): one for one in moved}


def _went_to(moved: MovedClaim | None) -> Collection[int]:
    return () if moved is None else moved.went_to.values()


async def _post(scope: Scope, claims: Sequence[Claim], entries: Sequence[Entry], arrival: str) -> None:
    """Post what moves of pending points, note the entry by which it is pending now, and write the claims."""
    positions = {entries[one.index].purpose: one.position for one in await points.post(scope, entries)}
    await write(scope, [replace(claim, pending_entry=positions.get(f"{arrival}:{claim.kind}:{claim.key}")) for claim in claims])
