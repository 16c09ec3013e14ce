"""The stand-in beside a test's shop: in this process, reached without a network, delivering to the application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2

from domain import db, installations, rewards
from domain.customers import Customer
from integrations.shopify import Shopify, oauth
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.server import StandIn
from local.shopify_stand_in.shop import Discount, Json, ShopState
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.rewards import rich
from tests.shop import Shop
from workers.rewards import end, publish, settle, tell_checkout

COAT, SCARF, MUG, GIFT_CARD = 632910392, 632910393, 632910394, 632910395
Connection = asyncpg.Connection  # type: ignore[type-arg]


@dataclass
class Beside:
    """A shop of the application and the same shop at the stand-in, with a client between them."""

    shop: Shop
    stand_in: StandIn
    shopify: Shopify

    @property
    def state(self) -> ShopState:
        """The shop at the stand-in."""
        return self.stand_in.shop(self.shop.merchant.shop_domain)

    async def install(self) -> None:
        """Install the app by token exchange."""
        scope = self.shop.now()
        grant = await oauth.by_session_token(self.shopify.http, self.shop.merchant.shop_domain, "a session token", scope.at)
        await installations.install(scope, grant)


@asynccontextmanager
async def beside(shop: Shop) -> AsyncGenerator[Beside, None]:
    """A stand-in that knows this shop, with the app installed."""
    to_application = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=shop.application))
    stand_in = StandIn(CLIENT_ID, CLIENT_SECRET, to_application, hurry=1_000_000)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stand_in.app()))
    shopify = Shopify(http=http)
    found = Beside(shop, stand_in, shopify)
    await found.install()
    try:
        yield found
    finally:
        await stand_in.deliveries.close()
        await shopify.close()
        await to_application.aclose()


async def member(here: Beside, amount: int = 1000) -> Customer:
    """A customer with points, whom the stand-in knows too."""
    customer = await rich(here.shop, amount)
    here.state.add_customer(customer.shopify_id)
    return customer


async def work(here: Beside) -> None:
    """Run the jobs, twice: the second time there is nothing to do."""
    for _ in range(2):
        await settle(here.shop.now(), here.shopify)
        await publish(here.shop.now(), here.shopify)
        await end(here.shop.now())
        await tell_checkout(here.shop.now(), here.shopify)


async def later(here: Beside, owner: Connection) -> None:
    """Let every lease and wait be over, as time would."""
    await leases_over(here.shop, owner)


async def leases_over(shop: Shop, owner: Connection) -> None:
    """The same for a shop alone."""
    await owner.execute("set role loyalnest_app")
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    for table in ("redemptions", "reservations", "standings", "rewards"):
        await owner.execute(f"update {table} set due_at = now() - interval '1 second' where due_at < now() + interval '1 hour'")


async def buy(here: Beside, customer: Customer, *lines: tuple[int, int], **more: Any) -> Json:
    """Check out, deliver the webhooks and work them off."""
    order = checkout.check_out(here.state, Basket(customer.shopify_id, list(lines or [(COAT, 1)]), **more))
    payload = {key: value for key, value in order.items() if key != "refused_codes"}
    for topic in ("orders/create", "orders/paid"):
        here.stand_in.deliveries.tell(here.state, topic, payload)
    await here.stand_in.deliveries.settled()
    await here.shop.work()
    return order


def only(here: Beside) -> Discount:
    """The one discount that the shop has."""
    [found] = here.state.discounts.values()
    return found


async def cancel(here: Beside, taken: rewards.Redemption) -> None:
    scope = here.shop.now()
    async with db.transaction(scope):
        await rewards.cancel(scope, taken.id)
