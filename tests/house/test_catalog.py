"""The walls between merchants, read from the catalog and tried on real rows."""

import json
import re
from collections.abc import Iterable

import asyncpg
import pytest

from domain.db import APPLICATION_ROLE, DISPATCHER_ROLE
from tests.house.full_shop import REFERENCE_TABLES, Full, fill
from tests.shop import open_shop

Connection = asyncpg.Connection  # type: ignore[type-arg]

TENANT_TABLES = frozenset(
    {
        "action_claims",
        "action_spendings",
        "action_totals",
        "audit_entries",
        "birthdays",
        "coupons",
        "customer_exports",
        "customer_merges",
        "customer_shops",
        "customer_terms",
        "customers",
        "data_keys",
        "idempotency_keys",
        "inbox",
        "installations",
        "memberships",
        "orders",
        "outbox",
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
        "till_entries",
    }
)
APPEND_ONLY = (
    "audit_entries",
    "idempotency_keys",
    "points_lot_moves",
    "points_notices",
    "points_transactions",
    "program_versions",
    "till_entries",
)
PRIVILEGES = {
    "action_claims": {"SELECT", "INSERT", "UPDATE"},
    "action_spendings": {"SELECT", "INSERT", "UPDATE"},
    "action_totals": {"SELECT", "INSERT", "UPDATE"},
    "admin_sessions": {"SELECT", "INSERT", "UPDATE"},
    "admins": {"SELECT", "INSERT", "UPDATE"},
    "api_keys": {"SELECT", "INSERT", "UPDATE(expires_at,last_used_at,revoked_at)"},
    "audit_entries": {"SELECT", "INSERT"},
    "birthdays": {"SELECT", "INSERT", "UPDATE"},
    "coupons": {"SELECT", "INSERT", "UPDATE"},
    "customer_exports": {"SELECT", "INSERT", "UPDATE"},
    "customer_merges": {"SELECT", "INSERT", "UPDATE"},
    "customer_shops": {"SELECT", "INSERT", "UPDATE"},
    "customer_terms": {"SELECT", "INSERT", "DELETE"},
    "customers": {"SELECT", "INSERT", "UPDATE"},
    "data_keys": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "idempotency_keys": {"SELECT", "INSERT"},
    "inbox": {"SELECT", "INSERT", "UPDATE"},
    "installations": {"SELECT", "INSERT", "UPDATE"},
    "memberships": {"SELECT", "INSERT", "UPDATE"},
    "merchants": {"SELECT", "INSERT", "UPDATE(clock_offset,name)"},
    "orders": {"SELECT", "INSERT", "UPDATE"},
    "outbox": {"SELECT", "INSERT", "DELETE"},
    "platform_audit_entries": {"SELECT", "INSERT"},
    "points_accounts": {"SELECT", "INSERT", "UPDATE"},
    "points_lot_moves": {"SELECT", "INSERT"},
    "points_lots": {"SELECT", "INSERT", "UPDATE"},
    "points_notices": {"SELECT", "INSERT"},
    "points_transactions": {"SELECT", "INSERT"},
    "program_drafts": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "program_versions": {"SELECT", "INSERT"},
    "redemptions": {"SELECT", "INSERT", "UPDATE"},
    "reservations": {"SELECT", "INSERT", "UPDATE"},
    "review_sources": {"SELECT", "INSERT", "UPDATE"},
    "reviews": {"SELECT", "INSERT", "UPDATE"},
    "rewards": {"SELECT", "INSERT", "UPDATE"},
    "schedules": {"SELECT", "INSERT", "UPDATE"},
    "staff_members": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "standings": {"SELECT", "INSERT", "UPDATE"},
    "store_invitations": {"SELECT", "INSERT", "DELETE"},
    "stores": {"SELECT", "INSERT", "UPDATE(connected_at,merchant_id)"},
    "till_entries": {"SELECT", "INSERT"},
}
"""All that the application role may do; the test fails for one more as for one less."""
DISPATCHED = {
    "action_claims": {"SELECT(matures_at,merchant_id)"},
    "birthdays": {"SELECT(due_at,merchant_id)"},
    "inbox": {"SELECT(due_at,merchant_id,status)"},
    "installations": {"SELECT(merchant_id,webhooks_due_at)"},
    "orders": {"SELECT(matures_at,merchant_id)"},
    "outbox": {"SELECT(created_at,merchant_id)"},
    "points_lots": {"SELECT(expires_at,merchant_id,remaining)"},
    "reviews": {"SELECT(due_at,merchant_id)"},
    "schedules": {"SELECT(attempts,due_at,failure,job,merchant_id,wakes_at)"},
    "redemptions": {"SELECT(due_at,merchant_id)"},
    "reservations": {"SELECT(due_at,merchant_id)"},
    "rewards": {"SELECT(due_at,merchant_id)"},
    "standings": {"SELECT(due_at,merchant_id)"},
}
DISPATCHED_REFERENCE = {"merchants": {"SELECT(clock_offset,id)"}}
"""Whose clock is how far ahead, so that the dispatcher knows what is due to whom."""
UNWALLED = {"api_keys", "store_invitations", "stores"}
"""They name a merchant and are looked up before it is known who asks, or by another merchant."""
KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


