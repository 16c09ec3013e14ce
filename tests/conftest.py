"""Real PostgreSQL and Redis for every test: one fresh database per run, one fresh merchant per test."""

import asyncio
import os
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import settings

from local import servers

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

_made: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and make this run's database, before any module of ours reads its settings."""
    if config.option.collectonly or config.option.help:
        return
    if config.getoption("--hypothesis-seed") is None:
        # The same draws in every run, and no deadlines: a busy machine is slow, and not wrong.
        settings.load_profile("ci")
    running = servers.ensure(ROOT / ".loyalnest" / "test")
    _made.update(server=running.database_url, name=f"loyalnest_test_{os.getpid()}_{secrets.token_hex(3)}")
    os.environ.update(
        DATABASE_URL=f"{running.database_url.rpartition('/')[0]}/{_made['name']}",
        # A database of its own there too, so that the workers of two runs do not take each other's messages.
        REDIS_URL=f"{running.redis_url.rpartition('/')[0]}/{1 + secrets.randbelow(15)}",
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
    _make(os.environ["DATABASE_URL"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with real processes first: their workers work off what is due at any merchant, and other tests leave thousands."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def pytest_unconfigure() -> None:
    """Drop this run's database; the servers stay for the next run."""
    if _made:
        _drop(_made["name"])
        _made.clear()


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a database without anything of other tests, for processes that work off all that is there."""
    url = f"{os.environ['DATABASE_URL']}_{secrets.token_hex(3)}"
    _make(url)
    yield url
    _drop(url.rpartition("/")[2])


def _make(url: str) -> None:
    asyncio.run(_execute(_made["server"], f"create database {url.rpartition('/')[2]}"))
    # By a process of its own, because Piccolo's engine belongs to one database for as long as a process lives.
    migrated = subprocess.run(
        [sys.executable, "-m", "migrations.run"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        check=False,
        capture_output=True,
    )
    assert migrated.returncode == 0, migrated.stderr.decode()
    asyncio.run(_execute(url, STILL))


def _drop(name: str) -> None:
    asyncio.run(_execute(_made["server"], f"drop database if exists {name} with (force)"))


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
