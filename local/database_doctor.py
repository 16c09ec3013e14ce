"""The doctor's look at the database: its version, its clock, its migrations, and the walls between the tenants."""

import time
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import asyncpg

from local.finding import Finding, fail, ok, warn
from local.prepare import ROOT

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

APPLICATION_ROLE = "loyalnest_app"
DISPATCHER_ROLE = "loyalnest_dispatcher"
LATE_AFTER = timedelta(minutes=15)
LATE_SHOWN = 10
LARGEST_CLOCK_DIFFERENCE_MS = 2000

# A tenant's table has merchant_id first in its primary key. Partitions are left out: PostgreSQL applies the policies of
# the table that a statement names, and the application role holds no rights on partitions.
UNWALLED_TABLES = """
    select class.relname
    from pg_class class
    join pg_index key on key.indrelid = class.oid and key.indisprimary
    join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attnum = key.indkey[0]
    where attribute.attname = 'merchant_id'
      and class.relnamespace = 'public'::regnamespace
      and not class.relispartition
      and not (class.relrowsecurity and class.relforcerowsecurity)
    order by class.relname
"""


async def examine_database(database_url: str) -> list[Finding]:
    """Everything about a database that answers. Changes nothing."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        version = await connection.fetchval("show server_version")
        findings = [ok("PostgreSQL", f"version {version}"), await _clock(connection)]
        migrations, done = await _migrations(connection)
        findings.append(migrations)
        if done:
            findings += [await _walls(connection), await _role(connection, database_url)]
            if migrations.verdict == "ok":
                findings.append(await _midnights(connection))
        return findings
    finally:
        await connection.close()


async def _clock(connection: Connection) -> Finding:
    before = time.time()
    there = float(await connection.fetchval("select extract(epoch from clock_timestamp())::float8"))
    here = (before + time.time()) / 2
    difference_ms = round(abs(there - here) * 1000)
    if difference_ms > LARGEST_CLOCK_DIFFERENCE_MS:
        return fail(
            "clocks",
            f"the database's clock and this machine's are {difference_ms} ms apart",
            "Set both by NTP: tokens and holds are judged by these clocks.",
        )
    return ok("clocks", f"{difference_ms} ms between the database's and this machine's")


async def _migrations(connection: Connection) -> tuple[Finding, bool]:
    """The finding, and whether the database has been migrated at all."""
    known = {_migration_id(path) for path in (ROOT / "migrations" / "history").glob("m[0-9]*.py")}
    applied = set[str]()
    if await connection.fetchval("select to_regclass('migration') is not null"):
        rows = await connection.fetch("select name from migration where app_name = 'loyalnest'")
        applied = {row["name"] for row in rows}
    if not applied:
        return warn("migrations", "the database has not been migrated yet", "Run ./dev.sh up, which migrates it."), False
    if applied - known:
        newer = ", ".join(sorted(applied - known))
        return fail("migrations", f"the database is ahead of this checkout: {newer}", "Update the checkout."), True
    if known - applied:
        pending = ", ".join(sorted(known - applied))
        return warn("migrations", f"not yet applied: {pending}", "Run ./dev.sh up, which migrates it."), True
    return ok("migrations", f"all {len(known)} applied"), True


def _migration_id(path: Path) -> str:
    # Read and not imported: a migration that cannot be imported is for `up` to tell.
    for line in path.read_text().splitlines():
        if line.startswith("ID = "):
            return line.removeprefix("ID = ").strip("\"'")
    return path.stem


async def _walls(connection: Connection) -> Finding:
    unwalled = [row["relname"] for row in await connection.fetch(UNWALLED_TABLES)]
    if unwalled:
        mend = "Enable and force row-level security on them in a migration."
        return fail("row-level security", f"not forced on {', '.join(unwalled)}", mend)
    return ok("row-level security", "forced on every tenant's table")


async def _midnights(connection: Connection) -> Finding:
    """Whose midnight is late, as the dispatcher sees it: until it is worked off nothing of theirs is confirmed or expires."""
    await connection.execute(f"set role {DISPATCHER_ROLE}")
    try:
        late = await connection.fetch(
            """
            select merchant_id, due_at, attempts, failure from schedules
            where job = 'daily' and due_at <= now() + (select clock_offset from merchants where id = merchant_id) - $1::interval
            order by due_at, merchant_id
            """,
            LATE_AFTER,
        )
    finally:
        await connection.execute("reset role")
    if not late:
        return ok("midnights", "every merchant's has been worked off")
    told = [
        f"{row['merchant_id']} since {row['due_at'].isoformat()} ({row['failure'] or 'no failure'}, {row['attempts']} attempts)"
        for row in late[:LATE_SHOWN]
    ]
    more = f", and {len(late) - LATE_SHOWN} more" if len(late) > LATE_SHOWN else ""
    mend = "The workers' log says why, under daily.put_off. While no workers run, every midnight is late."
    verdict = fail if any(row["failure"] for row in late) else warn
    return verdict("midnights", f"late for {'; '.join(told)}{more}", mend)


async def _role(connection: Connection, database_url: str) -> Finding:
    """Whether the application's connections are held by row-level security, as seen from such a connection."""
    try:
        application = await asyncpg.connect(database_url, timeout=10, server_settings={"role": APPLICATION_ROLE})
    except asyncpg.PostgresError as error:
        mend = f"As a superuser: GRANT {APPLICATION_ROLE} TO the user of DATABASE_URL."
        return fail("application role", f"{APPLICATION_ROLE} cannot be taken on ({error})", mend)
    try:
        row = await application.fetchrow(
            "select current_user as name, rolsuper, rolbypassrls from pg_roles where rolname = current_user"
        )
    finally:
        await application.close()
    owned = await connection.fetchval(
        "select count(*) from pg_class where relowner = (select oid from pg_roles where rolname = $1)", APPLICATION_ROLE
    )
    if row is None or row["name"] != APPLICATION_ROLE or row["rolsuper"] or row["rolbypassrls"] or owned:
        mend = f"As a superuser: ALTER ROLE {APPLICATION_ROLE} NOSUPERUSER NOBYPASSRLS; it must own no table."
        return fail("application role", f"{APPLICATION_ROLE} can step over row-level security", mend)
    return ok("application role", f"{APPLICATION_ROLE} is no superuser, owns nothing and is held by row-level security")
