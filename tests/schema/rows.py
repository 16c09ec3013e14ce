"""What a merchant has in the database, to show that a refusal changed none of it."""

from typing import Any

from domain import db
from tests.house.test_catalog import TENANT_TABLES
from tests.shop import Shop


async def rows(shop: Shop) -> dict[str, list[str]]:
    """Every row of every tenant table of the shop."""
    found: dict[str, list[str]] = {}
    async with db.connection(shop.scope()) as connection:
        for table in sorted(TENANT_TABLES):
            records = await connection.fetch(f"select to_jsonb(t)::text as row from {table} t")
            found[table] = sorted(record["row"] for record in records)
    return found


def errors(answer: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """(code, message, path) of each top-level error."""
    return [(one["extensions"]["code"], one["message"], one.get("path")) for one in answer["errors"]]
