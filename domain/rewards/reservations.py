"""Points set aside for one checkout: taken when reserved, kept as far as the order used them, given back otherwise."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec

from domain import audit, customers, db, idempotency, memberships, outbox
from domain.errors import Code, DomainError, NotFound
from domain.identifiers import new_id
from domain.points import POINTS_MAX
from domain.rewards import ledger, standings
from domain.rewards.queries import RESERVATION, Reservation, is_theirs, pay_with_points
from domain.rewards.rules import AlreadyReserved, Obstacle, RewardUnavailable, Standing, obstacles, refusal
from domain.scope import Scope

LASTS = timedelta(minutes=5)
"""How long points stay set aside: as long as Shopify's checkout token lasts."""

LEAVING = timedelta(minutes=2)
"""Between the moment when checkout is told that a reservation is over, and that when its points can be spent elsewhere. An order
that was placed in the last moment is told of within it; one that comes later still is charged all the same."""

SOURCE = "reservation"


async def reserve(scope: Scope, *, customer_id: UUID, points: int, idempotency_key: str) -> Reservation:
    """Set points aside for a checkout; they leave the balance now. Precondition: an open transaction.

    Refusals: NOT_FOUND, POINTS_ZERO, POINTS_OUT_OF_RANGE, REWARD_UNAVAILABLE when the shop takes no points at checkout now,
    REWARD_NOT_FOR_CUSTOMER, INSUFFICIENT_POINTS, POINTS_RESERVED when a reservation is open, and those of `idempotency`.
    """
    idempotency.check(idempotency_key)
    given = [str(customer_id), points]
    repeated = await idempotency.earlier(scope, idempotency_key, "pointsReserve", given)
    if repeated is not None:
        return msgspec.json.decode(repeated, type=Reservation)
    if points < 1:
        raise DomainError("Reserve at least one point.", field=("points",), code=Code.POINTS_ZERO)
    if points > POINTS_MAX:
        raise DomainError(f"At most {POINTS_MAX} points.", field=("points",), code=Code.POINTS_OUT_OF_RANGE)
    customer = await customers.by_id(scope, customer_id)
    if customer is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    way = await pay_with_points(scope)
    if way is None:
        raise RewardUnavailable("The shop takes no points at checkout.")
    priced = msgspec.structs.replace(way.definition, points=points)
    standing = Standing(customer.balance, 0, await memberships.only(scope, customer_id))
    found, missing = obstacles(priced, way.status, way.stock, standing, scope.at)
    if [one for one in found if one is not Obstacle.INSUFFICIENT_POINTS]:
        raise refusal(found[0], missing)
    reservation_id = new_id()
    position = await ledger.take(scope, customer_id, points, SOURCE, reservation_id)
    async with db.connection(scope) as connection:
        # The account is locked from `take` on, so that of two reservations at once the second finds the first.
        row = await connection.fetchrow(
            f"""
            insert into reservations (
                merchant_id, id, customer_id, reward_id, definition, points, position, status, created_at, expires_at, due_at
            )
            select $1, $2, $3, $4, $5, $6, $7, 'held', $8, $9, $9
            where not exists (
                select from reservations r join customers c on c.merchant_id = $1 and c.id = r.customer_id
                where r.merchant_id = $1 and (c.id = $3 or c.merged_into = $3) and r.status = 'held'
            )
            returning {RESERVATION}
            """,
            scope.merchant_id,
            reservation_id,
            customer_id,
            way.id,
            way.text,
            points,
            position,
            scope.at,
            scope.at + LASTS,
        )
    if row is None:
        raise AlreadyReserved("Points are set aside for a checkout already.", field=("points",))
    kept = Reservation(*row)
    await standings.mark(scope, [customer_id])
    await outbox.add(scope, "standing.changed", customer_id=str(customer_id), version=position)
    after = {"customerId": str(customer_id), "points": points}
    await audit.record_for_others(scope, "points.reserved", f"gid://loyalnest/PointsReservation/{reservation_id}", after=after)
    await idempotency.remember(scope, idempotency_key, "pointsReserve", given, msgspec.json.encode(kept).decode())
    return kept


