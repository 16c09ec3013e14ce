"""What the benchmarks stand on: servers of their own, a fresh database, and the application's real processes."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from local import servers
from migrations.run import migrate

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".loyalnest" / "bench"
DATABASE = "loyalnest_bench"
READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Stand:
    """A fresh, migrated database. `database_url` is the owner's; the application takes on its own role."""

    database_url: str
    redis_url: str


@contextmanager
def stand() -> Generator[Stand, None, None]:
    """Start the servers, make and migrate the database, and give this process the application's environment.

    The data lives in .loyalnest/bench, apart from all other; DATABASE_URL and REDIS_URL name servers to use instead.
    """
    with servers.borrowed(HOME) as found:
        database_url = asyncio.run(_fresh_database(found.database_url))
        os.environ.update(
            {
                "DATABASE_URL": database_url,
                "REDIS_URL": found.redis_url,
                "LOYALNEST_ENVIRONMENT": "development",
                "LOYALNEST_DOCUMENTS": "any",
                # A bench asks faster than any client may; benches/doors.py measures what the allowances cost.
                "LOYALNEST_COST_BUCKET": "1000000000",
                "LOYALNEST_COST_RESTORE_PER_S": "1000000000",
                "LOYALNEST_TOKEN_SECRET": secrets.token_urlsafe(48),
                "LOYALNEST_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                "LOYALNEST_SHOPIFY_CLIENT_ID": secrets.token_hex(16),
                "LOYALNEST_SHOPIFY_CLIENT_SECRET": secrets.token_hex(16),
            }
        )
        asyncio.run(migrate(database_url))
        try:
            yield Stand(database_url, found.redis_url)
        finally:
            asyncio.run(_drop_database(found.database_url))


async def _fresh_database(server_url: str) -> str:
    await _drop_database(server_url)
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"create database {DATABASE}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{DATABASE}"))


async def _drop_database(server_url: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        # Only our own connections: a database's owner may not end an autovacuum worker, and DROP does that by itself.
        await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = current_user", DATABASE
        )
        await connection.execute(f"drop database if exists {DATABASE}")
    finally:
        await connection.close()


@contextmanager
def program(*module: str, port: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process of `python -m module …` for as long as the block runs; its log stands in .loyalnest/bench/logs."""
    log = HOME / "logs" / f"{module[0]}.log"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | ({} if port is None else {"LOYALNEST_PORT": str(port)})
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{module[0]} ended by itself with exit code {process.returncode}; its log is {log}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(first: int) -> int:
    """The first free port from `first` on."""
    return next(port for port in range(first, first + 200) if servers.port_is_free(port))


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the process listens on the port. Raises RuntimeError when it ends or takes longer than 90 s."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}; the logs are in {HOME / 'logs'}")


def cpu_seconds(pid: int) -> float:
    """The processor time, user and system, that a process and its threads have used; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
