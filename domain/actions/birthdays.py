"""Birthdays: kept sealed, given for at local midnight, once in 365 days, and never sooner than the lead after a change."""

from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from domain import audit, calendar, customers, db, points, programs
from domain.actions.claims import book, judged
from domain.actions.persons import earner
from domain.actions.rules import Claim, InvalidDate, Kind
from domain.damage import Damaged
from domain.keyring import KeyDamaged
from domain.programs import BirthdayRule, ProgramVersion
from domain.programs.actions import LEAD_DAYS_MIN
from domain.scope import Scope
from domain.seal import seal, unseal

YEAR_MIN = 1900
DAYS_BETWEEN = 365
ANY_YEAR = 2000
"""A year with every day there is."""


class Sealed(msgspec.Struct, frozen=True):
    """What is kept sealed of a birthday.

    given_on: the local day of the last gift. told_of: whose it is, if it came by merges, at the other end of all of them.
    """

    month: int
    day: int
    year: int | None = None
    given_on: date | None = None
    told_of: UUID | None = None


class Birthday(msgspec.Struct, frozen=True):
    """A customer's birthday, opened. changes: how often it was changed after it was first set. due_at: the next gift, if any."""

    customer_id: UUID
    month: int
    day: int
    year: int | None
    changes: int
    set_at: datetime
    due_at: datetime


async def birthday(scope: Scope, customer_id: UUID) -> Birthday | None:
    """A customer's birthday, or that of who was kept when they were merged, or None when it is not known."""
    row = await _row(scope, customer_id)
    return None if row is None else await _opened(scope, row, await programs.live(scope))


async def set_birthday(scope: Scope, *, customer_id: UUID, month: int, day: int, year: int | None) -> Birthday:
    """Keep a customer's birthday. The same date again changes nothing; another one counts as a change, and the lead begins anew.

    Precondition: an open transaction. What staff change is audited, without the date. Refusals: NOT_FOUND, ACCOUNT_CLOSED,
    DATE_INVALID, and DATA_DAMAGED when the one that is kept does not open: it says when the last gift was.
    """
    live = await programs.live(scope)
    zone = _zone(live)
    _check_date(month, day, year, calendar.local_day(scope.at, zone))
    customer_id = await earner(scope, customer_id, ("customerId",))
    await points.hold(scope, customer_id)
    row = await _row(scope, customer_id)
    given_on, changes = None, 0
    if row is not None:
        earlier = _unsealed(scope, row)
        if (earlier.month, earlier.day, earlier.year) == (month, day, year):
            # One that was set aside because it did not open goes on once it has been mended.
            await resume_birthday(scope, customer_id)
            return await _opened(scope, row, live)
        given_on, changes = earlier.given_on, row["changes"] + 1
    changed = Sealed(month, day, year, given_on)
    given = await _gifts(scope, [customer_id])
    due_at = calendar.day_start(_next_day(_behind(changed, given.get(customer_id), zone), scope.at, _lead(live), zone), zone)
    await _keep(scope, customer_id, changed, {"set_at": scope.at, "changes": changes, "due_at": due_at})
    subject = f"gid://loyalnest/Customer/{customer_id}"
    await audit.record_for_others(scope, "customer_birthday.set", subject, after={"changes": changes})
    return Birthday(customer_id, month, day, year, changes, scope.at, due_at)


async def give_birthdays(scope: Scope, limit: int) -> int:
    """Give for birthdays whose day has begun, of at most `limit` customers. Returns how many were looked at.

    Precondition: an open transaction that holds no account. Each is decided by the program that was in force at its midnight,
    however late this runs; who was away for two birthdays is due again at once. One that does not open waits, as that of a closed
    account does, until it is mended and set again. Running it twice is running it once.
    """
    async with db.connection(scope) as connection:
        due = await connection.fetch(
            "select customer_id from birthdays where merchant_id = $1 and due_at <= $2 order by due_at limit $3",
            scope.merchant_id,
            scope.at,
            limit,
        )
        await points.hold_all(scope, {row["customer_id"] for row in due})
        # Whoever was closed meanwhile is due no more, and waits.
        rows = await connection.fetch(
            """
            select customer_id, sealed, set_at, changes, occasions, due_at from birthdays
            where merchant_id = $1 and due_at <= $2 and customer_id = any ($3) order by customer_id
            """,
            scope.merchant_id,
            scope.at,
            [row["customer_id"] for row in due],
        )
    in_force = await programs.in_force_each(scope, [row["due_at"] for row in rows])
    given = await _gifts(scope, [row["customer_id"] for row in rows])
    claims: list[Claim] = []
    for row, version in zip(rows, in_force, strict=True):
        try:
            claim = await _celebrate(scope, row, version, given.get(row["customer_id"]))
        except KeyDamaged:
            # It is nothing of this one's: all wait until the key is given back.
            raise
        except Damaged:
            await pause_birthdays(scope, row["customer_id"])
            continue
        if claim is not None:
            claims.append(claim)
    await book(scope, claims)
    return len(rows)


