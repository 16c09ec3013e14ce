"""The one way to the database: a connection that belongs to one merchant while it is held.

Row-level security compares `merchant_id` with the setting `app.merchant`. The setting is made by `TenantConnection.use`
and nowhere else; docs/adr/0002 says why it is set when a connection changes hands and not once per transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from piccolo.engine.postgres import PostgresEngine

from domain.scope import Scope

APPLICATION_ROLE = "loyalnest_app"
DISPATCHER_ROLE = "loyalnest_dispatcher"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Collision(Exception):
    """Another transaction did the same thing at the same time and was first: this one is to be run again."""


class TenantConnection(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument] -- not subscriptable at run time
    """A connection that knows which merchant's rows it can see."""

    __slots__ = ("merchant_id",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.merchant_id: UUID | None = None

    async def use(self, merchant_id: UUID) -> None:
        """Show this merchant's rows and nobody else's. Must not be called inside a transaction."""
        if self.merchant_id == merchant_id:
            return
        # Unknown until the server has answered: a cancelled or failed statement must never leave a stale claim.
        self.merchant_id = None
        await self.execute(f"set app.merchant = '{merchant_id}'")
        self.merchant_id = merchant_id


class Database:
    """A pool of connections under the application role, with a gate that serves waiting tasks in their order."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._gate = asyncio.Semaphore(size)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=min(2, self._size),
            max_size=self._size,
            connection_class=TenantConnection,
            # asyncpg's own reset costs a round trip per checkout; there is nothing to reset but the tenant, and `use` sees to it.
            reset=_keep_session,
            server_settings={"role": APPLICATION_ROLE, "application_name": "loyalnest", "jit": "off"},
        )

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def connection(self, merchant_id: UUID | None) -> AsyncIterator[Connection]:
        assert self._pool is not None, "the database is not open"
        async with self._gate, self._pool.acquire() as connection:
            await connection.use(merchant_id or _NOBODY)  # pyright: ignore[reportAttributeAccessIssue] -- our connection_class
            yield connection  # pyright: ignore[reportReturnType] -- the proxy stands for the connection

    def idle_count(self) -> tuple[int, int]:
        """(idle connections, open connections), for the readiness probe and the leak tests."""
        assert self._pool is not None, "the database is not open"
        return self._pool.get_idle_size(), self._pool.get_size()


_NOBODY = UUID(int=0)
_database: Database | None = None
_held: ContextVar[tuple[UUID | None, Connection] | None] = ContextVar("held_connection", default=None)


async def _keep_session(_connection: Any) -> None:
    return None


async def open_database(url: str, size: int) -> None:
    """Open this process's pool. Call once per event loop."""
    global _database  # noqa: PLW0603 -- the one pool of the process
    assert _database is None, "the database is open already"
    opened = Database(url, size)
    await opened.open()
    _database = opened


async def close_database() -> None:
    """Close this process's pool."""
    global _database  # noqa: PLW0603 -- the one pool of the process
    if _database is not None:
        await _database.close()
        _database = None


def database() -> Database:
    """This process's pool."""
    assert _database is not None, "the database is not open"
    return _database


@asynccontextmanager
async def connection(scope: Scope) -> AsyncIterator[Connection]:
    """A connection that sees the scope's merchant; inside a transaction, the transaction's own."""
    held = _held.get()
    if held is not None:
        assert held[0] == scope.merchant_id, "one transaction, one merchant"
        yield held[1]
        return
    async with database().connection(scope.merchant_id) as acquired:
        token = _held.set((scope.merchant_id, acquired))
        try:
            yield acquired
        finally:
            _held.reset(token)


@asynccontextmanager
async def reference() -> AsyncIterator[Connection]:
    """A connection that sees no merchant's rows, only the reference tables."""
    async with database().connection(None) as acquired:
        token = _held.set((None, acquired))
        try:
            yield acquired
        finally:
            _held.reset(token)


@asynccontextmanager
async def transaction(scope: Scope) -> AsyncIterator[Connection]:
    """A transaction for the scope's merchant. Only `@command` and `@job` open one; it cannot be nested."""
    assert _held.get() is None, "a transaction is open already"
    async with connection(scope) as acquired, acquired.transaction():
        yield acquired


class ScopedEngine(PostgresEngine):
    """Piccolo on the connection that is held. Without one a query has no tenant and is refused; only migrations need none."""

    migrating = False

    async def check_version(self) -> None:
        """Piccolo asks the server at import; ours is asked by the doctor."""

    async def _run_in_new_connection(self, query: str, args: Sequence[Any] | None = None) -> Any:
        held = _held.get()
        if held is not None:
            return await held[1].fetch(query, *(args or ()))
        return await super()._run_in_new_connection(query, args)  # pyright: ignore[reportPrivateUsage]

    async def get_new_connection(self) -> Connection:
        """A connection as the owner of the tables, for migrations."""
        assert self.migrating, "a query outside db.connection(scope) has no tenant"
        return await super().get_new_connection()
