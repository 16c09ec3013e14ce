"""The ledger in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import strawberry

from domain import points
from domain.errors import DomainError
from domain.points import Transaction, TransactionType
from domain.scope import Door
from schema.context import Info
from schema.doors import EVERYBODY
from schema.enums import describe
from schema.identifiers import gid, key_of, shopify_number, uuid_of
from schema.instants import instant
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.scalars import Points
from schema.trace import ExplainTrace, explain

describe(
    TransactionType,
    name="PointsTransactionType",
    description="Why points moved.",
    values={
        TransactionType.EARN: "Earned by an order, a signup or another action.",
        TransactionType.REDEEM: "Spent on a reward.",
        TransactionType.EXPIRE: "Expired.",
        TransactionType.ADJUST: "Adjusted by staff.",
        TransactionType.IMPORT: "Taken over from another system.",
        TransactionType.REFERRAL: "Earned by a referral.",
        TransactionType.CAMPAIGN: "Given by a campaign.",
        TransactionType.MERGE: "Brought along from another account of the same person, or taken there.",
    },
)


@strawberry.type(description="What an order has lost of one line's points.")
class LineShare:
    """A line's part of a reversal."""

    line_id: str = strawberry.field(description="Shopify's number of the line; `shipping` and `tip` for these.")
    points: Points = strawberry.field(description="The points that it lost.")


@strawberry.type(description="An entry of the ledger. It is never changed; a reversal is an entry of its own.")
class PointsTransaction(Node):
    """An entry of the ledger."""

    row: strawberry.Private[Transaction]
    customer_id: strawberry.ID = strawberry.field(description="The customer whose account it is in.")
    version: Points = strawberry.field(description="The entry's position in the account, from 1 on.")
    type: TransactionType = strawberry.field(description="Why points moved.")
    points: Points = strawberry.field(description="What it added to the balance; negative when it took.")
    points_pending: Points = strawberry.field(description="What it added to the pending points; negative when it took.")
    balance_after: Points = strawberry.field(description="The balance after it.")
    pending_after: Points = strawberry.field(description="The pending points after it.")
    occurred_at: datetime = strawberry.field(description="When it was booked.")
    source: str = strawberry.field(
        description="What caused it: `order`, `signup`, `adjustment`, or the kind of an `ActionClaim` such as `birthday`."
    )
    source_id: str = strawberry.field(
        description="Which one: the order's or the customer's Shopify number, the command's key, or the key of the `ActionClaim`."
    )
    purpose: str = strawberry.field(
        description="What the entry is to its cause, such as `pending:1`: the order's first entry. Once per cause."
    )
    program_version: int | None = strawberry.field(description="The program version that decided, when one did.")
    reason: str | None = strawberry.field(description="What staff gave as the reason.")
    reverses: Points | None = strawberry.field(
        description="The version of the entry that it reverses, wholly or in part; null for an entry that reverses none."
    )
    line_shares: list[LineShare] = strawberry.field(description="What a reversal of an order is made of, line by line.")
    lot: Points | None = strawberry.field(
        description="The lot that it takes from before all others, or gives back to; null when it opens one or takes from any."
    )
    expires_at: datetime | None = strawberry.field(description="When the points that it gave expire; null for never.")
    hash: str = strawberry.field(description="The entry's link in the account's chain: SHA-256, in hex.")

    @strawberry.field(description="How the points came about, for an entry that a rule decided.")
    def trace(self) -> ExplainTrace | None:
        """The stored explanation."""
        return None if self.row.trace is None else explain(self.row.trace)


def points_transaction(row: Transaction) -> PointsTransaction:
    """An entry's row as the API shows it."""
    return PointsTransaction(
        id=strawberry.ID(gid("PointsTransaction", f"{row.customer_id}.{row.position}")),
        row=row,
        customer_id=strawberry.ID(gid("Customer", row.customer_id)),
        version=Points(row.position),
        type=TransactionType(row.type),
        points=Points(row.points),
        points_pending=Points(row.pending),
        balance_after=Points(row.balance_after),
        pending_after=Points(row.pending_after),
        occurred_at=row.occurred_at,
        source=row.source,
        source_id=row.external_id,
        purpose=row.purpose,
        program_version=row.program_version,
        reason=row.reason,
        reverses=None if row.reverses is None else Points(row.reverses),
        line_shares=[LineShare(line_id=line, points=Points(lost)) for line, lost in msgspec.json.decode(row.shares or "[]")],
        lot=None if row.lot is None else Points(row.lot),
        expires_at=row.expires_at,
        hash=row.hash.hex(),
    )


async def visible_transaction(info: Info, identifier: str) -> PointsTransaction | None:
    """The entry with this global id, if the caller may see it."""
    key = key_of("PointsTransaction", identifier) or ""
    customer_key, _, position = key.partition(".")
    customer_id = uuid_of("Customer", gid("Customer", customer_key))
    if customer_id is None or not position.isascii() or not position.isdigit() or len(position) > 18:
        return None
    if info.context.scope.actor.door is Door.CUSTOMER and customer_id != info.context.customer_id:
        return None
    row = await points.transaction(info.context.scope, customer_id, int(position))
    return points_transaction(row) if row else None


@strawberry.input(description="Which entries to show; all that is given must hold.")
class TransactionFilter:
    """Which entries."""

    type: TransactionType | None = strawberry.field(default=None, description="Only this type.")
    order_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only those of this order: gid://shopify/Order/450789469 or the number."
    )
    from_: datetime | None = strawberry.field(default=None, name="from", description="Booked at this instant or later.")
    until: datetime | None = strawberry.field(default=None, description="Booked before this instant.")


async def transactions_page(
    info: Info, first: int, after: str | None, filter: TransactionFilter | None, customer_id: UUID | None
) -> Connection[PointsTransaction]:
    """A page of entries, of one customer or of the whole merchant."""
    rows_wanted = check_first(first)
    chosen = filter or TransactionFilter()
    since = None if chosen.from_ is None else instant(chosen.from_, "filter", "from")
    until = None if chosen.until is None else instant(chosen.until, "filter", "until")
    order_id = None
    if chosen.order_id is not None and (order_id := shopify_number("Order", chosen.order_id)) is None:
        raise DomainError("`orderId` is Shopify's id of an order.", field=("filter", "orderId"))
    rows = await points.page(
        info.context.scope,
        rows_wanted,
        read_cursor(after, tuple[datetime, UUID, int]),
        customer_id=customer_id,
        type=chosen.type,
        order_id=order_id,
        from_=since,
        until=until,
    )
    return connection(rows, first, after, points_transaction, lambda row: (row.occurred_at, row.customer_id, row.position))


@strawberry.type
class PointsQueries:
    """The queries about the ledger."""

    @strawberry.field(
        description="The merchant's ledger, newest first; a customer sees their own entries.", extensions=[EVERYBODY]
    )
    async def points_transactions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        filter: Annotated[TransactionFilter | None, strawberry.argument(description="Which entries to show.")] = None,
    ) -> Connection[PointsTransaction]:
        """A page of the ledger."""
        return await transactions_page(info, first, after, filter, info.context.customer_id)
