"""What Citus takes as it stands, held without Citus: every rule here is one that it refuses to bend."""

import asyncpg
import pytest

from tests.house.full_shop import REFERENCE_TABLES

Connection = asyncpg.Connection  # type: ignore[type-arg]

CORE = (
    "action_claims",
    "action_spendings",
    "action_totals",
    "customer_terms",
    "customers",
    "memberships",
    "orders",
    "points_accounts",
    "points_lot_moves",
    "points_lots",
    "points_notices",
    "points_transactions",
    "redemptions",
    "reservations",
    "standings",
)

_WITH_MERCHANT = """
    select c.oid, c.relname from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all ($1)
"""


@pytest.fixture
async def distributed(owner: Connection) -> dict[int, str]:
    """The tables that Citus would distribute, their partitions too, by their oid."""
    rows = await owner.fetch(_WITH_MERCHANT, list(REFERENCE_TABLES))
    found = {row["oid"]: row["relname"] for row in rows}
    assert {"customers", "points_transactions", "points_transactions_7"} <= set(found.values())
    return found


async def columns(owner: Connection, table: int, numbers: list[int]) -> list[str]:
    rows = await owner.fetch("select attnum, attname from pg_attribute where attrelid = $1 and attnum = any ($2)", table, numbers)
    names = {row["attnum"]: row["attname"] for row in rows}
    return [names[number] for number in numbers]


async def test_the_merchant_is_first_in_every_unique_key(owner: Connection, distributed: dict[int, str]) -> None:
    rows = await owner.fetch(
        """
        select indrelid, indexrelid::regclass::text as name, indkey::int[] as keys, indisprimary from pg_index
        where indrelid = any ($1) and (indisunique or indisexclusion)
        """,
        list(distributed),
    )
    first = {row["name"]: (await columns(owner, row["indrelid"], row["keys"]))[0] for row in rows}
    assert {name: column for name, column in first.items() if column != "merchant_id"} == {}
    assert {distributed[row["indrelid"]] for row in rows if row["indisprimary"]} == set(distributed.values())


async def test_the_merchant_is_a_uuid_and_always_there(owner: Connection, distributed: dict[int, str]) -> None:
    rows = await owner.fetch(
        """
        select attrelid, format_type(atttypid, atttypmod) as type, attnotnull from pg_attribute
        where attrelid = any ($1) and attname = 'merchant_id'
        """,
        list(distributed),
    )
    assert {(row["type"], row["attnotnull"]) for row in rows} == {("uuid", True)}


async def test_no_table_has_a_trigger_or_a_rule(owner: Connection) -> None:
    triggers = await owner.fetch(
        """
        select t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where not t.tgisinternal and c.relnamespace = 'public'::regnamespace
        """
    )
    assert [row["tgname"] for row in triggers] == []
    rules = await owner.fetch("select rulename from pg_rules where schemaname = 'public'")
    assert [row["rulename"] for row in rules] == []


async def test_a_foreign_key_stays_with_its_merchant(owner: Connection, distributed: dict[int, str]) -> None:
    rows = await owner.fetch(
        """
        select conname, conrelid, confrelid, confrelid::regclass::text as target, conkey::int[] as keys, confkey::int[] as there
        from pg_constraint where contype = 'f' and conrelid = any ($1)
        """,
        list(distributed),
    )
    assert len(rows) > 0
    astray = []
    for row in rows:
        pairs = zip(
            await columns(owner, row["conrelid"], row["keys"]),
            await columns(owner, row["confrelid"], row["there"]),
            strict=True,
        )
        if row["target"] not in REFERENCE_TABLES and ("merchant_id", "merchant_id") not in pairs:
            astray.append(row["conname"])
    assert astray == []


async def test_partitions_are_by_hash_of_the_merchant_alone(owner: Connection) -> None:
    rows = await owner.fetch(
        "select partrelid, partrelid::regclass::text as name, partstrat::text as strategy, partattrs::int[] as keys "
        "from pg_partitioned_table"
    )
    found = {row["name"]: (row["strategy"], await columns(owner, row["partrelid"], row["keys"])) for row in rows}
    assert found == {name: ("h", ["merchant_id"]) for name in CORE}


async def test_a_reference_table_points_only_to_reference_tables(owner: Connection) -> None:
    rows = await owner.fetch(
        """
        select confrelid::regclass::text as target from pg_constraint
        where contype = 'f' and conrelid::regclass::text = any ($1)
        """,
        list(REFERENCE_TABLES),
    )
    assert {row["target"] for row in rows} <= REFERENCE_TABLES
