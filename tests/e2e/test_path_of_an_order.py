"""From a signed webhook to an open subscription, through real processes, and what survives when they are killed."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis.asyncio

from domain.settings import settings
from tests.e2e.processes import PATIENCE_S, Running, Socket, running
from tests.shop import Shop, order, rate

BALANCE = """
    subscription($since: Points) {
        balanceUpdated(since: $since) { version pointsBalance pointsPending pointsTransaction { points source sourceId } }
    }
"""


@pytest.fixture
def application_processes() -> Iterator[Running]:
    with running() as application:
        application.start("api")
        application.start("workers")
        yield application


async def send(application: Running, shop: Shop, topic: str, payload: dict[str, Any], **options: Any) -> str:
    body = json.dumps(payload).encode()
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{application.url}/webhooks/shopify", content=body, headers=shop.webhook_headers(topic, body, **options)
        )
    assert response.status_code == 200, response.text
    return response.json()["status"]


async def test_the_hundred_dollar_order_arrives_as_a_thousand_points(shop: Shop, application_processes: Running) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    token = shop.customer_token(customer.id)
    await application_processes.ready()
    async with Socket(application_processes.url, token, BALANCE) as socket:
        assert await socket.next() == {
            "balanceUpdated": {"version": 0, "pointsBalance": 0, "pointsPending": 0, "pointsTransaction": None}
        }
        payload = order(customer=customer.shopify_id)
        assert await send(application_processes, shop, "orders/create", payload, webhook_id="w-1") == "accepted"
        assert await send(application_processes, shop, "orders/create", payload, webhook_id="w-1") == "duplicate"
        assert await socket.next() == {
            "balanceUpdated": {
                "version": 1,
                "pointsBalance": 1000,
                "pointsPending": 0,
                "pointsTransaction": {"points": 1000, "source": "order", "sourceId": str(payload["id"])},
            }
        }
    # Who was away gets every change behind the version that they have seen.
    async with Socket(application_processes.url, token, BALANCE, since=0) as socket:
        assert (await socket.next())["balanceUpdated"]["version"] == 1


async def test_nothing_is_lost_when_workers_die_and_redis_forgets(shop: Shop, application_processes: Running) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await application_processes.ready()
    client = redis.asyncio.Redis.from_url(settings().redis_url)
    count = 60
    try:
        async with Socket(application_processes.url, shop.customer_token(customer.id), BALANCE) as socket:
            await socket.next()

            async def orders_() -> None:
                for number in range(count):
                    await send(application_processes, shop, "orders/create", order(customer=customer.shopify_id))
                    if number in (20, 40):
                        application_processes.kill("workers")
                        await client.flushdb()
                        application_processes.start("workers")

            sending = asyncio.create_task(orders_())
            versions: list[int] = []
            async with asyncio.timeout(PATIENCE_S):
                while len(versions) < count:
                    update = (await socket.next())["balanceUpdated"]
                    versions.append(update["version"])
                    assert update["pointsBalance"] == 1000 * update["version"]
            await sending
        assert versions == list(range(1, count + 1))
    finally:
        await client.aclose()
    assert await shop.balance(customer.id) == (1000 * count, 0)


async def test_a_killed_api_loses_no_answered_delivery_and_clients_catch_up(shop: Shop, application_processes: Running) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    token = shop.customer_token(customer.id)
    await application_processes.ready()
    async with Socket(application_processes.url, token, BALANCE) as socket:
        await socket.next()
        for _ in range(5):
            await send(application_processes, shop, "orders/create", order(customer=customer.shopify_id))
        seen = (await socket.next())["balanceUpdated"]["version"]
        application_processes.kill("api")
    application_processes.start("api")
    await application_processes.ready()
    await send(application_processes, shop, "orders/create", order(customer=customer.shopify_id))
    async with Socket(application_processes.url, token, BALANCE, since=seen) as socket:
        for expected in range(seen + 1, 7):
            assert (await socket.next())["balanceUpdated"]["version"] == expected
    assert await shop.balance(customer.id) == (6000, 0)
