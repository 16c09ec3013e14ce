"""Real PostgreSQL and Redis for every test: one fresh database per process that tests, one fresh merchant per test."""

import asyncio
import fcntl
import os
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import settings

from local import servers
from local.configuration import TEST_HOME

if TYPE_CHECKING:
    from tests.shop import Shop

ROOT = Path(__file__).parent.parent
CLIENT_ID = "test-client-id"
CLIENT_SECRET = "test-client-secret-0123456789abcdef"
PREVIOUS_SECRET = "test-previous-secret-0123456789abcd"

STILL = """
    do $$ declare one regclass; begin
        for one in select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
            execute format('alter table %s set (autovacuum_enabled = off)', one);
        end loop;
    end $$
"""
"""No statistics are gathered but by who asks for them, so that the planner's choices do not hang on when autovacuum came by."""

REDIS_DATABASES = range(1, 16)
"""A Redis has sixteen, and the first is left to who tries things by hand."""

_run: dict[str, str] = {}
"""Where the servers are, and the name of this run: its template's, with which the names of its other databases begin."""

_locks: list[IO[str]] = []
"""What holds this process's Redis database for as long as it lives."""


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and make this process's database, before any module of ours reads its settings.

    The history is applied once, to a template. With `-n` the process that distributes the tests makes it, and each of those
    that run them copies it: nothing of one process's tests is in the database or in the Redis database of another's.
    """
    if config.option.collectonly or config.option.help:
        return
    if config.getoption("--hypothesis-seed") is None:
        # The same draws in every run, and no deadlines: a busy machine is slow, and not wrong.
        settings.load_profile("ci")
    distributor: dict[str, Any] | None = getattr(config, "workerinput", None)
    if distributor is None:
        _begin()
        if config.getoption("tx", None):
            # The processes are yet to be started, and this one only distributes tests among them.
            return
    else:
        _run.update(distributor["loyalnest"])
    name = f"{_run['name']}_{'alone' if distributor is None else distributor['workerid']}"
    redis_url, lock = _take_redis()
    _locks.append(lock)
    os.environ.update(
        DATABASE_URL=_url(name),
        REDIS_URL=redis_url,
        LOYALNEST_ENVIRONMENT="development",
        LOYALNEST_DOCUMENTS="any",
        # Tests ask faster than any client may; those of the allowances have buckets of their own.
        LOYALNEST_COST_BUCKET="1000000000",
        LOYALNEST_COST_RESTORE_PER_S="1000000000",
        LOYALNEST_TOKEN_SECRET=secrets.token_hex(32),
        LOYALNEST_MASTER_KEY=b64encode(secrets.token_bytes(32)).decode(),
        LOYALNEST_SHOPIFY_CLIENT_ID=CLIENT_ID,
        LOYALNEST_SHOPIFY_CLIENT_SECRET=CLIENT_SECRET,
        LOYALNEST_SHOPIFY_CLIENT_SECRET_PREVIOUS=PREVIOUS_SECRET,
        LOYALNEST_SHOPIFY_URL="http://shopify.test/{shop}",
        LOYALNEST_PUBLIC_URL="http://loyalnest.test",
    )
    _copy_template(name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that is about to run tests where the servers and the template are."""
    node.workerinput["loyalnest"] = _run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with real processes first: their workers work off what is due at any merchant, and other tests leave thousands."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drop this run's databases, also of a process that was killed; the servers stay for the next run."""
    if _run and not hasattr(config, "workerinput"):
        asyncio.run(_drop_all(_run["name"]))
        _run.clear()


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a database without anything of other tests, for processes that work off all that is there."""
    name = f"{os.environ['DATABASE_URL'].rpartition('/')[2]}_{secrets.token_hex(3)}"
    _copy_template(name)
    yield _url(name)
    asyncio.run(_execute(_run["database_url"], _dropping(name)))


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The address of a Redis database beside the process's own, without the messages that other tests leave there."""
    url, lock = _take_redis()
    with lock:
        yield url


def _begin() -> None:
    """Start the servers and make the template."""
    running = servers.ensure(TEST_HOME)
    name = f"loyalnest_test_{os.getpid()}_{secrets.token_hex(3)}"
    _run.update(database_url=running.database_url, redis_url=running.redis_url, name=name)
    asyncio.run(_execute(running.database_url, f"create database {name}"))
    # By a process of its own, because Piccolo's engine belongs to one database for as long as a process lives.
    migrated = subprocess.run(
        [sys.executable, "-m", "migrations.run"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": _url(name)},
        check=False,
        capture_output=True,
    )
    assert migrated.returncode == 0, migrated.stderr.decode()
    asyncio.run(_execute(_url(name), STILL))


def _url(name: str) -> str:
    return f"{_run['database_url'].rpartition('/')[0]}/{name}"


def _copy_template(name: str) -> None:
    asyncio.run(_execute(_run["database_url"], f"create database {name} template {_run['name']}"))


def _take_redis() -> tuple[str, IO[str]]:
    """The address of a Redis database that no other process of this checkout tests with, as long as the lock is open."""
    TEST_HOME.mkdir(parents=True, exist_ok=True)
    # In any order, because runs of another checkout may use the same Redis, and they see other locks.
    for number in secrets.SystemRandom().sample(REDIS_DATABASES, len(REDIS_DATABASES)):
        lock = (TEST_HOME / f"redis-{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return f"{_run['redis_url'].rpartition('/')[0]}/{number}", lock
    raise pytest.UsageError("Other test runs hold all databases of Redis. Wait until one of them ends.")


async def _drop_all(name: str) -> None:
    connection = await asyncpg.connect(_run["database_url"])
    try:
        for (one,) in await connection.fetch("select datname from pg_database where starts_with(datname, $1)", name):
            await connection.execute(_dropping(one))
    finally:
        await connection.close()


def _dropping(name: str) -> str:
    return f"drop database if exists {name} with (force)"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def application() -> AsyncGenerator[object, None]:
    """The application in this process, started as a server starts it; its pool is the tests' pool."""
    from api.app import create_app  # noqa: PLC0415 -- the settings are read at import, and made in pytest_configure

    app = create_app()
    ready, done = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # The application's life begins and ends in one task, as its task group demands; a fixture's two halves are two.
        async with app.lifespan():
            ready.set()
            await done.wait()

    life = asyncio.create_task(live())
    await ready.wait()
    yield app
    done.set()
    await life


@pytest.fixture
async def owner() -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]", None]:
    """A connection as the owner of the tables, to look at the catalog and to tamper with rows."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def shop(application: object) -> "Shop":
    """A fresh merchant in US dollars, without a program."""
    from tests.shop import open_shop  # noqa: PLC0415 -- see application

    return await open_shop(application)


@pytest.fixture
async def other_shop(application: object) -> "Shop":
    """Another merchant, to whom nothing of `shop` may show."""
    from tests.shop import open_shop  # noqa: PLC0415 -- see application

    return await open_shop(application)
