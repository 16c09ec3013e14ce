"""What orders deserve: the core's evaluation, with what it must know of the customer's history."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from loyalty_native import LoyaltyError
from loyalty_native import Order as CoreOrder

from domain import db
from domain.orders.queries import Order
from domain.orders.rules import History, InvalidOrder, OrderSnapshot, core_order
from domain.programs import ProgramVersion
from domain.scope import Scope

NO_PROGRAM = "NO_PROGRAM"
"""Why an order from before the first program earns nothing."""

Snapshots = Mapping[int, tuple[OrderSnapshot, str]]
Owners = Mapping[int, UUID | None]
Versions = Mapping[int, ProgramVersion | None]


@dataclass(frozen=True, slots=True)
class Deserved:
    """What an order's state deserves under its frozen version, and the history that was taken into account."""

    points: int
    reason: str | None
    trace: str | None
    history: str | None


async def histories(
    scope: Scope, newest: Snapshots, owners: Owners, versions: Versions, kept: Mapping[int, Order]
) -> dict[int, History]:
    """What was before each order whose program asks for it: as frozen with the order, or for a new one as it is now.

    Of earlier orders one is counted: a program asks whether there was any. A day is a day of UTC.
    """
    known: dict[int, History] = {}
    asked: list[tuple[UUID, int, datetime]] = []
    for number, (snapshot, _) in newest.items():
        owner, version, earlier = owners[number], versions[number], kept.get(number)
        if owner is None or version is None or not version.asks_history:
            continue
        if earlier is not None and earlier.customer_id == owner and earlier.history is not None:
            known[number] = msgspec.json.decode(earlier.history, type=History)
        else:
            asked.append((owner, number, snapshot.created_at))
    found = await before(scope, asked)
    return known | {number: history for (_, number, _), history in zip(asked, found, strict=True)}


async def before(scope: Scope, asked: Sequence[tuple[UUID, int, datetime]]) -> list[History]:
    """What was before each (customer, order number, created at), in the order given."""
    if not asked:
        return []
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
                        and o.created_at >= date_trunc('day', n.created_at, 'UTC')
                        and o.created_at < date_trunc('day', n.created_at, 'UTC') + interval '1 day'
                )
            from unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) with ordinality
                as n (customer_id, shopify_id, created_at, place)
            join customers c on c.merchant_id = $1 and c.id = n.customer_id
            order by n.place
            """,
            scope.merchant_id,
            [owner for owner, _, _ in asked],
            [number for _, number, _ in asked],
            [created_at for _, _, created_at in asked],
        )
    return [History(*row) for row in rows]


def evaluate(newest: Snapshots, owners: Owners, versions: Versions, known: Mapping[int, History]) -> dict[int, Deserved]:
    """Points, reason and trace of each order: one batch for each version, or one by one where orders bear on each other."""
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
            results |= _one_by_one(version, snapshots, owners, known)
        else:
            results |= _batch(version, snapshots, {})
    return results


def _one_by_one(
    version: ProgramVersion, snapshots: Mapping[int, OrderSnapshot], owners: Owners, known: Mapping[int, History]
) -> dict[int, Deserved]:
    """Evaluate in the order of creation, so that each order sees those before it in the same batch."""
    results: dict[int, Deserved] = {}
    ordered: set[UUID] = set()
    today: dict[tuple[UUID, date], int] = defaultdict(int)
    for shopify_id, snapshot in snapshots.items():
        owner, history = owners[shopify_id], known.get(shopify_id)
        if owner is None or history is None:
            results |= _batch(version, {shopify_id: snapshot}, {})
            continue
        day = owner, snapshot.created_at.astimezone(UTC).date()
        history = History(
            history.signed_up_at,
            max(history.orders_before, int(owner in ordered)),
            history.points_today + today[day],
        )
        results |= _batch(version, {shopify_id: snapshot}, {shopify_id: history})
        ordered.add(owner)
        today[day] += results[shopify_id].points
    return results


def _batch(version: ProgramVersion, snapshots: Mapping[int, OrderSnapshot], known: Mapping[int, History]) -> dict[int, Deserved]:
    try:
        orders = [CoreOrder.from_json(core_order(snapshot, known.get(number))) for number, snapshot in snapshots.items()]
        evaluations = version.core.evaluate_batch(orders)
    except LoyaltyError as error:
        raise InvalidOrder(f"{error.code} at {error.path}: {error}") from error
    return {
        number: Deserved(
            evaluation.points,
            evaluation.reason,
            evaluation.trace().decode(),
            msgspec.json.encode(known[number]).decode() if number in known else None,
        )
        for number, evaluation in zip(snapshots, evaluations, strict=True)
    }
