"""A balance that moves: the adjustment by hand, and the streams of every change and of all that happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from domain import customers, points
from domain.access import Permission
from domain.errors import DomainError, NotFound
from domain.points import Transaction
from schema.activity import CustomerActivityUpdate, Place, activity
from schema.command import command
from schema.context import Info
from schema.customers import Customer, customer, visible_customer
from schema.doors import EVERYBODY, STAFF_AND_ADMINS
from schema.errors import UserError
from schema.identifiers import gid, uuid_of
from schema.pagination import cursor_of, read_cursor
from schema.points import PointsTransaction, points_transaction
from schema.scalars import Points

PAGE = 100
"""How many entries a subscription reads at a time."""


@strawberry.type(description="The answer to `pointsAdjust`.")
class PointsAdjustPayload:
    """The entry and the customer after it."""

    points_transaction: PointsTransaction | None = strawberry.field(default=None, description="The entry that was booked.")
    customer: Customer | None = strawberry.field(default=None, description="The customer after it.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="A state of an account. Versions of one account only rise.")
class BalanceUpdate:
    """The figures after an entry."""

    customer_id: strawberry.ID = strawberry.field(description="The customer.")
    version: Points = strawberry.field(description="The account's version, to pass as `since` after a reconnect.")
    points_balance: Points = strawberry.field(description="The points that can be spent.")
    points_pending: Points = strawberry.field(description="The points still pending.")
    points_transaction: PointsTransaction | None = strawberry.field(
        description="The entry that led here; null in the first message, which is the state as it stands."
    )


def _after(row: Transaction) -> BalanceUpdate:
    return BalanceUpdate(
        customer_id=strawberry.ID(gid("Customer", row.customer_id)),
        version=Points(row.position),
        points_balance=Points(row.balance_after),
        points_pending=Points(row.pending_after),
        points_transaction=points_transaction(row),
    )


@strawberry.type
class BalanceMutations:
    """The commands that move points by hand."""

    @strawberry.mutation(
        description=(
            "Add points to a customer's balance, or take them, with a reason. Audited. The balance does not fall below zero. "
            "The same key with the same input gives the same answer and moves nothing twice."
        ),
        extensions=[STAFF_AND_ADMINS.needing(Permission.POINTS)],
    )
    @command
    async def points_adjust(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="The customer, by our global id.")],
        points: Annotated[Points, strawberry.argument(description="What to add; negative to take. Not zero.")],
        reason: Annotated[
            str,
            strawberry.argument(
                description="Why, in 1 to 500 characters. The customer can read it. It stays for ever, so name nobody."
            ),
        ],
        idempotency_key: Annotated[
            str, strawberry.argument(description="Any text of 1 to 255 characters that names this adjustment and no other.")
        ],
    ) -> PointsAdjustPayload:
        """Adjust a balance."""
        wanted = uuid_of("Customer", customer_id)
        if wanted is None:
            raise NotFound("There is no such customer.", field=("customerId",))
        return await _adjust(info, wanted, points, reason, idempotency_key)


async def _adjust(info: Info, customer_id: UUID, amount: int, reason: str, key: str) -> PointsAdjustPayload:
    scope = info.context.scope
    _, position = await points.adjust(scope, customer_id=customer_id, points=amount, reason=reason, idempotency_key=key)
    entry = await points.transaction(scope, customer_id, position)
    owner = await customers.by_id(scope, customer_id)
    assert entry is not None, "the entry was booked above"
    assert owner is not None, "the entry has an owner"
    return PointsAdjustPayload(points_transaction=points_transaction(entry), customer=customer(owner))


@strawberry.type
class BalanceSubscriptions:
    """The streams of balances."""

    @strawberry.subscription(
        description=(
            "A customer's balance, live: first the state as it stands, then every change in order with its version. With "
            "`since`, first every change behind that version, so that a client that was away misses nothing."
        ),
        extensions=[EVERYBODY],
    )
    async def balance_updated(
        self,
        info: Info,
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The customer, by our global id; a customer may leave it out."),
        ] = None,
        since: Annotated[Points | None, strawberry.argument(description="The last version that the client has seen.")] = None,
    ) -> AsyncGenerator[BalanceUpdate, None]:
        """The stream of one balance."""
        context = info.context
        wanted = context.customer_id if customer_id is None else uuid_of("Customer", customer_id)
        if wanted is None or await visible_customer(info, wanted) is None:
            raise NotFound("There is no such customer.", field=("customerId",))
        with context.doorbell.listen(context.scope.merchant_id, wanted) as bell:
            # The bell hangs before the state is read, so that nothing falls between the two.
            state = await customers.by_id(context.scope, wanted)
            assert state is not None, "customers are never removed"
            seen = state.version if since is None or since >= state.version else max(since, 0)
            if seen == state.version:
                yield BalanceUpdate(
                    customer_id=strawberry.ID(gid("Customer", wanted)),
                    version=Points(state.version),
                    points_balance=Points(state.balance),
                    points_pending=Points(state.pending),
                    points_transaction=None,
                )
            while True:
                bell.clear()
                while news := await points.since(context.scope, wanted, seen, PAGE):
                    for row in news:
                        seen = row.position
                        yield _after(row)
                await bell.wait()


@strawberry.type
class ActivitySubscriptions:
    """The stream of what happens."""

    @strawberry.subscription(
        description=(
            "What happens to a customer's account, live: the ledger's entries and what the customer is told, each once and in "
            "one order. With `since` it begins behind that place, so that a client that was away misses nothing and sees "
            "nothing twice; without, it begins now."
        ),
        extensions=[EVERYBODY],
    )
    async def customer_activity(
        self,
        info: Info,
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The customer, by our global id; a customer may leave it out."),
        ] = None,
        since: Annotated[
            str | None,
            strawberry.argument(description="The newest cursor that the client has: of this stream, or of `Customer.activity`."),
        ] = None,
    ) -> AsyncGenerator[CustomerActivityUpdate, None]:
        """The stream of one account."""
        context = info.context
        wanted = context.customer_id if customer_id is None else uuid_of("Customer", customer_id)
        if wanted is None or await visible_customer(info, wanted) is None:
            raise NotFound("There is no such customer.", field=("customerId",))
        place = _since(since)
        with context.doorbell.listen(context.scope.merchant_id, wanted) as bell:
            # The bell hangs before the place is read, so that nothing falls between the two.
            newest = await _newest(info, wanted)
            if place is None or place > newest:
                place = newest
                yield CustomerActivityUpdate(cursor=cursor_of(place), activity=None)
            while True:
                bell.clear()
                while news := await points.activity_since(context.scope, wanted, place, PAGE):
                    for row in news:
                        place = (row.position, row.number)
                        yield CustomerActivityUpdate(cursor=cursor_of(place), activity=activity(row))
                await bell.wait()


async def _newest(info: Info, customer_id: UUID) -> tuple[int, int]:
    """The place of the newest thing that happened; (0, 0) before the first."""
    rows = await points.activity_page(info.context.scope, customer_id, None, 1)
    return (rows[0].position, rows[0].number) if rows else (0, 0)


def _since(since: str | None) -> tuple[int, int] | None:
    try:
        return read_cursor(since, Place)
    except DomainError as error:
        raise DomainError("`since` is a cursor of this stream, or of `Customer.activity`.", field=("since",)) from error
