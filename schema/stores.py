"""Several shops of one merchant in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from domain import installations
from domain.errors import NotFound
from domain.merchants import stores
from schema.command import command
from schema.context import Info
from schema.doors import HOUSE
from schema.errors import UserError


@strawberry.type(description="A shop by which a merchant is reached. Customers of all of a merchant's shops have one balance.")
class Store:
    """A store."""

    shop_domain: str = strawberry.field(description="The shop's address at Shopify, such as cedar-outlet.myshopify.com.")
    connected_at: datetime | None = strawberry.field(
        description="Since when the shop speaks for the merchant; null while it is invited and has not joined."
    )


@strawberry.type(description="What `webhooksCheck` did.")
class WebhooksCheckPayload:
    """The payload of `webhooksCheck`."""

    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


STORES = "All shops of the merchant as they are now, their own first; null when refused."


@strawberry.type(description="What `storeInvite` did.")
class StoreInvitePayload:
    """The payload of `storeInvite`."""

    stores: list[Store] | None = strawberry.field(default=None, description=STORES)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


@strawberry.type(description="What `storeJoin` did.")
class StoreJoinPayload:
    """The payload of `storeJoin`."""

    stores: list[Store] | None = strawberry.field(default=None, description=STORES)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


@strawberry.type(description="What `storeRemove` did.")
class StoreRemovePayload:
    """The payload of `storeRemove`."""

    stores: list[Store] | None = strawberry.field(default=None, description=STORES)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty when it was not."
    )


ShopDomain = Annotated[str, strawberry.argument(description="The shop's address at Shopify, such as cedar-outlet.myshopify.com.")]


@strawberry.type
class StoreMutations:
    """The commands about stores."""

    @strawberry.mutation(
        description=(
            "Say that another shop, which uses LoyalNest too, may join this merchant, so that its customers share their balances "
            "with those of this one. It joins by `storeJoin` in a session of its own."
        ),
        extensions=[HOUSE],
    )
    @command
    async def store_invite(self, info: Info, shop_domain: ShopDomain) -> StoreInvitePayload:
        """Invite a shop."""
        scope = info.context.scope
        await stores.invite(scope, shop_domain)
        return StoreInvitePayload(stores=await stores_of(info, scope.merchant_id))

    @strawberry.mutation(
        description=(
            "Let this shop join the merchant with the shop named, who has invited it. From then on its webhooks and its staff's "
            "sessions speak for that merchant. It must not have given points of its own, and must have the same currency."
        ),
        extensions=[HOUSE],
    )
    @command
    async def store_join(self, info: Info, shop_domain: ShopDomain) -> StoreJoinPayload:
        """Join another shop's merchant."""
        joined = await stores.join(info.context.scope, shop_domain)
        return StoreJoinPayload(stores=await stores_of(info, joined.id))

    @strawberry.mutation(
        description=(
            "Withdraw an invitation, or let a shop that joined go its own way again. The points that its customers have stay "
            "theirs with this merchant."
        ),
        extensions=[HOUSE],
    )
    @command
    async def store_remove(self, info: Info, shop_domain: ShopDomain) -> StoreRemovePayload:
        """Let a shop go."""
        scope = info.context.scope
        await stores.remove(scope, shop_domain)
        return StoreRemovePayload(stores=await stores_of(info, scope.merchant_id))

    @strawberry.mutation(
        description=(
            "Compare the webhooks that the shop sends with those that are needed, and mend what differs, in a moment. It is done "
            "after the app was installed and every day besides."
        ),
        extensions=[HOUSE],
    )
    async def webhooks_check(self, info: Info) -> WebhooksCheckPayload:
        """Note that it is due, and wake who does it once that is committed."""
        payload = await _check_webhooks(self, info)
        if not payload.user_errors:
            info.context.wake(info.context.scope.merchant_id)
        return payload


@command
async def _check_webhooks(_root: object, info: Info) -> WebhooksCheckPayload:
    if not await installations.check_webhooks(info.context.scope):
        raise NotFound("The shop has not installed the app.")
    return WebhooksCheckPayload()


async def stores_of(info: Info, merchant_id: UUID) -> list[Store]:
    """A merchant's shops, as `domain.merchants.stores` orders them."""
    found = await stores.of_merchant(info.context.scope, merchant_id)
    return [Store(shop_domain=one.shop_domain, connected_at=one.connected_at) for one in found]
