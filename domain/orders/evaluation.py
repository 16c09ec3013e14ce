"""What orders deserve: the core's evaluation, with what it must know of the customer's history."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from loyalty_native import LoyaltyError
from loyalty_native import Order as CoreOrder

from domain import calendar, db
from domain.orders.facts import NOTHING, Facts
from domain.orders.net import History, core_order, void_reason
from domain.orders.queries import Order
from domain.orders.rules import InvalidOrder, OrderSnapshot
from domain.programs import ProgramVersion
from domain.scope import Scope

NO_PROGRAM = "NO_PROGRAM"
"""Why an order from before the first program earns nothing."""

Snapshots = Mapping[int, tuple[OrderSnapshot, str]]
Owners = Mapping[int, UUID | None]
Versions = Mapping[int, ProgramVersion | None]
FactsByOrder = Mapping[int, Facts]


class Deserved(msgspec.Struct, frozen=True):
    """What an order's state deserves under its frozen version, and the history that was taken into account."""

    points: int
    reason: str | None
    trace: str | None
    history: str | None


async def histories_of(
    scope: Scope, newest: Snapshots, owners: Owners, versions: Versions, kept: Mapping[int, Order]
) -> tuple[dict[int, History], set[int]]:
    """What was before each order whose program asks for it, and which of them are seen for the first time.

    It is as frozen with the order, or for a new one as it is now.

    Of earlier orders one is counted: a program asks whether there was any. A day is one of the program's time zone.
    """
    known: dict[int, History] = {}
    asked: list[tuple[UUID, int, datetime, str]] = []
    for number, (snapshot, _) in newest.items():
        owner, version, earlier = owners[number], versions[number], kept.get(number)
        if owner is None or version is None or not version.asks_history:
            continue
        if earlier is not None and earlier.customer_id == owner and earlier.history is not None:
            known[number] = msgspec.json.decode(earlier.history, type=History)
        else:
            asked.append((owner, number, snapshot.created_at, version.definition.time_zone))
    found = await before(scope, asked)
    fresh = {number: history for (_, number, *_), history in zip(asked, found, strict=True)}
    return known | fresh, set(fresh)


async def before(scope: Scope, asked: Sequence[tuple[UUID, int, datetime, str]]) -> list[History]:
    """What was before each (customer, order number, created at, time zone), in the order given."""
    if not asked:
        return []
    zones = {name: calendar.time_zone(name) for *_, name in asked}
    days = [calendar.day_bounds(calendar.local_day(at, zones[name]), zones[name]) for _, _, at, name in asked]
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select extract(epoch from c.joined_at)::bigint,
                exists (
                    select 1 from orders o where o.merchant_id = $1 and o.customer_id = n.customer_id
                        and (o.created_at, o.shopify_id) < (n.created_at, n.shopify_id)
                )::integer,
                (
                    select coalesce(sum(o.deserved), 0)::bigint from orders o
                    where o.merchant_id = $1 and o.customer_id = n.customer_id and o.shopify_id <> n.shopify_id
                        and o.created_at >= n.day_from and o.created_at < n.day_until
                )
            from unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[]) with ordinality
                as n (customer_id, shopify_id, created_at, day_from, day_until, place)
            join customers c on c.merchant_id = $1 and c.id = any ($2) and c.id = n.customer_id
            order by n.place
            """,
            scope.merchant_id,
            [owner for owner, *_ in asked],
            [number for _, number, *_ in asked],
            [created_at for _, _, created_at, _ in asked],
            [beginning for beginning, _ in days],
            [end for _, end in days],
        )
    return [History(*row) for row in rows]


def evaluate(
    newest: Snapshots, owners: Owners, versions: Versions, histories: tuple[Mapping[int, History], set[int]], facts: FactsByOrder
) -> dict[int, Deserved]:
    """Points, reason and trace of each order: one batch for each version, or one by one where orders bear on each other."""
    known, fresh = histories
    results: dict[int, Deserved] = {}
    batches: dict[int, list[int]] = defaultdict(list)
    by_number: dict[int, ProgramVersion] = {}
    for shopify_id in sorted(newest, key=lambda number: (newest[number][0].created_at, number)):
        version = versions[shopify_id]
        if version is None:
            results[shopify_id] = Deserved(0, NO_PROGRAM, None, None)
        else:
            by_number[version.version] = version
            batches[version.version].append(shopify_id)
    for number, ids in batches.items():
        version = by_number[number]
        snapshots = {shopify_id: newest[shopify_id][0] for shopify_id in ids}
        if version.asks_history:
            results |= _one_by_one(version, snapshots, owners, known, fresh, facts)
        else:
            results |= _batch(version, snapshots, {}, facts)
    return results


def _one_by_one(
    version: ProgramVersion,
    snapshots: Mapping[int, OrderSnapshot],
    owners: Owners,
    known: Mapping[int, History],
    fresh: set[int],
    facts: FactsByOrder,
) -> dict[int, Deserved]:
    """Evaluate in the order of creation, so that each new order sees the new ones before it in the same batch."""
    results: dict[int, Deserved] = {}
    ordered: set[UUID] = set()
    today: dict[tuple[UUID, date], int] = defaultdict(int)
    zone = calendar.time_zone(version.definition.time_zone)
    for shopify_id, snapshot in snapshots.items():
        owner, history = owners[shopify_id], known.get(shopify_id)
        if owner is None or history is None or shopify_id not in fresh:
            frozen = {} if history is None else {shopify_id: history}
            results |= _batch(version, {shopify_id: snapshot}, frozen, facts)
            continue
        day = owner, calendar.local_day(snapshot.created_at, zone)
        history = History(
            history.signed_up_at,
            max(history.orders_before, int(owner in ordered)),
            history.points_today + today[day],
        )
        results |= _batch(version, {shopify_id: snapshot}, {shopify_id: history}, facts)
        ordered.add(owner)
        today[day] += results[shopify_id].points
    return results


def _batch(
    version: ProgramVersion, snapshots: Mapping[int, OrderSnapshot], known: Mapping[int, History], facts: FactsByOrder
) -> dict[int, Deserved]:
    definition = version.definition
    voided: dict[int, str | None] = {}
    orders: list[CoreOrder] = []
    try:
        for number, snapshot in snapshots.items():
            told = facts.get(number, NOTHING)
            void = void_reason(
                snapshot, told, b2b=definition.b2b_orders, drafts=definition.draft_orders, staff=definition.staff_orders
            )
            voided[number] = void
            orders.append(CoreOrder.from_json(core_order(snapshot, known.get(number), told, void=void is not None)))
        evaluations = version.core.evaluate_batch(orders)
    except LoyaltyError as error:
        raise InvalidOrder(f"{error.code} at {error.path}: {error}") from error
    return {
        number: Deserved(
            evaluation.points,
            voided[number] or evaluation.reason,
            evaluation.trace().decode(),
            msgspec.json.encode(known[number]).decode() if number in known else None,
        )
        for number, evaluation in zip(snapshots, evaluations, strict=True)
    }