async def _celebrate(scope: Scope, row: Any, version: ProgramVersion | None, given_at: datetime | None) -> Claim | None:
    """The claim of a birthday that has begun, with the next one noted; None where the program has moved it meanwhile."""
    kept, due_at, zone = _unsealed(scope, row), row["due_at"], _zone(version)
    today = calendar.local_day(due_at, zone)
    coming = _next_day(_behind(kept, given_at, zone), row["set_at"], _lead(version), zone, today)
    if coming > today:
        await _note(scope, row, kept, calendar.day_start(coming, zone), came=False)
        return None
    unjudged = Claim(
        kind=Kind.BIRTHDAY.value,
        key=f"{row['customer_id']}.{row['occasions'] + 1}",
        customer_id=row["customer_id"],
        told_of=kept.told_of or row["customer_id"],
        rule="",
        occurred_at=due_at,
        created_at=scope.at,
        program_version=None,
        deserved=0,
        reason=None,
        trace=None,
        spendable_at=due_at,
    )
    claim = judged(unjudged, version, _rule(version))
    if claim.deserved:
        kept = msgspec.structs.replace(kept, given_on=today)
    tomorrow = today + timedelta(days=1)
    following = _next_day(_behind(kept, given_at, zone), row["set_at"], _lead(version), zone, tomorrow)
    await _note(scope, row, kept, calendar.day_start(following, zone), came=True)
    return claim


