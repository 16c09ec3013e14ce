"""Booking what orders deserve: one function for every delivery, in any order, any number of times."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import customers, db, points, programs
from domain.orders.evaluation import evaluate, histories
from domain.orders.queries import Order, locked, maturing
from domain.orders.rules import OrderSnapshot, is_newer, parse
from domain.points import Entry, TransactionType
from domain.programs import ProgramVersion
from domain.scope import Scope


async def converge(scope: Scope, arrivals: Sequence[tuple[OrderSnapshot, str]]) -> None:
    """Take over snapshots of orders (parsed, and as stored) and book the differences to what is posted already.

    Precondition: an open transaction. Duplicate, late and out-of-order snapshots end alike, because of every order the newest
    snapshot stays and its points are computed from that alone. A new order that another transaction inserts at the same time
    raises UniqueViolationError: the caller runs the transaction again.
    Raises InvalidOrder when the core refuses an order; nothing of the batch is booked then.
    """
    kept = await locked(scope, [snapshot.id for snapshot, _ in arrivals])
    newest, paid_at = _fold(arrivals, kept)
    if not newest:
        return
    wanted = {snapshot.customer.id for snapshot, _ in newest.values() if snapshot.customer}
    customer_ids = await customers.ensure(scope, wanted)
    owners = {number: customer_ids[one.customer.id] if one.customer else None for number, (one, _) in newest.items()}
    versions = await _frozen_versions(scope, newest, kept)
    known = await histories(scope, newest, owners, versions, kept)
    deserved = evaluate(newest, owners, versions, known)
    states: list[Order] = []
    entries: list[Entry] = []
    for shopify_id, (snapshot, text) in sorted(newest.items()):
        earlier = kept.get(shopify_id)
        frozen = versions[shopify_id]
        result = deserved[shopify_id]
        state = Order(
            shopify_id=shopify_id,
            customer_id=owners[shopify_id],
            currency=snapshot.currency,
            created_at=snapshot.created_at,
            snapshot=text,
            snapshot_updated_at=snapshot.updated_at,
            program_version=None if frozen is None else frozen.version,
            history=result.history,
            deserved=result.points,
            reason=result.reason,
            trace=result.trace,
            paid_at=paid_at[shopify_id],
            matures_at=_matures_at(paid_at[shopify_id], frozen),
            posted_points=earlier.posted_points if earlier else 0,
            posted_pending=earlier.posted_pending if earlier else 0,
            revision=earlier.revision if earlier else 0,
        )
        state, moves = _book(scope, state, earlier.customer_id if earlier else None)
        states.append(state)
        entries.extend(moves)
    await _post(scope, entries)
    await _write(scope, states, kept)


async def mature(scope: Scope, limit: int) -> int:
    """Confirm the points of orders whose hold has passed. Returns how many orders were confirmed, at most `limit`.

    Precondition: an open transaction. Running it twice is running it once.
    """
    due = await maturing(scope, limit)
    states: list[Order] = []
    entries: list[Entry] = []
    for order in due:
        state, moves = _book(scope, order, order.customer_id)
        states.append(state)
        entries.extend(moves)
    await _post(scope, entries)
    await _write(scope, states, {order.shopify_id: order for order in due})
    return len(due)


def _fold(
    arrivals: Sequence[tuple[OrderSnapshot, str]], kept: dict[int, Order]
) -> tuple[dict[int, tuple[OrderSnapshot, str]], dict[int, datetime | None]]:
    """What the arrivals change: of each order the newest snapshot, and the instant of the earliest paid one.

    The hold runs from that instant, whichever delivery told of it; so an old snapshot that comes late can still move it.
    """
    newest: dict[int, tuple[OrderSnapshot, str]] = {}
    changed: set[int] = set()
    paid_at: dict[int, datetime | None] = {}
    for snapshot, text in arrivals:
        number = snapshot.id
        if number not in paid_at:
            earlier = kept.get(number)
            paid_at[number] = earlier.paid_at if earlier else None
            if earlier is not None:
                newest[number] = parse(earlier.snapshot), earlier.snapshot
        if number not in newest or is_newer(snapshot, text, *newest[number]):
            newest[number] = snapshot, text
            changed.add(number)
        known = paid_at[number]
        if snapshot.is_paid and (known is None or snapshot.updated_at < known):
            paid_at[number] = snapshot.updated_at
            changed.add(number)
    return {number: newest[number] for number in changed}, paid_at


def _matures_at(paid_at: datetime | None, frozen: ProgramVersion | None) -> datetime | None:
    if paid_at is None or frozen is None:
        return None
    return paid_at + timedelta(days=frozen.definition.hold_days)


async def _frozen_versions(
    scope: Scope, newest: dict[int, tuple[OrderSnapshot, str]], kept: dict[int, Order]
) -> dict[int, ProgramVersion | None]:
    """The version each order keeps: the one it has, or for a new order the one in force when it was created."""
    ids = list(newest)
    in_force = await programs.in_force_each(scope, [newest[shopify_id][0].created_at for shopify_id in ids])
    versions = dict(zip(ids, in_force, strict=True))
    for shopify_id in ids:
        known = kept.get(shopify_id)
        current = versions[shopify_id]
        if known is None or known.program_version == (current.version if current else None):
            continue
        versions[shopify_id] = None if known.program_version is None else await programs.version(scope, known.program_version)
    return versions


def _book(scope: Scope, state: Order, posted_to: UUID | None) -> tuple[Order, list[Entry]]:
    """The entries that take the ledger from what is posted to what the state deserves at the scope's instant."""
    moves: list[Entry] = []
    if posted_to is not None and posted_to != state.customer_id and (state.posted_points or state.posted_pending):
        moves.append(_entry(state, posted_to, -state.posted_points, -state.posted_pending, "moved"))
        state = replace(state, posted_points=0, posted_pending=0, revision=state.revision + 1)
    confirmed = state.matures_at is not None and state.matures_at <= scope.at
    target_points, target_pending = (state.deserved, 0) if confirmed else (0, state.deserved)
    difference = target_points - state.posted_points, target_pending - state.posted_pending
    if difference != (0, 0):
        assert state.customer_id is not None, "the core gives an order without a customer no points"
        cause = "confirmed" if confirmed else "pending"
        moves.append(_entry(state, state.customer_id, *difference, cause))
        state = replace(state, posted_points=target_points, posted_pending=target_pending, revision=state.revision + 1)
    return replace(state, matures_at=None if confirmed else state.matures_at), moves