async def tables(owner: Connection) -> list[str]:
    rows = await owner.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'f', 'v', 'm')"
    )
    return [row["relname"] for row in rows]


async def partitions(owner: Connection) -> set[str]:
    rows = await owner.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relispartition and relkind in ('r', 'p')"
    )
    return {row["relname"] for row in rows}


async def privileges(owner: Connection, role: str, names: Iterable[str]) -> dict[str, set[str]]:
    """What a role may do with each table, as PostgreSQL decides it: groups and grants to everybody included."""
    found: dict[str, set[str]] = {}
    for name in names:
        held: set[str] = set()
        for kind in KINDS:
            if await owner.fetchval("select has_table_privilege($1, $2, $3)", role, name, kind):
                held.add(kind)
            elif kind in {"SELECT", "INSERT", "UPDATE", "REFERENCES"}:
                columns = await owner.fetch(
                    """
                    select attname from pg_attribute
                    where attrelid = $2::text::regclass and attnum > 0 and not attisdropped
                        and has_column_privilege($1, $2, attname, $3)
                    order by attname collate "C"
                    """,
                    role,
                    name,
                    kind,
                )
                if columns:
                    held.add(f"{kind}({','.join(row['attname'] for row in columns)})")
        if held:
            found[name] = held
    return found


async def test_every_table_is_known(owner: Connection) -> None:
    """A new table is a tenant's or a reference table; whoever adds one says which, here and in its policy."""
    assert set(await tables(owner)) - await partitions(owner) == TENANT_TABLES | REFERENCE_TABLES | {"migration"}


async def test_every_tenant_table_has_its_wall(owner: Connection) -> None:
    rows = await owner.fetch(
        """
        select c.relname, c.relrowsecurity, c.relforcerowsecurity
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id' and not a.attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        """
    )
    walls = {row["relname"]: (row["relrowsecurity"], row["relforcerowsecurity"]) for row in rows}
    assert set(walls) == TENANT_TABLES | await partitions(owner) | UNWALLED
    assert {name for name, wall in walls.items() if wall != (True, True)} == UNWALLED


async def test_the_policies_are_these_and_no_others(owner: Connection) -> None:
    rows = await owner.fetch(
        "select tablename, policyname, permissive, roles::text[] as roles, cmd, qual, with_check from pg_policies"
    )
    own = "(merchant_id = (NULLIF(current_setting('app.merchant'::text, true), ''::text))::uuid)"
    tenant = {(name, "tenant", "PERMISSIVE", APPLICATION_ROLE, "ALL", own, own) for name in TENANT_TABLES}
    dispatch = {(name, "dispatch", "PERMISSIVE", DISPATCHER_ROLE, "SELECT", "true", None) for name in DISPATCHED}
    assert {
        (row["tablename"], row["policyname"], row["permissive"], *row["roles"], row["cmd"], row["qual"], row["with_check"])
        for row in rows
    } == tenant | dispatch


@pytest.mark.parametrize("role", [APPLICATION_ROLE, DISPATCHER_ROLE])
async def test_the_roles_have_no_way_around(owner: Connection, role: str) -> None:
    row = await owner.fetchrow(
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname = $1", role
    )
    assert row is not None
    assert tuple(row) == (False,) * 5
    memberships = await owner.fetchval(
        "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname = $1", role
    )
    assert memberships == 0
    owned = await owner.fetchval(
        "select count(*) from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = $1", role
    )
    assert owned == 0
    assert not await owner.fetchval("select has_schema_privilege($1, 'public', 'CREATE')", role)
    assert not await owner.fetchval("select has_table_privilege($1, 'migration', 'SELECT')", role)


async def test_the_application_may_do_exactly_this(owner: Connection) -> None:
    assert await privileges(owner, APPLICATION_ROLE, await tables(owner)) == PRIVILEGES
    assert {name for name, held in PRIVILEGES.items() if name in APPEND_ONLY and held != {"SELECT", "INSERT"}} == set()


async def test_the_dispatcher_sees_exactly_this(owner: Connection) -> None:
    assert await privileges(owner, DISPATCHER_ROLE, await tables(owner)) == DISPATCHED | DISPATCHED_REFERENCE


async def test_no_function_and_no_view_lends_its_owners_rights(owner: Connection) -> None:
    lenders = await owner.fetch("select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef")
    assert [row["proname"] for row in lenders] == []
    views = await owner.fetch(
        """
        select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
            and not coalesce('security_invoker=true' = any (reloptions), false)
        """
    )
    assert [row["relname"] for row in views] == []


