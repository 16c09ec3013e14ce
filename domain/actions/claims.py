"""Claims: read, judged by the program, and booked as the difference between what they deserve and what is posted."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from domain import calendar, db, points, programs
from domain.actions.rules import Claim, Kind, Reason, settle, take_back
from domain.points import Entry
from domain.programs import Clawback, ProgramVersion
from domain.scope import Scope

_TYPES = {
    "kind": "text",
    "key": "text",
    "customer_id": "uuid",
    "told_of": "uuid",
    "rule": "text",
    "occurred_at": "timestamptz",
    "created_at": "timestamptz",
    "program_version": "integer",
    "deserved": "bigint",
    "reason": "text",
    "trace": "text",
    "spendable_at": "timestamptz",
    "matures_at": "timestamptz",
    "posted_points": "bigint",
    "posted_pending": "bigint",
    "revision": "integer",
    "lots": "text",
    "pending_entry": "bigint",
    "absorbed": "bigint",
    "forgiven": "bigint",
    "expired_elsewhere": "bigint",
}
assert list(_TYPES) == [one.name for one in fields(Claim)][:-1], (
    "the columns are the claim's fields, without whether it has a row"
)
_NAMES = ", ".join(_TYPES)
_ARRAYS = ", ".join(f"${index + 2}::{kind}[]" for index, kind in enumerate(_TYPES.values()))
# An array of arrays must be rectangular, so each claim's lots travel as text.
_VALUES = ", ".join(f"n.{name}::bigint[]" if name == "lots" else f"n.{name}" for name in _TYPES)
_INSERT = f"insert into action_claims (merchant_id, {_NAMES}) select $1, {_VALUES} from unnest({_ARRAYS}) as n ({_NAMES})"
_SETS = ", ".join(f"{name} = n.{name}{'::bigint[]' if name == 'lots' else ''}" for name in list(_TYPES)[2:])
_UPDATE = f"""
    update action_claims c set {_SETS} from unnest({_ARRAYS}) as n ({_NAMES})
    where c.merchant_id = $1 and c.key = any ($3) and c.kind = n.kind and c.key = n.key
"""
_SELECT = f"select {_NAMES} from action_claims where merchant_id = $1"


class Terms(Protocol):
    """What every rule of an action says."""

    @property
    def points(self) -> int:
        """The points it gives."""
        ...

    @property
    def hold_days(self) -> int:
        """Whole days until they can be spent."""
        ...


async def by_keys(scope: Scope, kind: Kind, keys: Iterable[str]) -> dict[str, Claim]:
    """The claims of a kind with these keys. Who is about to change them holds the accounts of their customers."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(f"{_SELECT} and kind = $2 and key = any ($3)", scope.merchant_id, kind.value, list(keys))
    return {row["key"]: _claim(row) for row in rows}


async def all_of(scope: Scope, customer_id: UUID, kind: Kind | None = None, rules: Collection[str] | None = None) -> list[Claim]:
    """All claims of a customer, or those of a kind, or of some rules, by kind and key."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_SELECT} and customer_id = $2 and ($3::text is null or kind = $3) and ($4::text[] is null or rule = any ($4))
            order by kind, key
            """,
            scope.merchant_id,
            customer_id,
            kind and kind.value,
            None if rules is None else list(rules),
        )
    return [_claim(row) for row in rows]


async def maturing_of(scope: Scope, customer_id: UUID, until: datetime) -> list[Claim]:
    """The claims of a customer whose hold will have passed by `until`, those first that pass first."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"{_SELECT} and customer_id = $2 and matures_at <= $3 order by matures_at, kind, key",
            scope.merchant_id,
            customer_id,
            until,
        )
    return [_claim(row) for row in rows]


async def page(
    scope: Scope, first: int, after: tuple[datetime, str, str] | None, customer_id: UUID | None, kind: Kind | None
) -> list[Claim]:
    """At most `first` claims, newest first, from behind `after` (created at, kind, key)."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            {_SELECT} and ($2::uuid is null or customer_id = $2) and ($3::text is null or kind = $3)
                and ($4::timestamptz is null or (created_at, kind, key) < ($4, $5, $6))
            order by created_at desc, kind desc, key desc limit $7
            """,
            scope.merchant_id,
            customer_id,
            kind,
            *(after or (None, None, None)),
            first,
        )
    return [_claim(row) for row in rows]


def judged(claim: Claim, version: ProgramVersion | None, terms: Terms | None) -> Claim:
    """A new claim as the program version that was in force decides it, before any cap."""
    reason = None
    if version is None:
        reason = Reason.NO_PROGRAM
    elif not version.definition.enabled:
        reason = Reason.PROGRAM_OFF
    elif terms is None:
        reason = Reason.NOT_OFFERED
    number = None if version is None else version.version
    if reason is not None or terms is None:
        return replace(claim, program_version=number, deserved=0, reason=reason)
    spendable_at = claim.occurred_at + timedelta(days=terms.hold_days)
    return replace(claim, program_version=number, deserved=terms.points, reason=None, spendable_at=spendable_at)


async def capped(
    scope: Scope, claim: Claim, time_zone: str, *, per_day: int | None, per_life: int | None, across: bool = False
) -> Claim:
    """The claim, or one that deserves nothing when as many of the customer's earn already. Precondition: their account is held.

    Those are counted that were told of before, whenever they happened. across: count all rules of the kind, not the claim's own.
    """
    if claim.deserved == 0 or (per_day is None and per_life is None):
        return claim
    zone = calendar.time_zone(time_zone)
    beginning, end = calendar.day_bounds(calendar.local_day(claim.occurred_at, zone), zone)
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select count(*) as ever, count(*) filter (where occurred_at >= $5 and occurred_at < $6) as that_day
            from action_claims
            where merchant_id = $1 and customer_id = $2 and kind = $3 and ($4::text is null or rule = $4)
                and deserved > 0 and key <> $7
            """,
            scope.merchant_id,
            claim.customer_id,
            claim.kind,
            None if across else claim.rule,
            beginning,
            end,
            claim.key,
        )
    assert row is not None, "a count is always a row"
    if per_life is not None and row["ever"] >= per_life:
        return replace(claim, deserved=0, reason=Reason.LIFETIME_CAP)
    if per_day is not None and row["that_day"] >= per_day:
        return replace(claim, deserved=0, reason=Reason.DAILY_CAP)
    return claim


