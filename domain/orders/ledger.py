"""Posting what orders are owed and owe, and keeping the orders in step with the ledger."""

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple, replace

from domain import db, points
from domain.orders.booking import (
    hold_entries,
    is_confirmed,
    reversal_entries,
    seize_entry,
    settle,
)
from domain.orders.queries import Order, locked, pending_of
from domain.points import Entry
from domain.programs import Clawback, ProgramVersion
from domain.scope import Scope

Versions = Mapping[int, ProgramVersion]
Shares = Mapping[int, str | None]


async def book(
    scope: Scope, states: Sequence[Order], versions: Versions, shares: Shares, fresh: set[int] | frozenset[int] = frozenset()
) -> None:
    """Book the difference between what each order deserves and what is posted for it, and write the orders.

    Precondition: an open transaction that holds the orders' rows. fresh: those that have no row yet. What must be taken out of
    lots is taken order by order, under a lock on the account; all else is one statement for all orders.
    """
    settled = {
        state.shopify_id: settle(state, _version(state, versions), scope.at, shares.get(state.shopify_id)) for state in states
    }
    entries = [entry for one in settled.values() for entry in one.entries]
    written = await _post(scope, entries, {number: one.order for number, one in settled.items()})
    await write(scope, [_rested(order, scope) for order in written.values()], fresh)
    for number, one in settled.items():
        if one.owed or (one.order.is_disputed and one.order.lots):
            await _take_back(scope, number, versions, shares.get(number))


def _version(order: Order, versions: Versions) -> ProgramVersion | None:
    return None if order.program_version is None else versions[order.program_version]


def _rested(order: Order, scope: Scope) -> Order:
    """A confirmed order has nothing left to mature, and a disputed one waits for the end of the dispute."""
    if order.matures_at is not None and (is_confirmed(order, scope.at) or order.is_disputed):
        return replace(order, matures_at=None)
    return order


async def _take_back(scope: Scope, number: int, versions: Versions, shares: str | None) -> None:
    """Take out of lots what an order owes, and while it is disputed hold what is left of its own."""
    order = (await locked(scope, [number]))[number]
    customer_id = order.customer_id
    assert customer_id is not None, "an order without a customer has no lots"
    version = _version(order, versions)
    policy = version.definition.clawback if version else Clawback.UNLIMITED
    owed = order.posted_points + order.posted_pending - order.absorbed - order.forgiven - order.seized - order.deserved
    entries: list[Entry] = []
    if owed > 0:
        others = await pending_of(scope, customer_id, number) if policy is Clawback.PENDING_FIRST else []
        standing = await points.hold(scope, customer_id, order.lots)
        met = points.reversal(
            owed,
            list(standing.lots.values()),
            # What expired before a merge lies in another account, and is gone all the same.
            absorbed_before=order.absorbed - order.expired_elsewhere,
            balance=standing.balance,
            seizable=sum(other.posted_pending for other in others),
            policy=policy,
        )
        await _seize(scope, others, met.seized, versions)
        order, entries = reversal_entries(order, version, met, shares)
        await _post(scope, entries, {number: order})
    if order.is_disputed:
        standing = await points.hold(scope, customer_id, order.lots)
        order, entries = hold_entries(order, version, list(standing.lots.values()))
        order = (await _post(scope, entries, {number: order}))[number]
    await write(scope, [order], frozenset())


async def _seize(scope: Scope, others: Sequence[Order], amount: int, versions: Versions) -> None:
    """Take `amount` of the pending points of a customer's other orders, of those first that mature first."""
    for other in others:
        part = min(amount, other.posted_pending)
        if part == 0:
            break
        amount -= part
        order, entry = seize_entry(other, versions.get(other.program_version or 0), part)
        await _post(scope, [entry], {order.shopify_id: order})
        await write(scope, [order], frozenset())


async def _post(scope: Scope, entries: Sequence[Entry], states: Mapping[int, Order]) -> dict[int, Order]:
    """Post entries, and note with each order which lots they opened and which entry made points pending."""
    posted = await points.post(scope, entries)
    # Known orders are locked and count their revisions. A cause that is posted already is that of a new order, whose row another
    # transaction has made since this one looked for it.
    if len(posted) != len(entries):
        raise db.Collision("an order's entry was posted by another transaction")
    after = dict(states)
    for one in posted:
        entry = entries[one.index]
        order = after[int(entry.external_id)]
        if entry.points > 0:
            order = replace(order, lots=[*order.lots, one.position])
        if entry.pending > 0:
            order = replace(order, pending_entry=one.position)
        after[order.shopify_id] = order
    return after


async def write(scope: Scope, states: Sequence[Order], fresh: set[int] | frozenset[int]) -> None:
    """Write orders as they are now. fresh: those that have no row yet."""
    new = [state for state in states if state.shopify_id in fresh]
    known = [state for state in states if state.shopify_id not in fresh]
    async with db.connection(scope) as connection:
        if new:
            await connection.execute(_INSERT, scope.merchant_id, *_columns(new))
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
    ("lots", "text"),
    ("pending_entry", "bigint"),
    ("absorbed", "bigint"),
    ("forgiven", "bigint"),
    ("seized", "bigint"),
    ("facts", "text"),
    ("email_term", "bytea"),
    ("claimed_by", "bigint"),
    ("waiting", "boolean"),
    ("expired_elsewhere", "bigint"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_ARRAYS = ", ".join(f"${index + 2}::{kind}[]" for index, (_, kind) in enumerate(_COLUMNS))
# An array of arrays must be rectangular, so each order's lots travel as text.
_VALUES = ", ".join(f"n.{name}::bigint[]" if name == "lots" else f"n.{name}" for name, _ in _COLUMNS)
_INSERT = f"insert into orders (merchant_id, {_NAMES}) select $1, {_VALUES} from unnest({_ARRAYS}) as n ({_NAMES})"
_SETS = ", ".join(f"{name} = n.{name}{'::bigint[]' if name == 'lots' else ''}" for name, _ in _COLUMNS[1:])
_UPDATE = f"""
    update orders o set {_SETS}
    from unnest({_ARRAYS}) as n ({_NAMES})
    where o.merchant_id = $1 and o.shopify_id = any ($2) and o.shopify_id = n.shopify_id
"""


def _columns(states: Sequence[Order]) -> list[Sequence[object] | None]:
    columns: dict[str, Sequence[object]] = dict(
        zip(Order.__struct_fields__, zip(*map(astuple, states), strict=True), strict=True)
    )
    columns["lots"] = [f"{{{','.join(map(str, state.lots))}}}" for state in states]
    return [db.column(columns[name]) for name, _ in _COLUMNS]
