"""Customers in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import customers
from domain.access import Permission
from domain.customers import Customer as CustomerRow
from domain.customers import Profile, State
from domain.errors import DomainError
from domain.scope import Door
from schema.activity import CustomerActivity, activity_page
from schema.context import Info
from schema.doors import EVERYBODY, PERSONAL_DATA, STAFF_AND_PARTNERS
from schema.enums import describe
from schema.identifiers import gid, shopify_number, uuid_of
from schema.lots import PointsLot, lots_page
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.points import PointsTransaction, TransactionFilter, transactions_page
from schema.scalars import Points

describe(
    State,
    name="CustomerState",
    description="How a customer stands. Only an open account earns and spends.",
    values={
        State.OPEN: "They earn and spend.",
        State.DISABLED: "The shop has disabled the account: nothing is earned or spent, and orders wait until it is enabled.",
        State.DELETED: "The shop has deleted the customer. Who they were is forgotten.",
        State.MERGED: "They were merged into another customer, `mergedInto`, who has their points and orders.",
        State.REDACTED: "Who they were was erased because they asked for it. The entries stay, without a name.",
    },
)


@strawberry.type(description="A customer of the merchant's shop, with the one account of points that they have.")
class Customer(Node):
    """A customer and their account."""

    row: strawberry.Private[CustomerRow]
    shopify_id: strawberry.ID = strawberry.field(description="Shopify's global id of the customer.")
    points_balance: Points = strawberry.field(description="The points that can be spent.")
    points_pending: Points = strawberry.field(
        description="The points of orders that are not paid yet, or whose hold has not passed."
    )
    points_version: Points = strawberry.field(
        description="How many entries the account has. It rises by one with each, and is what `balanceUpdated(since:)` takes."
    )
    joined_at: datetime | None = strawberry.field(
        description="When the shop says the customer came to be; null while only an order has named them."
    )

    state: State = strawberry.field(description="How the customer stands.")

    @strawberry.field(
        description="Who has the points and orders of a customer that was merged; null for everybody else.",
        extensions=[STAFF_AND_PARTNERS.needing(Permission.READ)],
    )
    async def merged_into(self, info: Info) -> Customer | None:
        """Always the last of several merges."""
        if self.row.merged_into is None:
            return None
        found = await info.context.customers.load(self.row.merged_into)
        return customer(found) if found else None

    @strawberry.field(
        description=(
            "The handle of the tier that staff or a partner has put the customer into; null for none. Of somebody who was merged "
            "with others it is their own, or else the other's."
        )
    )
    async def tier(self, info: Info) -> str | None:
        """Gathered over all customers of the request."""
        return (await info.context.memberships.load(self.row.id)).tier

    @strawberry.field(
        description="The handles of the segments that the customer is in, those of customers merged into them among them.",
        extensions=[STAFF_AND_PARTNERS.needing(Permission.READ)],
    )
    async def segments(self, info: Info) -> list[str] | None:
        """Gathered over all customers of the request; a shop may call a segment what its customers need not read."""
        return list((await info.context.memberships.load(self.row.id)).segments)

    @strawberry.field(description="The customer's e-mail address.", extensions=[PERSONAL_DATA])
    def email(self) -> str | None:
        """Opened on demand: it is stored sealed."""
        return self._profile().email

    @strawberry.field(description="The customer's first name.", extensions=[PERSONAL_DATA])
    def first_name(self) -> str | None:
        """Opened on demand: it is stored sealed."""
        return self._profile().first_name

    @strawberry.field(description="The customer's last name.", extensions=[PERSONAL_DATA])
    def last_name(self) -> str | None:
        """Opened on demand: it is stored sealed."""
        return self._profile().last_name

    @strawberry.field(description="The account's entries, newest first.")
    async def points_transactions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        filter: Annotated[TransactionFilter | None, strawberry.argument(description="Which entries to show.")] = None,
    ) -> Connection[PointsTransaction]:
        """A page of this customer's entries."""
        return await transactions_page(info, first, after, filter, self.row.id)

    @strawberry.field(description="The lots with something left in them, in the order in which they are spent.")
    async def points_lots(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[PointsLot]:
        """A page of this customer's lots."""
        return await lots_page(info, self.row.id, first, after)

    @strawberry.field(
        description=(
            "What happened to the account, newest first: the ledger's entries, and what the customer was told. Its first cursor "
            "is what `customerActivity(since:)` takes."
        )
    )
    async def activity(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[CustomerActivity]:
        """A page of this customer's activity."""
        return await activity_page(info, self.row.id, first, after)

    def _profile(self) -> Profile:
        return self.row.profile()


def customer(row: CustomerRow) -> Customer:
    """A customer's row as the API shows it."""
    return Customer(
        id=strawberry.ID(gid("Customer", row.id)),
        row=row,
        shopify_id=strawberry.ID(f"gid://shopify/Customer/{row.shopify_id}"),
        points_balance=Points(row.balance),
        points_pending=Points(row.pending),
        points_version=Points(row.version),
        joined_at=row.joined_at,
        state=State(row.state),
    )


async def visible_customer(info: Info, customer_id: UUID) -> CustomerRow | None:
    """The customer, if the caller may see them: a customer sees only themself."""
    context = info.context
    if context.scope.actor.door is Door.CUSTOMER and customer_id != context.customer_id:
        return None
    return await context.customers.load(customer_id)


@strawberry.type
class CustomerQueries:
    """The queries about customers."""

    @strawberry.field(
        description=(
            "One customer, by one of the two ids; null when there is none. A customer may leave both out, and sees themself."
        ),
        extensions=[EVERYBODY],
    )
    async def customer(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Our global id.")] = None,
        shopify_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Shopify's id: gid://shopify/Customer/207119551 or the number."),
        ] = None,
    ) -> Customer | None:
        """The customer asked for."""
        own = info.context.customer_id
        if id is not None and shopify_id is not None:
            raise DomainError("Pass `id` or `shopifyId`, not both.", field=("shopifyId",))
        if shopify_id is not None:
            number = shopify_number("Customer", shopify_id)
            row = None if number is None else await customers.by_shopify_id(info.context.scope, number)
            return customer(row) if row and own in (None, row.id) else None
        wanted = own if id is None else uuid_of("Customer", id)
        if wanted is None:
            if id is None:
                raise DomainError("Pass `id` or `shopifyId`.", field=("id",))
            return None
        row = await visible_customer(info, wanted)
        return customer(row) if row else None

    @strawberry.field(description="The merchant's customers, newest first.", extensions=[STAFF_AND_PARTNERS])
    async def customers(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
        query: Annotated[
            str | None,
            strawberry.argument(
                description=(
                    "Words that the customer must have: their whole e-mail address, whole words of their name, or their Shopify "
                    "number. Letter case does not matter."
                )
            ),
        ] = None,
    ) -> Connection[Customer]:
        """A page of the merchant's customers."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await customers.page(info.context.scope, rows_wanted, place[0] if place else None, query)
        return connection(rows, first, after, customer, lambda row: (row.id,))
