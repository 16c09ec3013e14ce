"""Tiers and segments in the API: staff and partners say who belongs to what."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from domain import customers, memberships
from domain.errors import NotFound
from schema.command import command
from schema.context import Info
from schema.customers import Customer, customer
from schema.doors import STAFF_AND_PARTNERS
from schema.errors import UserError
from schema.identifiers import uuid_of

_CUSTOMER = strawberry.argument(description="The customer, by our global id.")


@strawberry.type(description="The answer to `customerTierSet`.")
class CustomerTierSetPayload:
    """Who is in the tier."""

    customer: Customer | None = strawberry.field(default=None, description="The customer as they are now; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type(description="The answer to `customerSegmentsSet`.")
class CustomerSegmentsSetPayload:
    """Who is in the segments."""

    customer: Customer | None = strawberry.field(default=None, description="The customer as they are now; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was refused.")


@strawberry.type
class MembershipMutations:
    """The commands about tiers and segments."""

    @strawberry.mutation(
        description=(
            "Put a customer into a tier, or into none. Rewards go by it at once, and checkout as soon as Shopify has been told. "
            "Calling it again changes nothing. Audited."
        ),
        extensions=[STAFF_AND_PARTNERS],
    )
    @command
    async def customer_tier_set(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, _CUSTOMER],
        tier: Annotated[
            str | None,
            strawberry.argument(
                description="The tier's handle: 1 to 64 small letters, digits, hyphens and underscores. Null for none."
            ),
        ],
    ) -> CustomerTierSetPayload:
        """Set the tier."""
        wanted = _customer_id(customer_id)
        await memberships.set_tier(info.context.scope, customer_id=wanted, tier=tier)
        return CustomerTierSetPayload(customer=await _as_now(info, wanted))

    @strawberry.mutation(
        description=(
            "Make these, and no others, the segments of a customer. Rewards go by them at once, and checkout as soon as Shopify "
            "has been told. Calling it again changes nothing. Audited."
        ),
        extensions=[STAFF_AND_PARTNERS],
    )
    @command
    async def customer_segments_set(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, _CUSTOMER],
        segments: Annotated[
            list[str], strawberry.argument(description="All handles, at most 50, written as tiers are; empty for none.")
        ],
    ) -> CustomerSegmentsSetPayload:
        """Set the segments."""
        wanted = _customer_id(customer_id)
        await memberships.set_segments(info.context.scope, customer_id=wanted, segments=segments)
        return CustomerSegmentsSetPayload(customer=await _as_now(info, wanted))


def _customer_id(identifier: str) -> UUID:
    found = uuid_of("Customer", identifier)
    if found is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    return found


async def _as_now(info: Info, customer_id: UUID) -> Customer:
    # An operation may hold several commands, and what was read behind the one before is old.
    info.context.memberships.clear_all()
    row = await customers.by_id(info.context.scope, customer_id)
    assert row is not None, "they were found a moment ago"
    return customer(row)