async def release(scope: Scope, reservation_id: UUID, *, customer_id: UUID | None = None) -> Reservation:
    """Let a reservation go before its time: checkout forgets it at once, and a little later its points are back.

    Refusals: NOT_FOUND. One that is over already stays as it is.
    """
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {RESERVATION} from reservations where merchant_id = $1 and id = $2 for update",
            scope.merchant_id,
            reservation_id,
        )
        kept = Reservation(*row) if row else None
        if kept is None or (customer_id is not None and not await is_theirs(scope, kept.customer_id, customer_id)):
            raise NotFound("There is no such reservation.", field=("id",))
        if kept.status != "held":
            return kept
        row = await connection.fetchrow(
            f"""
            update reservations set status = 'leaving', due_at = $3 where merchant_id = $1 and id = $2 returning {RESERVATION}
            """,
            scope.merchant_id,
            reservation_id,
            scope.at + LEAVING,
        )
    assert row is not None, "the row is locked above"
    await standings.mark(scope, [kept.customer_id])
    await outbox.add(scope, "standing.changed", customer_id=str(kept.customer_id), version=kept.position)
    told = {"before": {"status": kept.status}, "after": {"status": "leaving"}}
    await audit.record_for_others(scope, "reservation.released", f"gid://loyalnest/PointsReservation/{reservation_id}", **told)
    return Reservation(*row)


@dataclass(frozen=True, slots=True)
class Ended:
    """What `end_due` did: how many reservations began to leave, and how many gave their points back."""

    leaving: int
    released: int


async def end_due(scope: Scope, limit: int) -> Ended:
    """End the reservations whose time has come. Precondition: an open transaction. Running it twice is running it once."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            select {RESERVATION} from reservations where merchant_id = $1 and due_at <= $2 order by due_at limit $3
            for update skip locked
            """,
            scope.merchant_id,
            scope.at,
            limit,
        )
        due = [Reservation(*row) for row in rows]
        leaving = [one for one in due if one.status == "held"]
        over = [one for one in due if one.status == "leaving"]
        for status, ones, due_at in (("leaving", leaving, scope.at + LEAVING), ("released", over, None)):
            await connection.execute(
                "update reservations set status = $3, due_at = $4 where merchant_id = $1 and id = any ($2)",
                scope.merchant_id,
                [one.id for one in ones],
                status,
                due_at,
            )
    for one in over:
        await ledger.give_back(scope, one.customer_id, one.position, one.points, SOURCE, one.id, "released")
    if leaving:
        await standings.mark(scope, [one.customer_id for one in leaving])
    return Ended(len(leaving), len(over))


async def capture(scope: Scope, reservation_id: UUID, used: int, order_id: int) -> None:
    """An order has paid with `used` of the reserved points: they are gone, and the others come back.

    Precondition: an open transaction. An order that comes after the points were released is charged all the same, below zero
    if need be: its discount was had. For who was merged meanwhile, who was kept is charged; nobody while their account is closed,
    and then it is done when the order is told again. Another order with the same reservation changes nothing.
    """
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {RESERVATION} from reservations where merchant_id = $1 and id = $2 for update",
            scope.merchant_id,
            reservation_id,
        )
        assert row is not None, "the reservation was read by the caller, and none is ever deleted"
        kept = Reservation(*row)
        if kept.status not in ("held", "leaving", "released") or (kept.status == "released" and used == 0):
            return
        payer_id, position = kept.customer_id, kept.position
        if kept.status == "released":
            debtor = await ledger.debtor(scope, kept.customer_id)
            if debtor is None:
                return
            payer_id, position = debtor, await ledger.take(scope, debtor, used, SOURCE, kept.id, "late", floor=None)
        await connection.execute(
            """
            update reservations
            set status = 'captured', points_used = $3, order_id = $4, position = $5, customer_id = $6, due_at = null
            where merchant_id = $1 and id = $2
            """,
            scope.merchant_id,
            reservation_id,
            used,
            order_id,
            position,
            payer_id,
        )
    if kept.status != "released":
        await ledger.give_back(scope, kept.customer_id, kept.position, kept.points - used, SOURCE, kept.id, "unused")
    await standings.mark(scope, [payer_id])


async def give_back(scope: Scope, kept: Reservation, due: int) -> None:
    """Of the order that paid with the points so much went back that `due` of them are to be back by now: what is missing goes.

    Precondition: an open transaction that has locked the captured reservation and read it as it is.
    """
    if due <= kept.points_returned:
        return
    async with db.connection(scope) as connection:
        await connection.execute(
            "update reservations set points_returned = $3, status = $4 where merchant_id = $1 and id = $2",
            scope.merchant_id,
            kept.id,
            due,
            "returned" if due == kept.points_used else "captured",
        )
    missing, purpose = due - kept.points_returned, f"returned-{due}"
    await ledger.give_back(scope, kept.customer_id, kept.position, missing, SOURCE, kept.id, purpose)