async def _gifts(scope: Scope, customer_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When the last birthday was given for of those who were merged into these customers; their own lies sealed, as a day."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select customer_id, max(occurred_at) as given_at from action_claims
            where merchant_id = $1 and customer_id = any ($2) and kind = 'birthday' and deserved > 0
                and not starts_with(key, customer_id::text)
            group by customer_id
            """,
            scope.merchant_id,
            list(customer_ids),
        )
    return {row["customer_id"]: row["given_at"] for row in rows}


def _behind(kept: Sealed, given_at: datetime | None, zone: ZoneInfo) -> Sealed:
    """A birthday whose last gift is also that of who was merged into its customer: it is not sooner than either's year allows."""
    if given_at is None:
        return kept
    given_on = calendar.local_day(given_at, zone)
    return msgspec.structs.replace(kept, given_on=given_on if kept.given_on is None else max(kept.given_on, given_on))


def _next_day(kept: Sealed, set_at: datetime, lead_days: int, zone: ZoneInfo, since: date | None = None) -> date:
    """The first birthday from the local day `since` on that is given for: behind the lead, and a year behind the last gift."""
    ready = set_at + timedelta(days=lead_days)
    earliest = calendar.local_day(ready, zone)
    if calendar.day_start(earliest, zone) < ready:
        earliest += timedelta(days=1)
    if kept.given_on is not None:
        earliest = max(earliest, kept.given_on + timedelta(days=DAYS_BETWEEN))
    return calendar.next_month_day(max(earliest, since or earliest), kept.month, kept.day)


def _check_date(month: int, day: int, year: int | None, today: date) -> None:
    try:
        born = date(ANY_YEAR if year is None else year, month, day)
    except (ValueError, OverflowError) as error:
        raise InvalidDate("No calendar has this date.", field=("month",)) from error
    if year is not None and (year < YEAR_MIN or born > today):
        raise InvalidDate(f"The year is from {YEAR_MIN} on, and the date is not ahead.", field=("year",))


def _rule(version: ProgramVersion | None) -> BirthdayRule | None:
    return None if version is None else version.definition.actions.birthday


def _lead(version: ProgramVersion | None) -> int:
    rule = _rule(version)
    return LEAD_DAYS_MIN if rule is None else rule.lead_days


def _zone(version: ProgramVersion | None) -> ZoneInfo:
    return calendar.time_zone("UTC" if version is None else version.definition.time_zone)


async def _row(scope: Scope, customer_id: UUID) -> Any:
    async with db.connection(scope) as connection:
        return await connection.fetchrow(
            """
            select customer_id, sealed, set_at, changes, occasions, coalesce(due_at, due_when_open) as due_at from birthdays
            where merchant_id = $1 and sealed is not null and customer_id = (
                select coalesce(c.merged_into, c.id) from customers c where c.merchant_id = $1 and c.id = $2
            )
            """,
            scope.merchant_id,
            customer_id,
        )


async def _note(scope: Scope, row: Any, kept: Sealed, due_at: datetime, *, came: bool) -> None:
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update birthdays set sealed = $3, due_at = $4, occasions = occasions + $5 where merchant_id = $1 and customer_id = $2
            """,
            scope.merchant_id,
            row["customer_id"],
            _seal(scope, row["customer_id"], kept),
            due_at,
            int(came),
        )


def _seal(scope: Scope, customer_id: UUID, kept: Sealed) -> bytes:
    return seal(scope.merchant_id, "birthdays.sealed", str(customer_id), msgspec.json.encode(kept))


def _unsealed(scope: Scope, row: Any) -> Sealed:
    plain = unseal(scope.merchant_id, "birthdays.sealed", str(row["customer_id"]), row["sealed"])
    return msgspec.json.decode(plain, type=Sealed)


async def _opened(scope: Scope, row: Any, live: ProgramVersion | None) -> Birthday:
    kept, zone, due_at = _unsealed(scope, row), _zone(live), row["due_at"]
    given_at = (await _gifts(scope, [row["customer_id"]])).get(row["customer_id"])
    if given_at is not None:
        # A gift to who was merged into them puts theirs off; that is noted when its day begins.
        behind = _behind(kept, given_at, zone)
        coming = _next_day(behind, row["set_at"], _lead(live), zone, calendar.local_day(due_at, zone))
        due_at = max(due_at, calendar.day_start(coming, zone))
    return Birthday(row["customer_id"], kept.month, kept.day, kept.year, row["changes"], row["set_at"], due_at)


async def pause_birthdays(scope: Scope, customer_id: UUID | None) -> None:
    """Let a birthday wait, or all of the shop's, because the account is closed. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update birthdays set due_when_open = due_at, due_at = null
            where merchant_id = $1 and ($2::uuid is null or customer_id = $2) and due_at is not null
            """,
            scope.merchant_id,
            customer_id,
        )


async def resume_birthday(scope: Scope, customer_id: UUID) -> None:
    """A birthday that waited is due again, as those that came meanwhile are. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update birthdays set due_at = due_when_open, due_when_open = null
            where merchant_id = $1 and customer_id = $2 and due_when_open is not null
            """,
            scope.merchant_id,
            customer_id,
        )


async def move_birthday(scope: Scope, *, from_id: UUID, to_id: UUID) -> None:
    """Keep the birthday of a customer as another's who has none, sealed for them; its own row waits, as it was.

    Precondition: an open transaction that holds both accounts.
    """
    theirs, own = await _of(scope, from_id), await _of(scope, to_id)
    if theirs is not None and own is None:
        # One that does not open stays with who was merged, and keeps nobody from being merged.
        with suppress(Damaged):
            await _take_over(scope, theirs, to_id)
    await pause_birthdays(scope, from_id)


async def _take_over(scope: Scope, theirs: Any, to_id: UUID) -> None:
    kept = _unsealed(scope, theirs)
    await _keep(scope, to_id, msgspec.structs.replace(kept, told_of=kept.told_of or theirs["customer_id"]), theirs)


async def move_birthday_back(scope: Scope, *, from_id: UUID, to_id: UUID) -> None:
    """Give a birthday that came with a customer back to them, with the gifts that it has had, and let it wait there.

    One that was changed since is the other's own, and stays. In the place of one that goes back comes that of the first of those
    who are merged into the other still, as if who goes had never been there. Precondition: an open transaction that holds both
    accounts.
    """
    own, theirs = await _of(scope, from_id), await _of(scope, to_id)
    if own is None or theirs is None:
        return
    kept, before = _unsealed(scope, own), _unsealed(scope, theirs)
    # Birthdays that were moved before chains were followed to their end name the last one of them.
    if kept.told_of not in (to_id, before.told_of or to_id):
        return
    await _keep(scope, to_id, msgspec.structs.replace(kept, told_of=before.told_of), own)
    await pause_birthdays(scope, to_id)
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update birthdays set sealed = null, due_at = null, due_when_open = null
            where merchant_id = $1 and customer_id = $2
            """,
            scope.merchant_id,
            from_id,
        )
    for other in await customers.merged_into(scope, from_id):
        next_one = await _of(scope, other) if other != to_id else None
        if next_one is not None:
            await _take_over(scope, next_one, from_id)
            if await points.closed(scope, [from_id]):
                await pause_birthdays(scope, from_id)
            return


async def _of(scope: Scope, customer_id: UUID) -> Any:
    """The row of a customer as themself, whoever stands for them."""
    async with db.connection(scope) as connection:
        return await connection.fetchrow(
            """
            select customer_id, sealed, set_at, changes, coalesce(due_at, due_when_open) as due_at from birthdays
            where merchant_id = $1 and customer_id = $2 and sealed is not null
            """,
            scope.merchant_id,
            customer_id,
        )


async def _keep(scope: Scope, customer_id: UUID, kept: Sealed, row: Any) -> None:
    """Write a birthday down as a customer's, with the instants and the changes of a row of another's."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into birthdays (merchant_id, customer_id, sealed, set_at, changes, due_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (merchant_id, customer_id) do update set
                sealed = excluded.sealed, set_at = excluded.set_at, changes = excluded.changes, due_at = excluded.due_at,
                due_when_open = null
            """,
            scope.merchant_id,
            customer_id,
            _seal(scope, customer_id, kept),
            row["set_at"],
            row["changes"],
            row["due_at"],
        )
