"""From what an order deserves to the entries that book it: the difference to what is posted, and nothing else.

Always: posted points + posted pending = deserved + absorbed + forgiven + seized.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.orders.queries import Order
from domain.points import Entry, Lot, Reversal, TransactionType
from domain.programs import ProgramVersion


class Settlement(msgspec.Struct, frozen=True):
    """An order after what can be booked without looking at lots, the entries for it, and what is still to be taken from lots."""

    order: Order
    entries: list[Entry]
    owed: int


def is_confirmed(order: Order, at: datetime) -> bool:
    """Whether the points are the customer's to spend: paid, the hold has passed, and no dispute is open."""
    return order.matures_at is not None and order.matures_at <= at and not order.is_disputed


def settle(order: Order, version: ProgramVersion | None, at: datetime, shares: str | None) -> Settlement:
    """Book what an order has gained, and what it has lost of its pending points. shares: by line, what a loss is made of."""
    forgiven, absorbed, pending = order.forgiven, order.absorbed, order.posted_pending
    change = order.deserved - (order.posted_points + pending - absorbed - forgiven - order.seized)
    # What is deserved again was never taken as far as it was forgiven or had expired.
    regained = min(max(change, 0), forgiven)
    unexpired = min(max(change, 0) - regained, absorbed)
    gain = max(change, 0) - regained - unexpired
    lost_pending = min(max(-change, 0), pending)
    settled = order
    if regained or unexpired:
        settled = replace(order, forgiven=forgiven - regained, absorbed=absorbed - unexpired)
    entries: list[Entry] = []
    if lost_pending:
        settled = _posted(settled, 0, -lost_pending)
        entries.append(_entry(settled, version, 0, -lost_pending, "reversed", reverses=order.pending_entry, shares=shares))
    since = settled.matures_at
    if since is not None and is_confirmed(settled, at):
        waiting = settled.posted_pending
        if waiting or gain:
            settled = _posted(settled, waiting + gain, -waiting)
            expires_at = version.definition.expires_at(since) if version else None
            entries.append(_entry(settled, version, waiting + gain, -waiting, "confirmed", expires_at=expires_at))
    elif gain:
        settled = _posted(settled, 0, gain)
        entries.append(_entry(settled, version, 0, gain, "pending"))
    return Settlement(settled, entries, max(-change, 0) - lost_pending)


def reversal_entries(
    order: Order, version: ProgramVersion | None, met: Reversal, shares: str | None
) -> tuple[Order, list[Entry]]:
    """The entries of a reversal: one for each lot; what comes from elsewhere is in the last."""
    parts: list[tuple[int | None, int]] = list(met.own)
    if met.others:
        lot, part = parts.pop() if parts else (max(order.lots, default=None), 0)
        parts.append((lot, part + met.others))
    entries: list[Entry] = []
    for lot, part in parts:
        order = _posted(order, -part, 0)
        entries.append(_entry(order, version, -part, 0, "reversed", lot=lot, reverses=lot, shares=shares))
    met_otherwise = {
        "absorbed": order.absorbed + met.absorbed,
        "forgiven": order.forgiven + met.forgiven,
        "seized": order.seized + met.seized,
    }
    return replace(order, **met_otherwise), entries


def hold_entries(order: Order, version: ProgramVersion | None, own: Sequence[Lot]) -> tuple[Order, list[Entry]]:
    """While a dispute is open: what is left of the order's lots becomes pending again."""
    entries: list[Entry] = []
    for lot in sorted(own, key=lambda one: one.lot):
        if lot.remaining:
            order = _posted(order, -lot.remaining, lot.remaining)
            entries.append(_entry(order, version, -lot.remaining, lot.remaining, "held", lot=lot.lot, reverses=lot.lot))
    return order, entries


def seize_entry(order: Order, version: ProgramVersion | None, amount: int) -> tuple[Order, Entry]:
    """Take pending points of this order for what another order of the customer owes."""
    seized = replace(_posted(order, 0, -amount), seized=order.seized - amount)
    return seized, _entry(seized, version, 0, -amount, "seized", reverses=order.pending_entry)


def line_shares(before: str | None, after: str | None) -> str | None:
    """What an order has lost line by line, as JSON: [[line id, points], …], from its two explanations. None for no loss."""
    if before is None or after is None:
        return None
    now = dict(_parts(after))
    lost = [(line, points - now.get(line, 0)) for line, points in _parts(before) if points > now.get(line, 0)]
    return msgspec.json.encode(lost).decode() if lost else None


class _Part(msgspec.Struct):
    id: str
    points: int


class _Trace(msgspec.Struct):
    parts: list[_Part]


def _parts(trace: str) -> list[tuple[str, int]]:
    return [(part.id, part.points) for part in msgspec.json.decode(trace, type=_Trace).parts]


def _posted(order: Order, points: int, pending: int) -> Order:
    return replace(
        order,
        posted_points=order.posted_points + points,
        posted_pending=order.posted_pending + pending,
        revision=order.revision + 1,
    )


def _entry(order: Order, version: ProgramVersion | None, points: int, pending: int, cause: str, **more: Any) -> Entry:
    assert order.customer_id is not None, "the core gives an order without a customer no points"
    return Entry(
        customer_id=order.customer_id,
        type=TransactionType.EARN,
        points=points,
        pending=pending,
        source="order",
        external_id=str(order.shopify_id),
        purpose=f"{cause}:{order.revision}",
        program_version=version.version if version else None,
        trace=order.trace,
        **more,
    )
