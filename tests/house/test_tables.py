"""Piccolo's classes say of a table what the migration made."""

from importlib import import_module

import asyncpg
import pytest
from piccolo.table import Table

from tests.house.source import ROOT

CLASSES = {
    found._meta.tablename: found
    for path in sorted((ROOT / "domain").glob("*/tables.py"))
    for found in vars(import_module(f"domain.{path.parent.name}.tables")).values()
    if isinstance(found, type) and issubclass(found, Table) and found is not Table
}
TYPES = {
    "bigint": "BIGINT",
    "bigint[]": "BIGINT[]",
    "boolean": "BOOLEAN",
    "bytea": "BYTEA",
    "bytea[]": "BYTEA[]",
    "integer": "INTEGER",
    "jsonb": "JSONB",
    "interval": "INTERVAL",
    "numeric(30,0)": "NUMERIC(30, 0)",
    "text": "TEXT",
    "text[]": "TEXT[]",
    "timestamp with time zone": "TIMESTAMPTZ",
    "uuid": "UUID",
    "uuid[]": "UUID[]",
}


def test_every_feature_with_tables_has_its_classes() -> None:
    assert sorted(CLASSES) == [
        "action_claims",
        "action_spendings",
        "action_totals",
        "admin_sessions",
        "admins",
        "api_keys",
        "birthdays",
        "coupons",
        "customer_exports",
        "customer_merges",
        "customer_shops",
        "customer_terms",
        "customers",
        "inbox",
        "installations",
        "memberships",
        "merchants",
        "orders",
        "points_accounts",
        "points_lot_moves",
        "points_lots",
        "points_notices",
        "points_transactions",
        "program_drafts",
        "program_versions",
        "redemptions",
        "reservations",
        "review_sources",
        "reviews",
        "rewards",
        "schedules",
        "staff_members",
        "standings",
        "store_invitations",
        "stores",
        "till_entries",
    ]


@pytest.mark.parametrize("table", sorted(CLASSES))
async def test_a_class_is_its_table(owner: "asyncpg.Connection[asyncpg.Record]", table: str) -> None:
    rows = await owner.fetch(
        """
        select attname, format_type(atttypid, atttypmod) as type, not attnotnull as nullable from pg_attribute
        where attrelid = $1::text::regclass and attnum > 0 and not attisdropped
        """,
        table,
    )
    migrated = {row["attname"]: (TYPES[row["type"]], row["nullable"]) for row in rows}
    declared = {column._meta.name: (column.column_type, column._meta.null) for column in CLASSES[table]._meta.columns}
    assert declared == migrated