async def book(scope: Scope, claims: Sequence[Claim], policy: Clawback | None = None) -> dict[str, Claim]:
    """Post the difference between what each claim deserves and what is posted for it, and write the claims. By key.

    A closed account earns nothing: what would gain there is passed over, and is decided again when the account is opened.
    policy: how to take back, in place of the claim's program's. Precondition: an open transaction that holds the accounts of
    their customers; the keys are of one kind. Running it twice is running it once. A new claim whose key another transaction
    writes at the same time raises UniqueViolationError.
    """
    if not claims:
        return {}
    versions = await programs.by_numbers(scope, {one.program_version for one in claims if one.program_version is not None})
    settled: dict[str, Claim] = {}
    entries: list[Entry] = []
    closed = await points.closed(scope, {one.customer_id for one in claims})
    for one in claims:
        is_open = one.customer_id not in closed
        if not is_open and (one.change > 0 or not one.stored):
            continue
        settled[one.key], more = settle(one, versions.get(one.program_version or 0), scope.at, is_open=is_open)
        entries += more
    settled = await _post(scope, entries, settled)
    for key, one in settled.items():
        if one.change < 0:
            version = versions.get(one.program_version or 0)
            own = version.definition.clawback if version else Clawback.UNLIMITED
            settled[key] = await _take_back(scope, one, policy or own)
    await write(scope, list(settled.values()))
    return settled


async def mature(scope: Scope, limit: int, until: datetime | None = None) -> int:
    """Confirm the points of claims whose hold has passed, of at most `limit` claims. Returns how many were confirmed.

    until: only those whose hold had passed by this instant, which is not after the scope's.
    Precondition: an open transaction that holds no account. Running it twice is running it once.
    """
    async with db.connection(scope) as connection:
        due = await connection.fetch(
            "select customer_id from action_claims where merchant_id = $1 and matures_at <= $2 order by matures_at limit $3",
            scope.merchant_id,
            until or scope.at,
            limit,
        )
        await points.hold_all(scope, {row["customer_id"] for row in due})
        # Read again under the locks: somebody may have changed them in between.
        rows = await connection.fetch(
            f"{_SELECT} and matures_at <= $2 and customer_id = any ($3) order by kind, key",
            scope.merchant_id,
            until or scope.at,
            [row["customer_id"] for row in due],
        )
    by_kind: dict[str, list[Claim]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(_claim(row))
    for claims in by_kind.values():
        await book(scope, claims)
    return len(rows)


async def _take_back(scope: Scope, claim: Claim, policy: Clawback) -> Claim:
    standing = await points.hold(scope, claim.customer_id, claim.lots)
    met = points.reversal(
        -claim.change,
        list(standing.lots.values()),
        # What expired before a merge lies in another account, and is gone all the same.
        absorbed_before=claim.absorbed - claim.expired_elsewhere,
        balance=standing.balance,
        # The pending points of orders are theirs: here that policy is the one within the balance.
        seizable=0,
        policy=policy,
    )
    claim, entries = take_back(claim, met)
    return (await _post(scope, entries, {claim.key: claim}))[claim.key]


async def _post(scope: Scope, entries: Sequence[Entry], claims: dict[str, Claim]) -> dict[str, Claim]:
    posted = await points.post(scope, entries)
    # The accounts are held and claims count their revisions, so a cause that is known already means a broken row.
    assert len(posted) == len(entries), "a claim's revision was posted before"
    after = dict(claims)
    for one in posted:
        entry = entries[one.index]
        claim = after[entry.external_id]
        if entry.points > 0:
            claim = replace(claim, lots=[*claim.lots, one.position])
        if entry.pending > 0:
            claim = replace(claim, pending_entry=one.position)
        after[claim.key] = claim
    return after


async def write(scope: Scope, claims: Sequence[Claim]) -> None:
    """Write claims as they are now."""
    async with db.connection(scope) as connection:
        for statement, some in (
            (_INSERT, [one for one in claims if not one.stored]),
            (_UPDATE, [one for one in claims if one.stored]),
        ):
            if some:
                await connection.execute(statement, scope.merchant_id, *([_value(one, name) for one in some] for name in _TYPES))


def _value(claim: Claim, name: str) -> object:
    return f"{{{','.join(map(str, claim.lots))}}}" if name == "lots" else getattr(claim, name)


def _claim(row: Any) -> Claim:
    return Claim(*row, stored=True)
