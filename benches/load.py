"""A load generator in a process of its own: `python -m benches.load PORT FILE --connections N --seconds S`.

FILE holds the raw HTTP requests as a JSON list of texts. Every connection sends one, waits for the whole answer, and sends
another. It prints one line of JSON: how many answers came, in how many seconds, and the delays' percentiles in milliseconds.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from array import array
from pathlib import Path
from typing import cast

import uvloop

from benches.report import percentile

PATIENCE_S = 20


class Connection(asyncio.Protocol):
    """One connection that is never idle."""

    def __init__(self, requests: list[bytes], ends: float, ended: "asyncio.Future[None]") -> None:
        self.requests = requests
        self.ends = ends
        self.ended = ended
        self.delays_ms = array("d")
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are asyncio's in all but their class.
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; after the last part, send again."""
        self.received += data
        head_length = self.received.find(b"\r\n\r\n") + 4
        if head_length < 4:
            return
        head = self.received[:head_length].lower()
        begin = head.index(b"content-length:") + 15
        length = int(head[begin : head.index(b"\r\n", begin)])
        if len(self.received) < head_length + length:
            return
        body = self.received[head_length:]
        if not head.startswith(b"http/1.1 200 ") or b'"customer":{"pointsBalance":' not in body:
            self.transport.abort()
            if not self.ended.done():
                self.ended.set_exception(RuntimeError(f"a wrong answer: {self.received[:500]!r}"))
            return
        now = time.perf_counter()
        self.delays_ms.append((now - self.sent_at) * 1000)
        self.received = b""
        if now < self.ends:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, in order or not."""
        if not self.ended.done():
            if time.perf_counter() < self.ends:
                self.ended.set_exception(exc or ConnectionError("the server has closed the connection"))
            else:
                self.ended.set_result(None)

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(random.choice(self.requests))


async def _load(given: argparse.Namespace) -> None:
    requests = [text.encode() for text in json.loads(given.file.read_text())]
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    ends = began + given.seconds
    opened: list[Connection] = []
    for _ in range(given.connections):
        connection = Connection(requests, ends, loop.create_future())
        opened.append(connection)
        await loop.create_connection(lambda connection=connection: connection, "127.0.0.1", given.port)
    async with asyncio.timeout(given.seconds + PATIENCE_S):
        await asyncio.gather(*(connection.ended for connection in opened))
    delays_ms = [delay for connection in opened for delay in connection.delays_ms]
    told = {
        "answers": len(delays_ms),
        "seconds": time.perf_counter() - began,
        "p50_ms": percentile(delays_ms, 0.5),
        "p99_ms": percentile(delays_ms, 0.99),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    """Run as a child of the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    uvloop.run(_load(parser.parse_args()))


if __name__ == "__main__":
    main()
