"""A database of before keeps its rows: it gets the lots, kinds and keys that it would have had."""

import os
import secrets
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.points.rules import genesis
from domain.programs import Actions, Definition, Goal
from domain.programs.rules import definition_text
from tests.shop import NOON

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


async def test_old_rows_are_checked_by_the_new_keys(old: Connection) -> None:
    """What was booked before the keys went from partition to partition stands, and the same account goes on from there."""
    for number, amount in enumerate([100, -30]):
        await book(old, amount, 0, f"confirmed:{number}")
    await old.execute(
        """
        insert into orders (merchant_id, shopify_id, customer_id, currency, created_at, snapshot, snapshot_updated_at, deserved)
        values ($1, 1, $2, 'USD', now(), '{}', now(), 70)
        """,
        MERCHANT,
        CUSTOMER,
    )
    tables = ("customers", "points_accounts", "points_transactions", "points_lots", "points_lot_moves", "orders")
    await old.execute("reset role")
    for name in ("m0002_lots.sql", "m0003_inbox.sql", "m0004_clock.sql"):
        await old.execute((HISTORY / name).read_text())
    # The owner alone sees nobody's rows, and still every row of before has to be held against the new keys.
    await old.execute("set app.merchant = ''")
    await old.execute((HISTORY / "m0009_speed.sql").read_text())
    keys = await old.fetch(
        """
        select conrelid::regclass::text as child, confrelid::regclass::text as parent from pg_constraint
        where contype = 'f' and convalidated
            and confrelid::regclass::text ~ '^(customers|points_accounts|points_transactions)(_|$)'
        """
    )
    assert len(keys) == 8 * 4
    assert all(key["child"][-2:] == key["parent"][-2:] for key in keys)
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    counted = [await old.fetchval(f"select count(*) from {table}") for table in tables]
    assert counted == [1, 1, 2, 1, 1, 1]
    posting = """
        select position_, balance_, pending_ from points_post_one(
            $1, now(), 'system:test', $2, 'earn', 50, 0, 'order', '1', 'confirmed:2', 1, null, null, $3,
            null, null, null, null, null
        )
    """
    assert [tuple(row) for row in await old.fetch(posting, MERCHANT, CUSTOMER, bytes(32))] == [(3, 120, 0)]
    assert await old.fetch(posting, MERCHANT, CUSTOMER, bytes(32)) == []
    counted = [await old.fetchval(f"select count(*) from {table}") for table in tables]
    assert counted == [1, 1, 3, 2, 1, 1]
    walls = await old.fetch(
        "select relname from pg_class where relkind in ('r', 'p') and relrowsecurity and not relforcerowsecurity"
    )
    assert [row["relname"] for row in walls] == []
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await old.execute("update orders set customer_id = $1", uuid4())


async def test_a_row_without_its_parent_stops_the_upgrade(old: Connection) -> None:
    """The keys are held against every row, also those that the owner of the tables cannot see."""
    await old.execute("reset role")
    for name in ("m0002_lots.sql", "m0003_inbox.sql", "m0004_clock.sql"):
        await old.execute((HISTORY / name).read_text())
    await old.execute("alter table orders drop constraint orders_merchant_id_customer_id_fkey")
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    await old.execute(
        """
        insert into orders (merchant_id, shopify_id, customer_id, currency, created_at, snapshot, snapshot_updated_at, deserved)
        values ($1, 1, $2, 'USD', now(), '{}', now(), 70)
        """,
        MERCHANT,
        uuid4(),
    )
    await old.execute("reset role; set app.merchant = ''")
    await old.execute("alter table orders add constraint orders_merchant_id_customer_id_fkey check (true)")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await old.execute((HISTORY / "m0009_speed.sql").read_text())


async def test_what_was_spent_before_there_were_totals_is_summed_up(old: Connection) -> None:
    """By the goals of the version that each order keeps; and the work that recurs wakes when it is due."""
    await old.execute("reset role; reset app.merchant")
    for path in sorted(HISTORY.glob("m*.sql"))[1:12]:
        await old.execute(path.read_text())
    window = {"starts_at": NOON, "ends_at": NOON + timedelta(days=1)}
    goals = (
        Goal("all", points=1, spend="1.00", currency="USD"),
        Goal("day", points=1, spend="1.00", currency="USD", **window),
        Goal("euros", points=1, spend="1.00", currency="EUR"),
    )
    definitions = {
        1: Definition(earning={}, actions=Actions(goals=goals)),
        2: Definition(earning={}, actions=Actions(goals=goals[:1])),
        3: Definition(earning={}, actions=Actions(goals=goals), enabled=False),
        4: Definition(earning={"note": "\x00"}),
    }
    other, largest = uuid4(), 2**63 - 1
    rows: list[tuple[UUID, int, str, int, datetime, datetime | None]] = [
        (CUSTOMER, 1, "USD", 5, NOON - timedelta(seconds=1), NOON),
        (CUSTOMER, 1, "USD", 7, NOON, NOON),
        (CUSTOMER, 1, "USD", 11, NOON + timedelta(days=1), NOON),
        (CUSTOMER, 1, "USD", 13, NOON, None),
        (CUSTOMER, 2, "USD", 17, NOON, NOON),
        (CUSTOMER, 3, "USD", 19, NOON, NOON),
        (CUSTOMER, 1, "EUR", 23, NOON, NOON),
        (CUSTOMER, 4, "USD", 29, NOON, NOON),
        (other, 2, "USD", largest, NOON, NOON),
        (other, 2, "USD", largest, NOON, NOON),
    ]
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    await old.execute(
        "insert into customers (merchant_id, id, shopify_id, created_at) values ($1, $2, 2, now())", MERCHANT, other
    )
    await old.execute("insert into schedules (merchant_id, job, due_at) values ($1, 'daily', $2)", MERCHANT, NOON)
    for number, definition in definitions.items():
        await old.execute(
            "insert into program_versions values ($1, $2, $3, now(), now(), 'test')",
            MERCHANT,
            number,
            definition_text(definition),
        )
    for number, row in enumerate(rows):
        await old.execute(
            """
            insert into action_spendings (
                merchant_id, key, customer_id, program_version, currency, spent_minor, placed_at, paid_at
            ) values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            MERCHANT,
            f"order/{number}",
            *row,
        )
    await old.execute("reset role; reset app.merchant")
    await old.execute((HISTORY / "m0013_totals.sql").read_text())
    assert (
        await old.fetch("select from pg_class where relkind in ('r', 'p') and relrowsecurity and not relforcerowsecurity") == []
    )
    await old.execute(f"set role loyalnest_app; set app.merchant = '{MERCHANT}'")
    found = await old.fetch("select customer_id, goal, spent_minor from action_totals")
    assert {(row["customer_id"], row["goal"]): int(row["spent_minor"]) for row in found} == {
        (CUSTOMER, "all"): 5 + 7 + 11 + 17,
        (CUSTOMER, "day"): 7,
        (CUSTOMER, "euros"): 23,
        (other, "all"): 2 * largest,
    }
    assert await old.fetchval("select wakes_at from schedules") == NOON