def _entry(state: Order, customer_id: UUID, points_: int, pending: int, cause: str) -> Entry:
    return Entry(
        customer_id=customer_id,
        type=TransactionType.EARN,
        points=points_,
        pending=pending,
        source="order",
        external_id=str(state.shopify_id),
        purpose=f"{cause}:{state.revision + 1}",
        program_version=state.program_version,
        trace=state.trace,
    )


async def _post(scope: Scope, entries: list[Entry]) -> None:
    posted = await points.post(scope, entries)
    # The order rows are locked and count their revisions, so a cause that is known already means a broken row.
    assert len(posted) == len(entries), "an order's revision was posted before"


async def _write(scope: Scope, states: list[Order], kept: dict[int, Order]) -> None:
    fresh = [state for state in states if state.shopify_id not in kept]
    known = [state for state in states if state.shopify_id in kept]
    async with db.connection(scope) as connection:
        if fresh:
            await connection.execute(_INSERT, scope.merchant_id, *_columns(fresh))
        if known:
            await connection.execute(_UPDATE, scope.merchant_id, *_columns(known))


_COLUMNS = (
    ("shopify_id", "bigint"),
    ("customer_id", "uuid"),
    ("currency", "text"),
    ("created_at", "timestamptz"),
    ("snapshot", "text"),
    ("snapshot_updated_at", "timestamptz"),
    ("program_version", "integer"),
    ("history", "text"),
    ("deserved", "bigint"),
    ("reason", "text"),
    ("trace", "text"),
    ("paid_at", "timestamptz"),
    ("matures_at", "timestamptz"),
    ("posted_points", "bigint"),
    ("posted_pending", "bigint"),
    ("revision", "integer"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_ARRAYS = ", ".join(f"${index + 2}::{kind}[]" for index, (_, kind) in enumerate(_COLUMNS))
_INSERT = f"insert into orders (merchant_id, {_NAMES}) select $1, n.* from unnest({_ARRAYS}) as n ({_NAMES})"
_UPDATE = f"""
    update orders o set {", ".join(f"{name} = n.{name}" for name, _ in _COLUMNS[1:])}
    from unnest({_ARRAYS}) as n ({_NAMES}) where o.merchant_id = $1 and o.shopify_id = n.shopify_id
"""


def _columns(states: list[Order]) -> list[list[object]]:
    return [[getattr(state, name) for state in states] for name, _ in _COLUMNS]
