"""How many sockets there may be, how long one may wait with its credential, and which protocol it may speak."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
import websockets

from api import sockets as api_sockets
from api.socket import GraphQLSocket
from tests.api.serving import PATIENCE_S, PROTOCOL, Serving, heard, running, say, serving, until
from tests.shop import Shop

# uvicorn announces another implementation: api/__main__.py says why it has to wait.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
async def served(application: Any) -> AsyncGenerator[Serving, None]:
    async with serving(application) as server:
        yield server


async def test_strangers_from_one_address_are_few_and_make_room_when_they_go(
    served: Serving, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_sockets, "WAITING_MAX", 3)
    before = running()
    async with AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(websockets.connect(served.url, subprotocols=PROTOCOL)) for _ in range(3)]
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(served.url, subprotocols=PROTOCOL)
        assert refused.value.response.status_code == 403
        # Who shows a credential waits no longer, and so does who goes.
        await say(waiting[0], type="connection_init", payload={"authorization": f"Bearer {shop.staff_token()}"})
        assert (await heard(waiting[0]))["type"] == "connection_ack"
        await waiting[1].close()
        await until(lambda: served.process.sockets.open == 2)
        for _ in range(2):
            await stack.enter_async_context(websockets.connect(served.url, subprotocols=PROTOCOL))
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(served.url, subprotocols=PROTOCOL)
    await served.quiet(before)


async def test_a_process_is_full_at_some_time(served: Serving, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_sockets, "OPEN_MAX", 2)
    clients = [await served.admitted(shop.staff_token()) for _ in range(2)]
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(served.url, subprotocols=PROTOCOL)
    for client in clients:
        await client.close()
    await until(lambda: not served.process.sockets.open)
    await (await served.admitted(shop.staff_token())).close()


async def test_a_credential_has_so_many_sockets(served: Serving, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_sockets, "CREDENTIAL_MAX", 2)
    customer, other = await shop.customer(), await shop.customer()
    clients = [await served.admitted(shop.customer_token(customer.id)) for _ in range(2)]
    assert await closed_with(served, f"Bearer {shop.customer_token(customer.id)}") > 4000
    # Another credential's are not counted with them.
    clients.append(await served.admitted(shop.customer_token(other.id)))
    await clients[0].close()
    await until(lambda: served.process.sockets.open == 2)
    clients.append(await served.admitted(shop.customer_token(customer.id)))
    for client in clients:
        await client.close()


async def closed_with(served: Serving, authorization: str) -> int | None:
    """The code with which a socket of this credential is closed."""
    async with asyncio.timeout(PATIENCE_S), websockets.connect(served.url, subprotocols=PROTOCOL) as client:
        await say(client, type="connection_init", payload={"authorization": authorization})
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        return client.close_code


async def test_who_shows_nothing_is_closed(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    assert GraphQLSocket.connection_init_wait_timeout <= timedelta(seconds=5)
    monkeypatch.setattr(GraphQLSocket, "connection_init_wait_timeout", timedelta(milliseconds=50))
    before = running()
    async with asyncio.timeout(PATIENCE_S), websockets.connect(served.url, subprotocols=PROTOCOL) as client:
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == 4408
    await served.quiet(before)


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["soap"], None])
async def test_another_protocol_gets_nowhere(served: Serving, protocols: Any) -> None:
    """The older protocol's handler let operations in before anything was checked (CVE-2026-35526)."""
    async with asyncio.timeout(PATIENCE_S), websockets.connect(served.url, subprotocols=protocols) as client:
        # Whatever it would say: it is not asked.
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == 4406
    await until(lambda: not served.process.sockets.open)
