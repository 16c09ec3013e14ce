"""The one way to the database: a connection that belongs to one merchant while it is held.

Row-level security compares `merchant_id` with the setting `app.merchant`. The setting is made by `TenantConnection.use`
and nowhere else; docs/adr/0002 says why it is set when a connection changes hands and not once per transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from piccolo.engine.postgres import PostgresEngine

from domain import keyring
from domain.scope import NOBODY, Scope

APPLICATION_ROLE = "loyalnest_app"
DISPATCHER_ROLE = "loyalnest_dispatcher"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Collision(Exception):
    """Another transaction did the same thing at the same time and was first: this one is to be run again."""


COLLISIONS = (Collision, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""What two transactions on the same rows may meet. Nothing of the one that met it was written, and it is run again."""


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
    """At most `size` connections under the application role, lent in the order in which they are asked for.

    Why not asyncpg's pool: docs/adr/0040.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._gate = asyncio.Semaphore(size)
        self._idle: list[TenantConnection] = []
        self._lent = 0

    async def open(self) -> None:
        """Open two connections, so that a wrong URL or password stops the process when it starts."""
        for _ in range(min(2, self._size)):
            self._idle.append(await self._connect())

    async def close(self) -> None:
        """Wait until every connection is back, and close them all."""
        for _ in range(self._size):
            await self._gate.acquire()
        while self._idle:
            await self._idle.pop().close()

    async def lend(self, merchant_id: UUID | None) -> TenantConnection:
        """A connection that shows this merchant's rows, or no merchant's. The borrower calls `give_back` in any case."""
        await self._gate.acquire()
        connection = None
        try:
            wanted = merchant_id or NOBODY
            connection = self._take(wanted) or await self._connect()
            if connection.merchant_id != wanted:
                await connection.use(wanted)
            if wanted != NOBODY and not keyring.is_fresh(wanted):
                await keyring.load(connection, wanted)
        except BaseException:
            if connection is not None:
                connection.terminate()
            self._gate.release()
            raise
        self._lent += 1
        return connection

    def give_back(self, connection: TenantConnection, *, interrupted: bool) -> None:
        """Take a connection back. One that was interrupted may still be at work for its borrower: it is not lent again."""
        if interrupted or connection.is_in_transaction():
            connection.terminate()
        if not connection.is_closed():
            self._idle.append(connection)
        self._lent -= 1
        self._gate.release()

    def idle_count(self) -> tuple[int, int]:
        """(idle connections, open connections), for the readiness probe and the leak tests."""
        return len(self._idle), len(self._idle) + self._lent

    def _take(self, merchant_id: UUID) -> TenantConnection | None:
        """An idle connection, if there is one: the last used of those that show this merchant already, or the first of all."""
        while self._idle:
            place = len(self._idle) - 1
            while place > 0 and self._idle[place].merchant_id != merchant_id:
                place -= 1
            connection = self._idle.pop(place)
            # The server may have closed it in the meantime.
            if not connection.is_closed():
                return connection
        return None

    async def _connect(self) -> TenantConnection:
        return await asyncpg.connect(
            self._url,
            connection_class=TenantConnection,
            server_settings={
                "role": APPLICATION_ROLE,
                "application_name": "loyalnest",
                "jit": "off",
                # Every row is found by its merchant and a key (docs/adr/0025).
                "enable_seqscan": "off",
            },
        )


_database: Database | None = None
_held: ContextVar[tuple[UUID | None, Connection] | None] = ContextVar("held_connection", default=None)


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


def connection(scope: Scope) -> AbstractAsyncContextManager[Connection]:
    """A connection that sees the scope's merchant; inside a transaction, the transaction's own."""
    held = _held.get()
    if held is None:
        return borrowed(scope.merchant_id)
    assert held[0] == scope.merchant_id, "one transaction, one merchant"
    return nullcontext(held[1])


def reference() -> AbstractAsyncContextManager[Connection]:
    """A connection that sees no merchant's rows, only the reference tables."""
    return borrowed(None)


class borrowed(AbstractAsyncContextManager[Connection]):  # noqa: N801 -- read as a function
    """A connection for work that has no scope yet: it sees the merchant's rows, or without one the reference tables alone.

    A class and no generator, because every statement outside a transaction comes by here.
    """

    __slots__ = ("_lent", "_merchant_id", "_token")

    def __init__(self, merchant_id: UUID | None) -> None:
        self._merchant_id = merchant_id

    async def __aenter__(self) -> Connection:
        self._lent = await database().lend(self._merchant_id)
        self._token = _held.set((self._merchant_id, self._lent))
        return self._lent

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        _held.reset(self._token)
        # Whatever is no Exception comes from outside, such as a cancellation: what runs on the connection may still run.
        database().give_back(self._lent, interrupted=kind is not None and not issubclass(kind, Exception))


@asynccontextmanager
async def transaction(scope: Scope) -> AsyncIterator[Connection]:
    """A transaction for the scope's merchant. Only `@command` and `@job` open one; it cannot be nested."""
    assert _held.get() is None, "a transaction is open already"
    async with connection(scope) as acquired, acquired.transaction():
        yield acquired


def column(values: Sequence[Any]) -> Sequence[Any] | None:
    """The values of one column, for a statement that unnests several arrays; None where there is nothing but nulls.

    PostgreSQL fills the shorter arrays up with nulls, and asyncpg takes as long to write a null as a number.
    """
    return None if values.count(None) == len(values) else values


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
