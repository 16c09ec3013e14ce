"""Posting to the ledger."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec.structs import astuple

from domain import audit, customers, db, idempotency, programs
from domain.customers import State
from domain.errors import Code, DomainError, NotFound
from domain.points.rules import POINTS_MAX, AccountClosed, Entry, InsufficientPoints, PointsOutOfRange, TransactionType, digest
from domain.scope import Scope

REASON_LENGTH_MAX = 500


class Posted(msgspec.Struct, frozen=True):
    """Where an entry went: its place in the list given, its position in the account, and the figures after it."""

    index: int
    position: int
    balance: int
    pending: int


_ARGUMENTS = ", ".join(f"${number}" for number in range(1, 20))
_POST = f"select ordinal - 1, position_, balance, pending_ from points_post({_ARGUMENTS})"
_POST_ONE = f"select points_post_one({_ARGUMENTS})"
_DIGEST_PLACE = Entry.__struct_fields__.index("floor")
"""The functions take the fields of an entry in their order, with the digest before this one."""


async def post(scope: Scope, entries: Sequence[Entry]) -> list[Posted]:
    """Write entries to the ledger: accounts locked, sums checked, chain continued, ledger, accounts and outbox in one statement.

    An entry whose cause is posted already is passed over and missing from the answer. One refused entry refuses all.
    Raises InsufficientPoints, PointsOutOfRange, AccountClosed, or NotFound when a customer is not the merchant's.
    """
    if not entries:
        return []
    for entry in entries:
        if max(abs(entry.points), abs(entry.pending)) > POINTS_MAX:
            raise PointsOutOfRange(f"An entry moves at most {POINTS_MAX} points.", field=("points",))
    actor = str(scope.actor)
    given = [_fields(entry, actor, scope.at) for entry in entries]
    try:
        async with db.connection(scope) as connection:
            if len(given) == 1:
                posted = await connection.fetchval(_POST_ONE, scope.merchant_id, scope.at, actor, *given[0])
                return [] if posted is None else [Posted(0, *posted)]
            columns = map(db.column, zip(*given, strict=True))
            rows = await connection.fetch(_POST, scope.merchant_id, scope.at, actor, *columns)
    except asyncpg.PostgresError as error:
        raise _refusal(error) from error
    return [Posted(*row) for row in rows]


def _fields(entry: Entry, actor: str, at: datetime) -> tuple[Any, ...]:
    """What the functions take of an entry."""
    fields = astuple(entry)
    content = digest(
        entry.type,
        entry.points,
        entry.pending,
        entry.source,
        entry.external_id,
        entry.purpose,
        entry.program_version,
        entry.reason,
        actor,
        entry.trace,
        at,
        entry.lot,
        entry.reverses,
        entry.expires_at,
        entry.shares,
    )
    return (*fields[:_DIGEST_PLACE], content, *fields[_DIGEST_PLACE:])


def _refusal(error: asyncpg.PostgresError) -> Exception:
    """The refusal that a database error stands for; any other error is a bug and stays as it is."""
    if error.sqlstate == "LN001":
        return InsufficientPoints("The customer has fewer points than that.", field=("points",))
    if error.sqlstate == "LN002":
        return NotFound("There is no such customer.", field=("customerId",))
    if error.sqlstate == "LN004":
        return AccountClosed("This account is closed: it neither earns nor spends.", field=("customerId",))
    out_of_range = isinstance(error, asyncpg.NumericValueOutOfRangeError) or (
        isinstance(error, asyncpg.CheckViolationError) and error.constraint_name == "points_in_range"
    )
    if out_of_range:
        return PointsOutOfRange(f"A balance holds at most {POINTS_MAX} points.", field=("points",))
    return error


async def adjust(scope: Scope, *, customer_id: UUID, points: int, reason: str, idempotency_key: str) -> tuple[UUID, int]:
    """Add points to a balance, or take them, by hand; audited. Returns (customer id, position) of the entry.

    Refusals: POINTS_ZERO, POINTS_OUT_OF_RANGE, BLANK and TOO_LONG for the reason, NOT_FOUND, INSUFFICIENT_POINTS when the
    balance would fall below zero, ACCOUNT_CLOSED for who was merged into another, and those of `idempotency`. The same key with
    the same input gives the same answer.
    """
    idempotency.check(idempotency_key)
    if points == 0:
        raise DomainError("An adjustment moves at least one point.", field=("points",), code=Code.POINTS_ZERO)
    if not reason.strip():
        raise DomainError("Say why the points are adjusted.", field=("reason",), code=Code.BLANK)
    if len(reason) > REASON_LENGTH_MAX:
        raise DomainError(f"A reason has at most {REASON_LENGTH_MAX} characters.", field=("reason",), code=Code.TOO_LONG)
    given = [str(customer_id), points, reason]
    repeated = await idempotency.earlier(scope, idempotency_key, "pointsAdjust", given)
    if repeated is not None:
        return customer_id, int(repeated)
    if await customers.by_id(scope, customer_id) is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    [posted] = await post(
        scope,
        [
            Entry(
                customer_id=customer_id,
                type=TransactionType.ADJUST,
                points=points,
                pending=0,
                source="adjustment",
                external_id=idempotency_key,
                purpose="adjust",
                reason=reason,
                floor=0 if points < 0 else None,
            )
        ],
    )
    await audit.record(
        scope,
        "points.adjusted",
        f"gid://loyalnest/Customer/{customer_id}",
        before={"balance": posted.balance - points},
        after={"balance": posted.balance, "points": points, "position": posted.position},
    )
    await idempotency.remember(scope, idempotency_key, "pointsAdjust", given, str(posted.position))
    return customer_id, posted.position


async def close(scope: Scope, customer_ids: Collection[UUID] | None, state: State) -> None:
    """Close the accounts of these customers, or of all, because of how they stand; State.OPEN opens them.

    Precondition: an open transaction that holds the customers. Entries that wait for an account see it as it is from then on.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            "update points_accounts set closed = $3 where merchant_id = $1 and ($2::uuid[] is null or customer_id = any ($2))",
            scope.merchant_id,
            None if customer_ids is None else list(customer_ids),
            None if state is State.OPEN else state.value,
        )


