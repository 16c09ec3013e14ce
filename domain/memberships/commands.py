"""Saying what a customer belongs to."""

from collections.abc import Collection, Sequence
from typing import Literal
from uuid import UUID

from domain import audit, customers, db, outbox
from domain.customers import State
from domain.errors import Code, DomainError, NotFound
from domain.memberships.queries import NONE, Membership, only
from domain.memberships.rules import SEGMENTS_MAX, check
from domain.scope import Scope

CHANGED = "membership.changed"
"""The event, after which checkout is told."""


async def set_tier(scope: Scope, *, customer_id: UUID, tier: str | None) -> None:
    """Put a customer into a tier, or into none; audited. Where that was said of them already, nothing changes.

    A tier that they only have by a merge becomes their own when it is said again: undoing the merge does not take it.

    Precondition: an open transaction. Refusals: HANDLE_INVALID, NOT_FOUND, ACCOUNT_CLOSED for who was deleted, erased, or merged
    into another, who is the one to name then.
    """
    if tier is not None:
        check(tier, ("tier",))
    before, own = await _hold(scope, customer_id)
    if tier == before.tier == own.tier:
        return
    await _change(scope, customer_id, "tier", before.tier, tier)


async def set_segments(scope: Scope, *, customer_id: UUID, segments: Sequence[str]) -> None:
    """Make these, and no others, the segments of a customer; audited. Where that was said of them already, nothing changes.

    Precondition: an open transaction. Refusals: TOO_MANY, and those of `set_tier`.
    """
    wanted = sorted(set(segments))
    for segment in wanted:
        check(segment, ("segments",))
    if len(wanted) > SEGMENTS_MAX:
        raise DomainError(f"A customer is in at most {SEGMENTS_MAX} segments.", field=("segments",), code=Code.TOO_MANY)
    before, own = await _hold(scope, customer_id)
    if tuple(wanted) == before.segments == own.segments:
        return
    await _change(scope, customer_id, "segments", before.segments, wanted)


async def turn(scope: Scope, gone_id: UUID, others: Collection[UUID]) -> None:
    """Say that a customer was merged into, or parted from, others: where the one belongs to anything, it is news of these.

    Precondition: an open transaction that holds the customers.
    """
    if (await only(scope, gone_id)) == NONE:
        return
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            insert into memberships (merchant_id, customer_id, revision)
            select $1, n.id, 1 from unnest($2::uuid[]) as n (id) order by n.id
            on conflict (merchant_id, customer_id) do update set revision = memberships.revision + 1
            returning customer_id, revision
            """,
            scope.merchant_id,
            sorted(others),
        )
    for row in rows:
        await _tell(scope, row["customer_id"], row["revision"])


async def _hold(scope: Scope, customer_id: UUID) -> tuple[Membership, Membership]:
    """Lock what is said of a customer. Returns what they belong to, merges included, and what was said of themselves.

    Until the transaction ends they are not merged either.
    """
    standing = (await customers.standing(scope, [customer_id])).get(customer_id)
    if standing is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    if standing.id != customer_id or standing.state in (State.MERGED, State.DELETED, State.REDACTED):
        raise DomainError("The customer's account is closed for good.", field=("customerId",), code=Code.ACCOUNT_CLOSED)
    async with db.connection(scope) as connection:
        await connection.execute(
            "insert into memberships (merchant_id, customer_id) values ($1, $2) on conflict do nothing",
            scope.merchant_id,
            customer_id,
        )
        own = await connection.fetchrow(
            "select tier, segments, revision from memberships where merchant_id = $1 and customer_id = $2 for update",
            scope.merchant_id,
            customer_id,
        )
    assert own is not None, "the row was inserted above"
    said = Membership(own["tier"], tuple(sorted(own["segments"])), own["revision"])
    return await only(scope, customer_id), said


async def _change(scope: Scope, customer_id: UUID, what: Literal["tier", "segments"], before: object, after: object) -> None:
    async with db.connection(scope) as connection:
        revision = await connection.fetchval(
            f"""
            update memberships set {what} = $3, {what}_at = $4, revision = revision + 1
            where merchant_id = $1 and customer_id = $2 returning revision
            """,
            scope.merchant_id,
            customer_id,
            after,
            scope.at,
        )
    await _tell(scope, customer_id, revision)
    await audit.record(
        scope, f"customer.{what}_set", f"gid://loyalnest/Customer/{customer_id}", before={what: before}, after={what: after}
    )


async def _tell(scope: Scope, customer_id: UUID, revision: int) -> None:
    await outbox.add(scope, CHANGED, customer_id=str(customer_id), version=revision)
