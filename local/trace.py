"""`./dev.sh trace ID`: what is known of a request, from the logs of this machine and from what it left in the database."""

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from domain import db, merchants
from domain.scope import NOBODY, system
from domain.settings import settings
from local.configuration import LOGS

_MERCHANT = re.compile(r"merchant_id\"?[=:]\s*\"?([0-9a-f-]{36})")


def lines(folder: Path, request_id: str) -> Iterator[tuple[str, str]]:
    """(log, line) of every line that names the request, file by file, each from its beginning."""
    for path in sorted(folder.glob("*.log")):
        with path.open(errors="replace") as file:
            for line in file:
                if request_id in line:
                    yield path.name.split(".", 1)[0], line.rstrip()


async def left(merchant_id: UUID, request_id: str) -> list[str]:
    """What the request left at a merchant: deliveries that it brought, and changes that it made."""
    if merchant_id == NOBODY:
        return await _platform(request_id)
    async with db.connection(system(merchant_id)) as connection:
        deliveries = await connection.fetch(
            """
            select received_at, topic, webhook_id, status, attempts, failure, failure_path from inbox
            where merchant_id = $1 and request_id = $2 order by received_at
            """,
            merchant_id,
            request_id,
        )
        changes = await connection.fetch(
            "select at, actor, action, subject from audit_entries where merchant_id = $1 and request_id = $2 order by id",
            merchant_id,
            request_id,
        )
    return [_delivery(row) for row in deliveries] + [_change(row) for row in changes]


async def _platform(request_id: str) -> list[str]:
    async with db.reference() as connection:
        rows = await connection.fetch(
            "select at, actor, action, subject from platform_audit_entries where request_id = $1 order by id", request_id
        )
    return [_change(row) for row in rows]


def _delivery(row: Any) -> str:
    why = f", {row['failure']} at {row['failure_path'] or 'the whole'}" if row["failure"] else ""
    told = f"delivery {row['webhook_id']} of {row['topic']}: {row['status']} after {row['attempts']} attempts{why}"
    return f"{row['received_at'].isoformat()}  {told}"


def _change(row: Any) -> str:
    return f"{row['at'].isoformat()}  {row['actor']} did {row['action']} to {row['subject']}"


async def story(folder: Path, request_id: str) -> list[str]:
    """Everything that is known, a line each. Precondition: the database is open."""
    logged = list(lines(folder, request_id))
    named = {UUID(found) for _, line in logged for found in _MERCHANT.findall(line)}
    # A log that is gone, or of another machine, names no merchant: then all are asked.
    asked = sorted(named) or [NOBODY, *await merchants.every_id()]
    kept = [line for merchant_id in asked for line in await left(merchant_id, request_id)]
    return [f"{name}  {line}" for name, line in logged] + kept


async def run(request_id: UUID) -> int:
    """Print the story; 1 when there is none."""
    await db.open_database(settings().database_url, 2)
    try:
        found = await story(LOGS, str(request_id))
    finally:
        await db.close_database()
    if not found:
        sys.stderr.write("Nothing is known of this request: no log names it, and it left nothing in the database.\n")
        return 1
    sys.stdout.write("\n".join(found) + "\n")
    return 0


def main() -> int:
    """Parse the request's id and run."""
    parser = argparse.ArgumentParser(prog="./dev.sh trace", description=__doc__)
    parser.add_argument("id", type=UUID, help="the request's id, from the header X-Request-Id or an error's `requestId`")
    return asyncio.run(run(parser.parse_args().id))


if __name__ == "__main__":
    sys.exit(main())
