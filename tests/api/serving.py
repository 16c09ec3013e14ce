"""The application behind a real port, in this process, where a test can see what its sockets leave behind."""

import asyncio
import json
import socket as sockets
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import websockets

from api.process import Process
from domain import db

PATIENCE_S = 120
"""How long a wait may take before a test fails: no test measures time, it only must end."""
PROTOCOL = [websockets.Subprotocol("graphql-transport-ws")]
BUFFER = 8 * 1024
"""What the kernel holds for a peer that does not read, on either side: little, so that a test need not send much."""

Client = websockets.ClientConnection


class Serving:
    """A server, and what is going on in it."""

    def __init__(self, application: Any, server: uvicorn.Server, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/graphql"
        self.process: Process = application.state.process
        self._server = server
        self._port = port

    def unsent(self) -> list[int]:
        """How many bytes wait in this process for each client."""
        return [one.transport.get_write_buffer_size() for one in self._server.server_state.connections]

    async def admitted(self, token: str, **payload: str) -> Client:
        """A client whose credential was taken. payload: what the first message says besides."""
        own = sockets.socket()
        own.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, BUFFER)
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", self._port))
        client = await websockets.connect(self.url, sock=own, subprotocols=PROTOCOL, max_size=None, compression=None)
        await say(client, type="connection_init", payload={"authorization": f"Bearer {token}", **payload})
        assert (await heard(client))["type"] == "connection_ack"
        return client

    async def quiet(self, tasks: Counter[str]) -> None:
        """Wait until nothing is left of any socket: no listener, no count, no connection of the pool, no task but these."""
        pool = db.database()
        await until(
            lambda: (
                not self.process.sockets.open
                and not self.process.doorbell.count()
                and pool.idle_count()[0] == pool.idle_count()[1]
                and not running() - tasks
            )
        )


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def running() -> Counter[str]:
    """The tasks of this process but the one that asks, by what they run."""
    return Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks() - {asyncio.current_task()})  # type: ignore[union-attr]


async def say(client: Client, **message: Any) -> None:
    """Send one message of the protocol."""
    await client.send(json.dumps(message))


async def heard(client: Client) -> Any:
    """The next message of the protocol."""
    async with asyncio.timeout(PATIENCE_S):
        return json.loads(await client.recv())


@asynccontextmanager
async def serving(application: Any) -> AsyncGenerator[Serving, None]:
    """Serve the application, which has begun its life already, as `python -m api` does."""
    with sockets.create_server(("127.0.0.1", 0), backlog=1_024) as listening:
        # Whoever is accepted inherits it.
        listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, BUFFER)
        config = uvicorn.Config(application, ws="websockets", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        # The test's own signals stay the test's.
        task = asyncio.create_task(server._serve([listening]))
        await until(lambda: server.started)
        try:
            yield Serving(application, server, listening.getsockname()[1])
        finally:
            server.should_exit = True
            await task
