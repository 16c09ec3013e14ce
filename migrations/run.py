"""Applies the history of the database: under a lock, once each, in order."""

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

LOCK_KEY = 0x10A1_0001
"""The advisory lock that one migrating process holds; any fixed number would do."""


def raw_sql(path: Path) -> Callable[[], Awaitable[None]]:
    """A migration step that runs a file of SQL in Piccolo's open transaction."""

    statements = path.read_text()

    async def run() -> None:
        from piccolo_conf import DB  # noqa: PLC0415 -- the engine reads DATABASE_URL, which `migrate` sets first

        transaction = DB.current_transaction.get()
        assert transaction is not None, "a migration runs inside Piccolo's transaction"
        await transaction.connection.execute(statements)

    return run


async def migrate(database_url: str) -> list[str]:
    """Bring the database up to date and return the ids of what was applied.

    Safe to run from many processes at once: they wait for each other. Every migration is one transaction, so a killed one
    leaves nothing behind.
    """
    os.environ["DATABASE_URL"] = database_url
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415
    from piccolo.apps.migrations.tables import Migration  # noqa: PLC0415

    from piccolo_conf import DB  # noqa: PLC0415

    DB.config = {"dsn": database_url}
    DB.migrating = True
    lock = await asyncpg.connect(database_url)
    try:
        await lock.execute("select pg_advisory_lock($1)", LOCK_KEY)
        before = set[str]()
        if await lock.fetchval("select to_regclass('migration') is not null"):
            before = set(await Migration.get_migrations_which_ran(app_name="loyalnest"))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            result = await run_forwards("loyalnest")
        if not result.success:
            raise RuntimeError(f"a migration failed: {said.getvalue()}")
        return sorted(set(await Migration.get_migrations_which_ran(app_name="loyalnest")) - before)
    finally:
        DB.migrating = False
        await lock.close()


if __name__ == "__main__":
    applied = asyncio.run(migrate(os.environ["DATABASE_URL"]))
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "nothing to apply\n")
