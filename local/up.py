"""`up`: everything started in order, watched, and ended without leaving anything behind."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import NoReturn

import asyncpg

from local import servers
from local.configuration import DEMO, LOGS, environment, write_private
from local.errors import LocalError
from local.prepare import HOME, PYTHON
from local.processes import Program, Supervisor
from local.running import DEFAULT_PORT, READY_TIMEOUT_SECONDS, answers, show_running, supervisor_lock
from local.screen import say, show_ready
from local.seed import seed
from local.state import State, end_leftovers, forget_state, mark, write_state
from migrations.run import migrate

PORTS_TRIED = 20
DEATHS_BEFORE_READY = 3

PROGRAMS = (
    Program("api", (str(PYTHON), "-m", "api")),
    Program("workers", (str(PYTHON), "-m", "workers", "--queue", "work")),
    # What waits for Shopify waits by itself.
    Program("shopify", (str(PYTHON), "-m", "workers", "--queue", "shopify")),
)


def up(port: int | None) -> None:
    """Start everything, show where it is, and stay until Ctrl-C, SIGTERM or the end of the terminal.

    Raises LocalError when a part does not come up; what had been started is stopped again.
    """
    with supervisor_lock() as ours:
        if not ours:
            show_running(port)
            return
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        for name in end_leftovers():
            say(f"ended {name}, which an earlier run had left behind")
        port = _choose_port(port)
        base_url = f"http://127.0.0.1:{port}"
        # Said before anything is started, so that ./dev.sh down finds this process from the beginning.
        write_state(State(mark(os.getpid()), {}, base_url, ready=False))
        given = dict(os.environ)
        try:
            with servers.borrowed(HOME, given) as found:
                say("PostgreSQL and Redis answer")
                os.environ.update(environment(found, port))
                asyncio.run(_bring_up_to_date(found.database_url, base_url))
                asyncio.run(_supervise(base_url, given))
        except KeyboardInterrupt:
            pass
        finally:
            forget_state()
        say("stopped")


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _choose_port(wanted: int | None) -> int:
    if wanted is not None:
        if not servers.port_is_free(wanted):
            raise LocalError(f"Port {wanted} is taken by another program. Choose another by --port.")
        return wanted
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        if servers.port_is_free(port):
            if port != DEFAULT_PORT:
                say(f"port {DEFAULT_PORT} is taken by another program, so this is port {port}")
            return port
    last = DEFAULT_PORT + PORTS_TRIED - 1
    raise LocalError(f"The ports {DEFAULT_PORT} to {last} are all taken. Choose another by --port.")


async def _bring_up_to_date(database_url: str, base_url: str) -> None:
    try:
        applied = await migrate(database_url)
    except (RuntimeError, OSError, asyncpg.PostgresError) as error:
        raise LocalError(f"The database could not be migrated ({type(error).__name__}: {error}).") from error
    say(f"migrated: {', '.join(applied)}" if applied else "the database is up to date")
    write_private(DEMO, await seed(database_url, base_url))
    say("the demo merchants are there")


async def _supervise(base_url: str, given: Mapping[str, str]) -> None:
    supervisor = Supervisor(PROGRAMS, os.environ, base_url)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stopping.set)
    running = asyncio.create_task(supervisor.run())
    keeping = asyncio.create_task(_keep_servers(given))
    try:
        await _ready(supervisor)
        if not supervisor.stopping.is_set():
            supervisor.say_ready()
            show_ready(base_url, in_foreground=True)
    finally:
        if not supervisor.ready:
            supervisor.stopping.set()
        await running
        keeping.cancel()


async def _keep_servers(given: Mapping[str, str]) -> None:
    """Start a server of ours again when it was killed, as the API and the workers are started again."""
    while True:
        await asyncio.sleep(1)
        gone = servers.missing(HOME, given)
        if not gone:
            continue
        say(f"{' and '.join(gone)} went away; starting again")
        try:
            await asyncio.to_thread(servers.ensure, HOME, given)
        except LocalError as error:
            say(str(error))


async def _ready(supervisor: Supervisor) -> None:
    """Return when the API answers, or when everything is being stopped."""
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not supervisor.stopping.is_set():
        if await asyncio.to_thread(answers, f"{supervisor.base_url}/health/ready"):
            return
        for name, deaths in supervisor.deaths.items():
            if deaths >= DEATHS_BEFORE_READY:
                raise LocalError(f"The process {name} does not stay up. What it said is above and in {LOGS / name}.log.")
        if time.monotonic() > deadline:
            raise LocalError(f"The API did not get ready within {READY_TIMEOUT_SECONDS} s. See {LOGS}.")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(supervisor.stopping.wait(), 0.05)
