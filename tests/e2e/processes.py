"""Real processes of the application, on the tests' database, to be killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import websockets

from tests.conftest import ROOT

SEED = """
import asyncio, json, os, sys
from local.seed import seed
print(json.dumps(asyncio.run(seed(os.environ["DATABASE_URL"], sys.argv[1]))))
"""

PATIENCE_S = 120
"""How long a wait may take before a test fails: no test measures time, it only must end."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Running:
    """The API and its workers."""

    port: int
    environment: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    logs: Path | None = None
    """Where what they say is written, a file for each; without it they say it to whoever runs the tests."""

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    def seed(self) -> str:
        """Make the demo merchants, and return what `./dev.sh up` writes into demo.json."""
        seeded = [sys.executable, "-c", SEED, self.url]
        return subprocess.check_output(seeded, cwd=ROOT, env=self.environment, text=True)

    def start(self, module: str) -> None:
        """Start `python -m module`."""
        with ExitStack() as opened:
            log = None if self.logs is None else opened.enter_context((self.logs / f"{module}.log").open("ab"))
            self.processes[module] = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def kill(self, module: str) -> None:
        """Kill it as a power cut would."""
        process = self.processes.pop(module)
        process.send_signal(signal.SIGKILL)
        process.wait()

    async def ready(self) -> None:
        """Wait until the API answers."""
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
            while True:
                for module, process in self.processes.items():
                    assert process.poll() is None, f"python -m {module} ended with {process.returncode}"
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)


@contextmanager
def running() -> Iterator[Running]:
    """Nothing runs yet; all that was started is killed at the end."""
    port = free_port()
    application = Running(port, {**os.environ, "LOYALNEST_PORT": str(port)})
    try:
        yield application
    finally:
        for module in list(application.processes):
            application.kill(module)


class Socket:
    """A client of graphql-transport-ws with one subscription."""

    def __init__(self, url: str, token: str, query: str, **variables: Any) -> None:
        self._url = url.replace("http", "ws", 1) + "/graphql"
        self._token = token
        self._payload = {"query": query, "variables": variables}

    async def __aenter__(self) -> Self:
        self._socket = await websockets.connect(self._url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")])
        await self._send({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
        assert (await self.receive())["type"] == "connection_ack"
        await self._send({"id": "1", "type": "subscribe", "payload": self._payload})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def next(self) -> dict[str, Any]:
        """The data of the next event."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def _send(self, message: Any) -> None:
        await self._socket.send(msgspec.json.encode(message).decode())

    async def receive(self) -> Any:
        """The next message of the protocol."""
        async with asyncio.timeout(PATIENCE_S):
            return msgspec.json.decode(await self._socket.recv())
