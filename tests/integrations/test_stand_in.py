"""The stand-in's own doors: what is mistyped is told; webhooks come twice and in the wrong order when somebody asks for it."""

import json
from collections.abc import AsyncGenerator

import httpx2
import pytest

from local.shopify_stand_in.server import StandIn

SHOP = "one.myshopify.com"


@pytest.fixture
def received() -> list[int]:
    """The orders that webhooks told of, as they came."""
    return []


@pytest.fixture
async def stand_in(received: list[int]) -> AsyncGenerator[StandIn, None]:
    def take(request: httpx2.Request) -> httpx2.Response:
        received.append(json.loads(request.content)["id"])
        return httpx2.Response(200)

    application = httpx2.AsyncClient(transport=httpx2.MockTransport(take))
    stand_in = StandIn("client", "secret", application)
    plain = {"uri": "http://application/", "failures": 0, "format": "JSON", "filter": None, "includeFields": []}
    stand_in.shop(SHOP).subscriptions.append({"id": "1", "topic": "ORDERS_CREATE", **plain})
    yield stand_in
    await stand_in.deliveries.close()
    await application.aclose()


@pytest.fixture
async def doors(stand_in: StandIn) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stand_in.app()), base_url="http://stand-in") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (f"{SHOP}/checkout", "nonsense", "JSON is malformed"),
        (f"{SHOP}/checkout", "[]", "Expected `object`"),
        (f"{SHOP}/checkout", '{"customr": 1}', "customr: there are customer, lines, codes, reservation"),
        (f"{SHOP}/checkout", '{"customer": 1}', "missing required field `lines`"),
        (f"{SHOP}/checkout", '{"customer": 1, "lines": [[7, 1]]}', "There is no 7 here."),
        (f"{SHOP}/orders/99/refund", '{"lines": []}', "There is no 99 here."),
        (f"{SHOP}/orders/99/cancel", "{}", "There is no 99 here."),
        (f"{SHOP}/bucket", '{"rate": "many"}', "Expected `float`"),
        (f"{SHOP}/customers", '{"name": "Kim"}', "name"),
        ("faults", '{"operation": "CodeBasic", "kind": "lots"}', "Invalid enum value 'lots'"),
        ("deliveries", '{"copies": "two"}', "Expected `int`"),
    ],
)
async def test_what_is_mistyped_is_told(doors: httpx2.AsyncClient, path: str, body: str, told: str) -> None:
    answer = await doors.post(f"/_control/{path}", content=body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


async def test_webhooks_come_twice_and_the_last_first(stand_in: StandIn, doors: httpx2.AsyncClient, received: list[int]) -> None:
    async def buy() -> int:
        answer = await doors.post(f"/_control/{SHOP}/checkout", json={"customer": 1, "lines": [[632910392, 1]]})
        await stand_in.deliveries.settled()
        return answer.json()["id"]

    first = await buy()
    assert received == [first]
    await doors.post("/_control/deliveries", json={"copies": 2, "reorder": True})
    second, third = await buy(), await buy()
    assert received == [first]
    assert (await doors.post("/_control/deliveries", json={"copies": 1, "reorder": False})).json() == {
        "copies": 1,
        "reorder": False,
    }
    await stand_in.deliveries.settled()
    assert received == [first, third, third, second, second]
    assert await buy() == received[-1]
