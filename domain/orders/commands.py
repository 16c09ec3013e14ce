"""Booking what orders deserve: one function for every delivery, in any order, any number of times."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from domain import actions, programs
from domain.actions import Spending
from domain.orders.booking import line_shares
from domain.orders.evaluation import evaluate, histories_of
from domain.orders.facts import NOTHING, Fact, Facts, facts_text, learn
from domain.orders.guests import ACCOUNT_CLOSED, guest_columns, owners_of, reason_of, stored, take_turn, with_guests
from domain.orders.ledger import book, write
from domain.orders.queries import Order, locked, maturing
from domain.orders.rules import OrderSnapshot, is_newer
from domain.programs import ProgramVersion
from domain.scope import Scope


async def converge(
    scope: Scope, arrivals: Sequence[tuple[OrderSnapshot, str]], told: Sequence[tuple[int, Fact]] = ()
) -> set[int]:
    """Take over snapshots of orders (parsed, and as stored) and facts about them, and book the differences to what is posted.

    Precondition: an open transaction. Duplicate, late and out-of-order deliveries end alike, because of every order the newest
    snapshot and all facts stay, and its points are computed from these alone. A new order that another transaction makes at the
    same time raises Collision or UniqueViolationError: the caller runs the transaction again. Returns the numbers of the orders
    that facts tell of and that are not known; those facts are not kept.
    Raises InvalidOrder when the core refuses an order; nothing of the batch is booked then.
    """
    await take_turn(scope, [snapshot for snapshot, _ in arrivals], [number for number, _ in told])
    kept = await locked(scope, [*(snapshot.id for snapshot, _ in arrivals), *(number for number, _ in told)])
    newest, paid_at = _fold(arrivals, kept)
    facts = {number: order.told() for number, order in kept.items() if order.facts is not None}
    unknown: set[int] = set()
    for number, fact in told:
        if number not in kept and number not in newest:
            unknown.add(number)
            continue
        learned = learn(facts.get(number, NOTHING), fact)
        if number not in newest and learned != facts.get(number, NOTHING):
            newest[number] = stored(kept[number]), kept[number].snapshot
            paid_at[number] = kept[number].paid_at
        facts[number] = learned
    if newest:
        await _settle(scope, newest, paid_at, facts, kept)
    return unknown


async def settle_again(scope: Scope, shopify_ids: Sequence[int]) -> None:
    """Book what these orders deserve by what is known of them: their owner is another now, or can earn again.

    Precondition: an open transaction. Running it twice is running it once. Numbers of unknown orders are passed over.
    """
    kept = await locked(scope, shopify_ids)
    newest = {number: (stored(order), order.snapshot) for number, order in kept.items()}
    if newest:
        facts = {number: order.told() for number, order in kept.items() if order.facts is not None}
        await _settle(scope, newest, {number: order.paid_at for number, order in kept.items()}, facts, kept)


async def _settle(
    scope: Scope,
    newest: dict[int, tuple[OrderSnapshot, str]],
    paid_at: dict[int, datetime | None],
    facts: dict[int, Facts],
    kept: dict[int, Order],
) -> None:
    """Evaluate orders and book what has changed of them."""
    told, newest = newest, await with_guests(scope, newest, kept)
    guests = {number: guest_columns(newest[number][0], snapshot) for number, (snapshot, _) in told.items()}
    owners, waiting = await owners_of(scope, newest, kept)
    versions = await _frozen_versions(scope, newest, kept)
    left = await _leave_old_owners(scope, owners, kept)
    if waiting:
        states = await _wait(
            scope, {number: newest.pop(number) for number in waiting}, owners, versions, guests, paid_at, facts, kept
        )
        # Whose it was has not spent it any more, and whose it is has not yet: it is counted when their account is opened.
        nobodys = [replace(state, customer_id=None) for state in states if state.shopify_id in left]
        await actions.count(
            scope, [_spending(state, {one.version: one for one in versions.values() if one}) for state in nobodys]
        )
    known = await histories_of(scope, newest, owners, versions, kept)
    deserved = evaluate(newest, owners, versions, known, facts)
    states: list[Order] = []
    shares: dict[int, str | None] = {}
    for shopify_id, (snapshot, text) in sorted(newest.items()):
        earlier = kept.get(shopify_id) or _unposted(snapshot)
        result = deserved[shopify_id]
        if result.points < earlier.deserved:
            shares[shopify_id] = line_shares(earlier.trace, result.trace)
        frozen = versions[shopify_id]
        states.append(
            replace(
                earlier,
                customer_id=owners[shopify_id],
                currency=snapshot.currency,
                created_at=snapshot.created_at,
                snapshot=text,
                snapshot_updated_at=snapshot.updated_at,
                program_version=None if frozen is None else frozen.version,
                history=result.history,
                deserved=result.points,
                reason=reason_of(result.reason, guests[shopify_id]["email_term"]),
                trace=result.trace,
                paid_at=paid_at[shopify_id],
                matures_at=_matures_at(paid_at[shopify_id], frozen),
                facts=facts_text(facts[shopify_id]) if shopify_id in facts else None,
                waiting=False,
                **guests[shopify_id],
            )
        )
    by_number = {frozen.version: frozen for frozen in versions.values() if frozen}
    await book(scope, states, by_number, shares, fresh={number for number in newest if number not in kept})
    if any(version.definition.actions.goals for version in by_number.values()):
        await actions.count(scope, [_spending(state, by_number) for state in states])


class _Counted(msgspec.Struct):
    """What of a trace says how much was spent."""

    base_minor: int


NOT_SPENT = frozenset({"TEST_ORDER", "NO_CUSTOMER", "PROGRAM_OFF"})
"""Why the core gives nothing for an order whatever was spent on it."""


def _spending(order: Order, versions: Mapping[int, ProgramVersion]) -> Spending:
    """What counts towards goals of an order as it is now."""
    version = versions.get(order.program_version or 0)
    spent = 0
    # Read only where somebody asks: most programs have no goals.
    if version is not None and version.definition.actions.goals and order.trace is not None and order.reason not in NOT_SPENT:
        spent = msgspec.json.decode(order.trace, type=_Counted).base_minor
    return Spending(
        f"order/{order.shopify_id}", order.customer_id, version, order.currency, spent, order.created_at, order.paid_at
    )


async def _wait(
    scope: Scope,
    newest: dict[int, tuple[OrderSnapshot, str]],
    owners: dict[int, UUID | None],
    versions: dict[int, ProgramVersion | None],
    guests: dict[int, dict[str, Any]],
    paid_at: dict[int, datetime | None],
    facts: dict[int, Facts],
    kept: dict[int, Order],
) -> list[Order]:
    """Keep what was told of orders whose account is closed, and book nothing: they are settled when it is opened."""
    states: list[Order] = []
    for number, (snapshot, text) in sorted(newest.items()):
        earlier, version = kept.get(number) or _unposted(snapshot), versions[number]
        states.append(
            replace(
                earlier,
                customer_id=owners[number],
                currency=snapshot.currency,
                created_at=snapshot.created_at,
                snapshot=text,
                snapshot_updated_at=snapshot.updated_at,
                program_version=None if version is None else version.version,
                reason=ACCOUNT_CLOSED,
                paid_at=paid_at[number],
                matures_at=None,
                facts=facts_text(facts[number]) if number in facts else None,
                waiting=True,
                **guests[number],
            )
        )
    await write(scope, states, {number for number in newest if number not in kept})
    return states


async def mature(scope: Scope, limit: int, until: datetime | None = None) -> int:
    """Confirm the points of orders whose hold has passed. Returns how many orders were confirmed, at most `limit`.

    until: only those whose hold had passed by this instant, which is not after the scope's.
    Precondition: an open transaction. Running it twice is running it once.
    """
    due = await maturing(scope, limit, until or scope.at)
    versions = await programs.by_numbers(scope, {order.program_version for order in due if order.program_version})
    await book(scope, due, versions, {})
    return len(due)


async def _leave_old_owners(scope: Scope, owners: dict[int, UUID | None], kept: dict[int, Order]) -> set[int]:
    """Take back from its old customer what an order gave, when the shop says that it is another's: its account begins anew.

    Returns the numbers of these orders.
    """
    moved = [order for number, order in kept.items() if number in owners and order.customer_id not in (None, owners[number])]
    if not moved:
        return set()
    versions = await programs.by_numbers(scope, {order.program_version for order in moved if order.program_version})
    shares = {order.shopify_id: line_shares(order.trace, None) for order in moved}
    await book(scope, [replace(order, deserved=0) for order in moved], versions, shares)
    for number, order in (await locked(scope, [order.shopify_id for order in moved])).items():
        nothing = {"deserved": 0, "absorbed": 0, "forgiven": 0, "seized": 0, "posted_points": 0, "posted_pending": 0}
        kept[number] = replace(order, **nothing, lots=[], pending_entry=None, history=None, trace=None)
    return {order.shopify_id for order in moved}


def _unposted(snapshot: OrderSnapshot) -> Order:
    """An order of which nothing is known yet."""
    return Order(
        shopify_id=snapshot.id,
        customer_id=None,
        currency=snapshot.currency,
        created_at=snapshot.created_at,
        snapshot="",
        snapshot_updated_at=snapshot.updated_at,
        program_version=None,
        history=None,
        deserved=0,
        reason=None,
        trace=None,
        paid_at=None,
        matures_at=None,
        posted_points=0,
        posted_pending=0,
        revision=0,
        lots=[],
        pending_entry=None,
        absorbed=0,
        forgiven=0,
        seized=0,
        facts=None,
        email_term=None,
        claimed_by=None,
        waiting=False,
        expired_elsewhere=0,
    )


def _fold(
    arrivals: Sequence[tuple[OrderSnapshot, str]], kept: dict[int, Order]
) -> tuple[dict[int, tuple[OrderSnapshot, str]], dict[int, datetime | None]]:
    """What the arrivals change: of each order the newest snapshot, and the instant of the earliest paid one.

    The hold runs from that instant, whichever delivery told of it; so an old snapshot that comes late can still move it. And a
    guest's address that one of them told is remembered, because not every telling has it.
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
                newest[number] = stored(earlier), earlier.snapshot
        before = newest.get(number)
        if before is None or is_newer(snapshot, text, *before):
            newest[number] = snapshot, text
            changed.add(number)
        newest[number] = _with_address(newest[number], snapshot if before is None else before[0], snapshot)
        if before is not None and before[0].email_term != newest[number][0].email_term:
            changed.add(number)
        known = paid_at[number]
        if snapshot.is_paid and (known is None or snapshot.updated_at < known):
            paid_at[number] = snapshot.updated_at
            changed.add(number)
    return {number: newest[number] for number in changed}, paid_at


def _with_address(newest: tuple[OrderSnapshot, str], *told: OrderSnapshot) -> tuple[OrderSnapshot, str]:
    """The newest snapshot with its own address, or else with the first that the others have."""
    snapshot, text = newest
    term = next((one.email_term for one in (snapshot, *told) if one.email_term is not None), None)
    return (snapshot if term == snapshot.email_term else replace(snapshot, email_term=term)), text


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
