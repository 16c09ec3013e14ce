"""The websocket: junk closes it with the protocol's own codes, and a credential that ends closes it too."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import websockets

from tests.e2e.processes import PATIENCE_S, Running, Socket, running
from tests.shop import Shop, rate


@pytest.fixture(scope="module")
def api() -> Iterator[Running]:
    with running() as application:
        application.start("api")
        yield application


async def closed_by(
    api: Running, *messages: str | bytes, token: str | None = None, protocol: str = "graphql-transport-ws"
) -> int:
    """Send messages and return the code with which the server closes."""
    await api.ready()
    url = api.url.replace("http", "ws", 1) + "/graphql"
    async with asyncio.timeout(PATIENCE_S), websockets.connect(url, subprotocols=[websockets.Subprotocol(protocol)]) as socket:
        if token:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
        for message in messages:
            await socket.send(message)
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "1",
        '"a"',
        "[]",
        "{}",
        "{",
        "[" * 10_000,
        '{"type": 1}',
        '{"type": "nonsense"}',
        '{"type": "complete"}',
        b"\x00\xff",
    ],
)
async def test_junk_closes_with_4400(api: Running, message: str | bytes) -> None:
    assert await closed_by(api, message) == 4400


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe"},
        {"type": "subscribe", "id": 1, "payload": {"query": "{ program { id } }"}},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ program { id } }", "variables": []}},
        {"type": "subscribe", "id": "1", "payload": None},
    ],
)
async def test_a_junk_operation_closes_with_4400(api: Running, shop: Shop, message: dict[str, Any]) -> None:
    assert await closed_by(api, json.dumps(message), token=shop.staff_token()) == 4400


async def test_who_shows_no_valid_credential_is_closed_out(api: Running) -> None:
    for payload in ({}, {"authorization": "Bearer nonsense"}, {"authorization": 1}):
        assert await closed_by(api, json.dumps({"type": "connection_init", "payload": payload})) == 4403
    operation = {"type": "subscribe", "id": "1", "payload": {"query": "{ program { id } }"}}
    assert await closed_by(api, json.dumps(operation)) == 4401


async def test_a_frame_that_is_too_large_is_refused(api: Running) -> None:
    assert await closed_by(api, "x" * (64 * 1024 + 1)) == 1009


async def test_the_socket_ends_with_its_credential(api: Running, shop: Shop) -> None:
    customer = await shop.customer()
    token = shop.customer_token(customer.id, timedelta(seconds=1))
    assert await closed_by(api, token=token) == 4401


async def test_queries_and_commands_over_a_socket_see_their_own_time(api: Running, shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await api.ready()
    query = "query($id: ID!) { customer(id: $id) { pointsBalance } }"
    adjust = """mutation($id: ID!, $key: String!) {
        pointsAdjust(customerId: $id, points: 5, reason: "gift", idempotencyKey: $key) { userErrors { code } }
    }"""
    identifier = f"gid://loyalnest/Customer/{customer.id}"
    url = api.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:

        async def ask(number: str, document: str, **variables: str) -> Any:
            payload = {"query": document, "variables": variables}
            await socket.send(json.dumps({"type": "subscribe", "id": number, "payload": payload}))
            answer = json.loads(await socket.recv())
            assert json.loads(await socket.recv())["type"] == "complete"
            return answer["payload"]["data"]

        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {shop.staff_token()}"}}
        await socket.send(json.dumps(init))
        await socket.recv()
        assert await ask("1", query, id=identifier) == {"customer": {"pointsBalance": 0}}
        assert await ask("2", adjust, id=identifier, key="k") == {"pointsAdjust": {"userErrors": []}}
        assert await ask("3", query, id=identifier) == {"customer": {"pointsBalance": 5}}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ('subscription { balanceUpdated(customerId: "x") { version } }', "NOT_FOUND"),
        ("subscription { nothing }", "BAD_INPUT"),
        ("subscription {", "BAD_INPUT"),
    ],
)
async def test_errors_over_a_socket_are_coded(api: Running, shop: Shop, document: str, code: str) -> None:
    await api.ready()
    async with Socket(api.url, shop.staff_token(), document) as socket:
        message = await socket.receive()
    # What cannot begin is an error message; what fails as it begins is a first event with errors.
    errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    assert [error["extensions"]["code"] for error in errors] == [code]
