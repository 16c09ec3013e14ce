"""Who is who in the API: taking a merge back, and handing out what is kept of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import customers, identity
from domain.access import Permission
from domain.errors import NotFound
from domain.identity import Export
from schema.command import command
from schema.context import Info
from schema.customers import Customer, customer
from schema.doors import STAFF
from schema.errors import UserError
from schema.identifiers import gid, uuid_of
from schema.node import Node
from schema.pagination import Connection, check_first, connection, read_cursor

EXPORTS = STAFF.needing(Permission.PERSONAL)
"""What is in them is all that is kept of a person."""


@strawberry.type(
    description=(
        "A document of all that is kept of a customer, made when Shopify passed on their request. It can be taken once, by "
        "`customerExportTake`; what is in it is not shown here."
    )
)
class CustomerExport(Node):
    """An export."""

    row: strawberry.Private[Export]
    requested_at: datetime = strawberry.field(description="When it was asked for, and made.")
    is_waiting: bool = strawberry.field(
        description="Whether it can be taken; false after it was, and after the customer was erased."
    )
    taken_at: datetime | None = strawberry.field(description="When it was taken; null while it was not.")
    taken_by: str | None = strawberry.field(description="Who took it; null while nobody has.")

    @strawberry.field(description="The customer of whom it tells.")
    async def customer(self, info: Info) -> Customer:
        """The customer, who is never deleted."""
        found = await info.context.customers.load(self.row.customer_id)
        assert found is not None, "an export is a customer's"
        return customer(found)


def customer_export(row: Export) -> CustomerExport:
    """An export's row as the API shows it."""
    return CustomerExport(
        id=strawberry.ID(gid("CustomerExport", row.id)),
        row=row,
        requested_at=row.requested_at,
        is_waiting=row.is_waiting,
        taken_at=row.taken_at,
        taken_by=row.taken_by,
    )


async def visible_export(info: Info, identifier: str) -> CustomerExport | None:
    """The export with this global id, for staff; null for everybody else."""
    export_id = uuid_of("CustomerExport", identifier)
    if export_id is None or not EXPORTS.lets_in(info.context):
        return None
    row = await identity.exported(info.context.scope, export_id)
    return customer_export(row) if row else None


@strawberry.type(description="The answer to `customerMergeUndo`.")
class CustomerMergeUndoPayload:
    """Who stands for themself again."""

    customer: Customer | None = strawberry.field(
        default=None, description="The customer who was merged and stands for themself again; null when refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


@strawberry.type(description="The answer to `customerExportTake`.")
class CustomerExportTakePayload:
    """The document."""

    customer_export: CustomerExport | None = strawberry.field(default=None, description="The export; null when refused.")
    document: str | None = strawberry.field(
        default=None,
        description="All that is kept of the customer, as JSON. It is not kept any longer; null when refused.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


@strawberry.type
class IdentityQueries:
    """The queries about exports."""

    @strawberry.field(
        description="The documents that customers have asked for of what is kept of them, newest first.", extensions=[EXPORTS]
    )
    async def customer_exports(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")],
        after: Annotated[str | None, strawberry.argument(description="The cursor behind which to begin.")] = None,
    ) -> Connection[CustomerExport]:
        """A page of the merchant's exports."""
        rows_wanted = check_first(first)
        place = read_cursor(after, tuple[UUID])
        rows = await identity.exports(info.context.scope, rows_wanted, place[0] if place else None)
        return connection(rows, first, after, customer_export, lambda row: (row.id,))


@strawberry.type
class IdentityMutations:
    """The commands about who is who."""

    @strawberry.mutation(
        description=(
            "Take the merge of a customer back: every lot with its date, every debt and every order is where it was, and what an "
            "order has gained or lost since goes along with it. Refused when points that came by the merge have been spent."
        ),
        extensions=[STAFF],
    )
    @command
    async def customer_merge_undo(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The global id of the customer who was merged.")],
    ) -> CustomerMergeUndoPayload:
        """Undo, and show who went."""
        customer_id = uuid_of("Customer", id)
        if customer_id is None:
            raise NotFound("There is no such customer.", field=("id",))
        await identity.undo(info.context.scope, customer_id=customer_id)
        row = await customers.by_id(info.context.scope, customer_id)
        assert row is not None, "who was merged is there"
        return CustomerMergeUndoPayload(customer=customer(row))

    @strawberry.mutation(
        description=(
            "Take the document of all that is kept of a customer, to pass it on to them. It can be taken once: keep it. The "
            "document is forgotten in the same moment, and that you took it is written down."
        ),
        extensions=[EXPORTS],
    )
    @command
    async def customer_export_take(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The export's global id.")],
    ) -> CustomerExportTakePayload:
        """Take it."""
        export_id = uuid_of("CustomerExport", id)
        if export_id is None:
            raise NotFound("There is no such export.", field=("id",))
        row, document = await identity.take_export(info.context.scope, export_id)
        return CustomerExportTakePayload(customer_export=customer_export(row), document=document)
