"""A sandbox's clock through real processes: the subscription tells of points that mature because time was moved on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets

from tests.e2e.processes import Running, Socket, running
from tests.shop import Shop, open_shop, order, rate

BALANCE = "subscription { balanceUpdated { version pointsBalance pointsPending pointsTransaction { occurredAt } } }"
ADVANCE = "mutation ($days: Int!) { sandboxClockAdvance(days: $days) { userErrors { code } } }"
NOW = "{ merchant { now } }"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def processes() -> Iterator[Running]:
    with running() as application:
        application.start("api")
        application.start("workers")
        yield application


@pytest.fixture
async def sandbox(application: object) -> Shop:
    return await open_shop(application, sandbox=True)


async def advance(processes: Running, shop: Shop, days: int) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{processes.url}/graphql",
            json={"query": ADVANCE, "variables": {"days": days}},
            headers={"authorization": f"Bearer {shop.staff_token()}"},
        )
    assert response.json() == {"data": {"sandboxClockAdvance": {"userErrors": []}}}


async def test_a_hold_of_two_weeks_passes_in_a_moment(sandbox: Shop, processes: Running) -> None:
    await sandbox.publish(rate(10, hold_days=14))
    customer = await sandbox.customer()
    await processes.ready()
    began = datetime.now(UTC)
    async with Socket(processes.url, sandbox.customer_token(customer.id), BALANCE) as socket:
        assert (await socket.next())["balanceUpdated"]["version"] == 0
        body = json.dumps(
            order(customer=customer.shopify_id, created_at=began.isoformat(), updated_at=began.isoformat())
        ).encode()
        async with httpx.AsyncClient() as client:
            headers = sandbox.webhook_headers("orders/create", body)
            assert (await client.post(f"{processes.url}/webhooks/shopify", content=body, headers=headers)).status_code == 200
        held = (await socket.next())["balanceUpdated"]
        assert (held["version"], held["pointsBalance"], held["pointsPending"]) == (1, 0, 1000)
        await advance(processes, sandbox, 13)
        await advance(processes, sandbox, 1)
        free = (await socket.next())["balanceUpdated"]
        assert (free["version"], free["pointsBalance"], free["pointsPending"]) == (2, 1000, 0)
        at = datetime.fromisoformat(free["pointsTransaction"]["occurredAt"])
        assert began + 14 * DAY <= at <= datetime.now(UTC) + 14 * DAY
    assert await sandbox.balance(customer.id) == (1000, 0)


async def test_an_open_socket_follows_the_clock(sandbox: Shop, processes: Running) -> None:
    await processes.ready()
    url = processes.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:

        async def ask(number: int) -> datetime:
            await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": {"query": NOW}}))
            answer: Any = json.loads(await socket.recv())
            assert json.loads(await socket.recv())["type"] == "complete"
            return datetime.fromisoformat(answer["payload"]["data"]["merchant"]["now"])

        payload = {"authorization": f"Bearer {sandbox.staff_token()}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        await socket.recv()
        for number, (days, ahead) in enumerate(((0, 0), (50, 50), (350, 400))):
            if days:
                await advance(processes, sandbox, days)
            before = datetime.now(UTC)
            shown = await ask(number)
            assert before + ahead * DAY <= shown <= datetime.now(UTC) + ahead * DAY