async def take_over_activity(scope: Scope, *, from_id: UUID, to_id: UUID) -> None:
    """Count a customer's inactivity from when another was active last, if that was later: the two are one.

    Precondition: an open transaction that holds both accounts. Running it twice is running it once.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update points_accounts kept set active_at = gone.active_at from points_accounts gone
            where kept.merchant_id = $1 and kept.customer_id = $3 and gone.merchant_id = $1 and gone.customer_id = $2
                and (kept.active_at is null or kept.active_at < gone.active_at)
            """,
            scope.merchant_id,
            from_id,
            to_id,
        )


async def closed(scope: Scope, customer_ids: Collection[UUID]) -> set[UUID]:
    """Those of these customers whose accounts are closed."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select customer_id from points_accounts where merchant_id = $1 and customer_id = any ($2) and closed is not null",
            scope.merchant_id,
            list(customer_ids),
        )
    return {row["customer_id"] for row in rows}


async def award_signups(scope: Scope, customer_ids: Sequence[UUID]) -> list[Posted]:
    """Give each of these customers the signup points of the program that was in force when they joined, once for ever.

    They last as long as that program's points do, from the day of joining, however late it is told.
    Precondition: an open transaction. A customer who joined before the first program, or while it was off, gets none; one whose
    account is closed gets them when it is opened.
    """
    if not customer_ids:
        return []
    found = await customers.by_ids(scope, list(customer_ids))
    entries: list[Entry] = []
    for customer in found.values():
        joined_at = customer.joined_at
        program = None if joined_at is None else await programs.in_force(scope, joined_at)
        if joined_at is None or program is None or not program.definition.enabled or program.definition.signup_points == 0:
            continue
        if customer.state != State.OPEN:
            continue
        entries.append(
            Entry(
                customer_id=customer.id,
                type=TransactionType.EARN,
                points=program.definition.signup_points,
                pending=0,
                source="signup",
                external_id=str(customer.shopify_id),
                purpose="signup",
                program_version=program.version,
                expires_at=program.definition.expires_at(joined_at),
            )
        )
    return await post(scope, entries)
