"""From points to an order, through real processes and a stand-in on a real port, and what kill -9 leaves of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import asyncpg
import httpx2
import pytest
import redis.asyncio
import uvicorn

from domain import customers, installations
from domain.customers import Customer
from domain.settings import settings
from integrations.shopify import oauth
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.faults import Fault
from local.shopify_stand_in.server import StandIn
from local.shopify_stand_in.shop import Json, ShopState
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.e2e.processes import PATIENCE_S, Running, free_port, running
from tests.rewards import offer, redeem, rich, state
from tests.shop import Shop, rate
from tests.stand_in import COAT, leases_over

Connection = asyncpg.Connection  # type: ignore[type-arg]
TOPICS = ("ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED", "REFUNDS_CREATE", "ORDER_TRANSACTIONS_CREATE")
REDEEM = """mutation ($reward: ID!, $key: String!) {
    rewardRedeem(rewardId: $reward, idempotencyKey: $key) { redemption { id status code points } userErrors { code } }
}"""
MINE = "{ redemptions(first: 5) { nodes { id status code orderId pointsReturned } } customer { pointsBalance } }"


@asynccontextmanager
async def beside(shop: Shop) -> AsyncGenerator[tuple[Running, StandIn, ShopState]]:
    """Processes that are not started yet, and a stand-in that serves; the app is installed and subscribed."""
    port = free_port()
    stand_in = StandIn(CLIENT_ID, CLIENT_SECRET, httpx2.AsyncClient(), hurry=100)
    config = uvicorn.Config(stand_in.app(), host="127.0.0.1", port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    there = stand_in.shop(shop.merchant.shop_domain)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stand_in.app())) as http:
        grant = await oauth.by_session_token(http, shop.merchant.shop_domain, "a session token", shop.now().at)
    await installations.install(shop.now(), grant)
    serving = asyncio.create_task(server.serve())
    try:
        with running() as application:
            application.environment["LOYALNEST_SHOPIFY_URL"] = f"http://127.0.0.1:{port}/{{shop}}"
            uri = f"{application.url}/webhooks/shopify"
            application.environment["LOYALNEST_PUBLIC_URL"] = application.url
            plain = {"uri": uri, "failures": 0, "format": "JSON", "filter": None, "includeFields": []}
            there.subscriptions += [{"id": topic, "topic": topic, **plain} for topic in TOPICS]
            yield application, stand_in, there
    finally:
        server.should_exit = True
        await serving


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


async def until_status(shop: Shop, redemption: UUID, *statuses: str) -> str:
    """Wait until a redemption stands so."""

    async def holds() -> bool:
        return (await state(shop, redemption)).status in statuses

    await until(holds)
    return (await state(shop, redemption)).status


async def until_balance(shop: Shop, customer: Customer, balance: int) -> None:
    """Wait until a customer has so many points."""

    async def holds() -> bool:
        found = await customers.by_id(shop.scope(), customer.id)
        return found is not None and found.balance == balance

    await until(holds)


@pytest.mark.parametrize("end", ["cancelled", "refunded"])
async def test_the_whole_story(shop: Shop, end: str) -> None:
    """An order earns, its points become a code, it takes off its amount; the order is cancelled, or refunded in two parts."""
    await shop.publish(rate(10))
    customer = await shop.customer()
    token = shop.customer_token(customer.id)
    reward = await offer(shop)
    async with beside(shop) as (application, stand_in, there):
        stand_in_url = application.environment["LOYALNEST_SHOPIFY_URL"].removesuffix("/{shop}")
        there.add_customer(customer.shopify_id)
        application.start("api")
        application.start("workers")
        await application.ready()

        def buy(pieces: int, *codes: str) -> Json:
            order = checkout.check_out(there, Basket(customer.shopify_id, [(COAT, pieces)], list(codes)))
            for topic in ("orders/create", "orders/paid"):
                stand_in.deliveries.tell(there, topic, {name: value for name, value in order.items() if name != "refused_codes"})
            return order

        buy(1)
        await until_balance(shop, customer, 800)
        answer = await shop.data(REDEEM, token=token, reward=f"gid://loyalnest/Reward/{reward.id}", key="one")
        taken = answer["rewardRedeem"]["redemption"]
        assert (taken["status"], taken["code"], taken["points"]) == ("HELD", None, 500)
        taken_id = UUID(taken["id"].rpartition("/")[2])
        await until_status(shop, taken_id, "issued")
        [mine] = (await shop.data(MINE, token=token))["redemptions"]["nodes"]
        [discount] = there.discounts.values()
        assert (mine["status"], mine["code"]) == ("ISSUED", discount.code)
        order = buy(2, mine["code"])
        assert (order["total_discounts"], order["refused_codes"]) == ("5.00", {})
        await until_status(shop, taken_id, "used")
        # 800, less 500, and ten for each of the 155.00 that the two coats still cost.
        await until_balance(shop, customer, 1850)
        seen = await shop.data(MINE, token=token)
        [mine] = seen["redemptions"]["nodes"]
        assert (mine["status"], mine["orderId"]) == ("USED", f"gid://shopify/Order/{order['id']}")
        assert seen["customer"]["pointsBalance"] == 1850
        if end == "cancelled":
            stand_in.deliveries.tell(there, "orders/updated", checkout.cancel(there, order["id"]))
        else:
            control = httpx2.AsyncClient(base_url=f"{stand_in_url}/_control/{shop.merchant.shop_domain}")
            async with control:
                coat = {"lines": [[order["line_items"][0]["id"], 1]]}
                assert (await control.post(f"/orders/{order['id']}/refund", json=coat)).status_code == 200
                # Half of the 1,550 that the order had earned are gone, and half of the 500 that were spent on it are back.
                await until_balance(shop, customer, 1325)
                [mine] = (await shop.data(MINE, token=token))["redemptions"]["nodes"]
                assert (mine["status"], mine["pointsReturned"]) == ("USED", 250)
                rest = coat | {"shipping": True}
                assert (await control.post(f"/orders/{order['id']}/refund", json=rest)).status_code == 200
        await until_status(shop, taken_id, "returned")
        await until_balance(shop, customer, 800)
        await stand_in.deliveries.settled()
        assert (await shop.balance(customer.id))[0] == 800
        assert {one["status"] for one in stand_in.deliveries.sent} == {200}


DEATHS = {
    "while Shopify makes it": Fault("CodeBasic", "latency", latency_ms=300),
    "while Shopify fails": Fault("CodeBasic", "unavailable", latency_ms=300),
}


@pytest.mark.parametrize("death", DEATHS)
async def test_kill_9_between_hold_create_and_capture(shop: Shop, owner: Connection, death: str) -> None:
    customer = await rich(shop)
    reward = await offer(shop)
    async with beside(shop) as (application, stand_in, there):
        there.add_customer(customer.shopify_id)
        taken = await redeem(shop, customer, reward)
        application.start("workers")
        stand_in.faults.coming.append(replace(DEATHS[death]))

        async def called() -> bool:
            return there.calls.get("CodeBasic", 0) > 0

        # Nobody has told the workers of it: the sweeper finds it.
        await until(called)
        application.kill("workers")
        client = redis.asyncio.Redis.from_url(settings().redis_url)
        await client.flushdb()
        await client.aclose()
        application.start("workers")
        await leases_over(shop, owner)
        assert await until_status(shop, taken.id, "issued", "failed") == "issued"
        [discount] = there.discounts.values()
        assert (discount.code, discount.id) == (taken.code, (await state(shop, taken.id)).shopify_id)
        assert await shop.balance(customer.id) == (500, 0)
