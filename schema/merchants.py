"""The merchant in the API, and the clock of a sandbox."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import merchants
from domain.merchants import Merchant as MerchantRow
from schema.command import command
from schema.context import Info
from schema.doors import STAFF, STAFF_AND_ADMINS
from schema.errors import UserError
from schema.identifiers import gid
from schema.scalars import CurrencyCode
from schema.stores import Store, stores_of


@strawberry.type(description="A shop that uses LoyalNest.")
class Merchant:
    """A shop."""

    key: strawberry.Private[UUID]
    id: strawberry.ID = strawberry.field(description="The global id.")
    name: str = strawberry.field(description="The shop's name.")
    shop_domain: str = strawberry.field(
        description="The shop's address at Shopify, such as cedar.myshopify.com; an admin names it in `X-LoyalNest-Shop`."
    )
    currency: CurrencyCode = strawberry.field(description="The shop's own currency, in which orders earn.")
    sandbox: bool = strawberry.field(
        description="Whether the shop is for trying things out: its clock can be advanced by `sandboxClockAdvance`."
    )
    now: datetime = strawberry.field(
        description="The instant that the shop's clock shows, by which all of the shop's happens: real time, but in a sandbox."
    )

    @strawberry.field(description="The merchant's shops, their own first, at most 50. Those that are only invited come last.")
    async def stores(self, info: Info) -> list[Store]:
        """The merchant's shops."""
        return await stores_of(info, self.key)


def merchant(row: MerchantRow, real: datetime) -> Merchant:
    """A merchant's row as the API shows it at the real instant `real`."""
    return Merchant(
        key=row.id,
        id=strawberry.ID(gid("Merchant", row.id)),
        name=row.name,
        shop_domain=row.shop_domain,
        currency=CurrencyCode(row.currency),
        sandbox=row.sandbox,
        now=real + row.clock_offset,
    )


@strawberry.type(description="What `sandboxClockAdvance` did.")
class SandboxClockAdvancePayload:
    """The payload of `sandboxClockAdvance`."""

    merchant: Merchant | None = strawberry.field(default=None, description="The merchant with the new time; null when refused.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


@strawberry.type
class MerchantQueries:
    """The queries about the merchant."""

    @strawberry.field(description="The merchant whose credential this is, or whom an admin names.", extensions=[STAFF_AND_ADMINS])
    async def merchant(self, info: Info) -> Merchant:
        """The caller's merchant."""
        row = await merchants.by_id(info.context.scope.merchant_id)
        assert row is not None, "a credential belongs to a merchant"
        return merchant(row, info.context.scope.real_at)


@strawberry.type
class MerchantMutations:
    """The commands about the merchant."""

    @strawberry.mutation(
        description=(
            "Advance the clock of a sandbox, by days of 24 hours or to an instant, at most ten years ahead of the real time. "
            "What becomes due by it is done at once, by the same code as for every shop. The clock never goes back: a repeated "
            "`until` is refused and changes nothing, and `days` moves the clock each time."
        ),
        extensions=[STAFF],
    )
    async def sandbox_clock_advance(
        self,
        info: Info,
        days: Annotated[int | None, strawberry.argument(description="How many days of 24 hours, at least 1.")] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="The instant that the clock shall show, with a time zone.")
        ] = None,
    ) -> SandboxClockAdvancePayload:
        """Move the clock, and wake what is due once that is committed: before, nobody sees the new time."""
        payload = await _advance(self, info, days, until)
        if payload.merchant is not None:
            info.context.wake(info.context.scope.merchant_id)
        return payload


@command
async def _advance(_root: object, info: Info, days: int | None, until: datetime | None) -> SandboxClockAdvancePayload:
    scope = info.context.scope
    row = await merchants.clock_advance(scope, days=days, until=until)
    return SandboxClockAdvancePayload(merchant=merchant(row, scope.real_at))