@pytest.fixture(scope="module")
async def full(application: object) -> Full:
    """The shop whose rows are looked at. No test here changes a row, so that one shop serves all."""
    return await fill(await open_shop(application), "maple")


@pytest.fixture(scope="module")
async def full_other(application: object) -> Full:
    """The shop that looks."""
    return await fill(await open_shop(application), "birch")


async def as_application(owner: Connection, tenant: object | None) -> None:
    await owner.execute("reset all")
    await owner.execute(f"set role {APPLICATION_ROLE}")
    if tenant is not None:
        await owner.execute(f"set app.merchant = '{tenant}'")


@pytest.mark.parametrize("table", sorted(TENANT_TABLES))
async def test_a_merchants_rows_are_seen_by_nobody_else(owner: Connection, full: Full, full_other: Full, table: str) -> None:
    mine, other = full.shop.merchant.id, full_other.shop.merchant.id
    await as_application(owner, mine)
    assert await owner.fetchval(f"select count(*) from {table}") > 0, "the scenario puts a row into every table"
    assert await owner.fetchval(f"select count(*) from {table} where merchant_id <> $1", mine) == 0
    for nobody in (None, "", "00000000-0000-0000-0000-000000000000"):
        await as_application(owner, nobody)
        assert await owner.fetchval(f"select count(*) from {table}") == 0
    await as_application(owner, other)
    assert await owner.fetchval(f"select count(*) from {table} where merchant_id = $1", mine) == 0
    assert await owner.fetchval(f"select count(*) from {table} where merchant_id <> $1", other) == 0


@pytest.mark.parametrize("table", sorted(TENANT_TABLES))
async def test_a_foreign_row_cannot_be_written(owner: Connection, full: Full, full_other: Full, table: str) -> None:
    mine, other = full.shop.merchant.id, full_other.shop.merchant.id
    before = await contents(owner, table, mine)
    assert before != []
    copy = f"insert into {table} overriding system value select * from jsonb_populate_record(null::{table}, $1)"
    for tenant in (other, None):
        await as_application(owner, tenant)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await owner.execute(copy, before[0])
    await as_application(owner, other)
    if "UPDATE" in PRIVILEGES[table]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await owner.execute(f"update {table} set merchant_id = $1", mine)
        assert await owner.execute(f"update {table} set merchant_id = merchant_id where merchant_id = $1", mine) == "UPDATE 0"
    if "DELETE" in PRIVILEGES[table]:
        assert await owner.execute(f"delete from {table} where merchant_id = $1", mine) == "DELETE 0"
    assert await contents(owner, table, mine) == before


async def contents(owner: Connection, table: str, merchant_id: object) -> list[str]:
    """A merchant's rows, whole. The owner alone would see none: the walls are forced upon it too."""
    await as_application(owner, merchant_id)
    rows = await owner.fetch(f"select to_jsonb(t)::text as row from {table} t where merchant_id = $1", merchant_id)
    return sorted(row["row"] for row in rows)


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_what_is_append_only_cannot_be_changed_by_its_own_merchant(owner: Connection, full: Full, table: str) -> None:
    mine = full.shop.merchant.id
    await as_application(owner, mine)
    assert await owner.fetchval(f"select count(*) from {table}") > 0
    for statement in (f"update {table} set merchant_id = merchant_id", f"delete from {table}", f"truncate {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await owner.execute(statement)


async def test_a_partition_is_no_way_around(owner: Connection, full: Full) -> None:
    await as_application(owner, full.shop.merchant.id)
    names = await partitions(owner)
    assert len(names) == 120
    for name in names:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await owner.fetch(f"select merchant_id from {name}")


async def test_the_dispatcher_cannot_read_a_payload(owner: Connection, full: Full) -> None:
    await owner.execute(f"set role {DISPATCHER_ROLE}")
    mine = full.shop.merchant.id
    for table in DISPATCHED:
        assert await owner.fetchval(f"select count(*) from {table} where merchant_id = $1", mine) > 0
        # A schedule is nothing but whose work is due when, so there is nothing of it to hide.
        if table != "schedules":
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await owner.fetch(f"select * from {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await owner.execute(f"delete from {table}")


async def test_nothing_personal_lies_open_in_a_row(owner: Connection, full: Full) -> None:
    """The e-mail and the name are in the shop, and in no column of any table that can be read."""
    address = re.compile(r"maple@example|someone@example|\"maple\"", re.IGNORECASE)
    for table in TENANT_TABLES - {"program_drafts", "program_versions", "audit_entries"}:
        for row in await contents(owner, table, full.shop.merchant.id):
            assert not address.search(json.dumps(json.loads(row), ensure_ascii=False)), table
