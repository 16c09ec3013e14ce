"""A database from before there were lots and kinds gets those that it would have had."""

import os
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from domain.points.rules import genesis

HISTORY = Path(__file__).parents[2] / "migrations" / "history"
Connection = asyncpg.Connection  # type: ignore[type-arg]

MERCHANT, CUSTOMER = uuid4(), uuid4()


@pytest.fixture
async def old() -> AsyncGenerator[Connection, None]:
    """A database with the foundation alone, and one account in it."""
    server, name = os.environ["DATABASE_URL"].rpartition("/")[0], f"loyalnest_test_old_{secrets.token_hex(4)}"
    maker = await asyncpg.connect(os.environ["DATABASE_URL"])
    await maker.execute(f"create database {name}")
    connection = await asyncpg.connect(f"{server}/{name}")
    try:
        await connection.execute((HISTORY / "m0001_foundation.sql").read_text())
        await connection.execute("insert into merchants values ($1, 'old.myshopify.com', 'Old', 'USD', now())", MERCHANT)
        await connection.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
        await connection.execute(
            "insert into customers (merchant_id, id, shopify_id, created_at) values ($1, $2, 1, now())", MERCHANT, CUSTOMER
        )
        await connection.execute(
            "insert into points_accounts (merchant_id, customer_id, last_hash) values ($1, $2, $3)",
            MERCHANT,
            CUSTOMER,
            genesis(MERCHANT, CUSTOMER),
        )
        yield connection
    finally:
        await connection.close()
        await maker.execute(f"drop database {name}")
        await maker.close()


async def book(old: Connection, points: int, pending: int, purpose: str) -> None:
    await old.execute(
        """
        select points_post_one($1, now(), 'system:test', $2, 'earn', $3, $4, 'order', '1', $5, 1, null, null, $6, null)
        """,
        MERCHANT,
        CUSTOMER,
        points,
        pending,
        purpose,
        bytes(32),
    )


@pytest.mark.parametrize(
    ("entries", "lots", "moves"),
    [
        ([100, 50], [(1, 100, 100), (2, 50, 50)], []),
        ([100, 50, -120], [(1, 100, 0), (2, 50, 30)], [(3, 1, -100), (3, 2, -20)]),
        # A debt of 20, of which the next lot pays.
        ([100, -120, 50, 7], [(1, 100, 0), (3, 50, 30), (4, 7, 7)], [(2, 1, -100)]),
        ([100, -100], [(1, 100, 0)], [(2, 1, -100)]),
        ([], [], []),
    ],
)
async def test_old_entries_get_their_lots(
    old: Connection, entries: list[int], lots: list[tuple[int, int, int]], moves: list[tuple[int, int, int]]
) -> None:
    for number, amount in enumerate(entries):
        await book(old, amount, 0, f"confirmed:{number}")
    await book(old, 0, 10, "pending:1")
    await old.execute("reset role")
    await old.execute((HISTORY / "m0002_lots.sql").read_text())
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    rows = await old.fetch("select lot, points, remaining from points_lots order by lot")
    assert [tuple(row) for row in rows] == lots
    rows = await old.fetch("select position, lot, points from points_lot_moves order by position, lot")
    assert [tuple(row) for row in rows] == moves
    assert await old.fetchval("select active_at is not null from points_accounts")


async def test_the_walls_stand_again_afterwards(old: Connection) -> None:
    await old.execute("reset role")
    await old.execute((HISTORY / "m0002_lots.sql").read_text())
    walls = await old.fetch(
        "select relname from pg_class where relkind in ('r', 'p') and relrowsecurity and not relforcerowsecurity"
    )
    assert [row["relname"] for row in walls] == []


async def test_old_deliveries_get_their_kind(old: Connection) -> None:
    """Those that wait are still worked off after the upgrade, and those that are done are still listed."""
    for topic, status in (("orders/paid", "pending"), ("customers/update", "pending"), ("orders/create", "failed")):
        await old.execute(
            """
            insert into inbox (merchant_id, webhook_id, topic, payload, received_at, due_at, request_id, status)
            values ($1, $2, $2, '{}', now(), now(), 'request', $3)
            """,
            MERCHANT,
            topic,
            status,
        )
    await old.execute("reset role")
    for name in ("m0002_lots.sql", "m0003_inbox.sql"):
        await old.execute((HISTORY / name).read_text())
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    rows = await old.fetch("select topic, kind, parent, status from inbox order by topic")
    assert [tuple(row) for row in rows] == [
        ("customers/update", "customers", None, "pending"),
        ("orders/create", "orders", None, "failed"),
        ("orders/paid", "orders", None, "pending"),
    ]
    await old.execute("set app.merchant = ''")
    assert await old.fetchval("select count(*) from inbox") == 0
