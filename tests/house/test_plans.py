"""What the planner may choose from: a plan is kept from when a shop was new, and must hold when it has grown."""

import re
from uuid import UUID

import asyncpg
import pytest

from domain import db
from domain.customers import terms
from domain.customers.queries import HEIR
from tests.house.source import modules, place, texts
from tests.shop import Shop

Connection = asyncpg.Connection  # type: ignore[type-arg]


@pytest.mark.parametrize("table", ["orders", "action_spendings"])
async def test_rows_are_found_by_their_keys_through_the_key_alone(owner: Connection, table: str) -> None:
    """docs/adr/0042: a partial index cannot serve a look-up that lacks its condition."""
    rows = await owner.fetch(
        "select indexrelid::regclass::text as name, indisprimary, indpred is not null as partial from pg_index "
        "where indrelid = $1::text::regclass",
        table,
    )
    assert [row["name"] for row in rows if row["indisprimary"]] == [f"{table}_pkey"]
    assert [row["name"] for row in rows if not (row["indisprimary"] or row["partial"])] == []


async def test_who_stands_for_a_customer_is_found_through_the_key(shop: Shop, owner: Connection) -> None:
    """docs/adr/0044: `coalesce` in the place of HEIR makes a join filter of it, over all customers of the merchant."""
    customer = await shop.customer()
    async with db.transaction(shop.scope()) as connection:
        # So many that reading them all costs more than the key, which the planner has to know.
        await connection.execute(
            """
            insert into customers (merchant_id, id, shopify_id, created_at)
            select $1, gen_random_uuid(), 10000 + n, now() from generate_series(1, 2000) as n
            """,
            shop.merchant.id,
        )
    await owner.execute("analyze customers")
    async with db.transaction(shop.scope()) as connection:
        # No way to join that reads them all without asking for each.
        await connection.execute(
            "set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off"
        )
        lines = await connection.fetch(
            f"""
            explain select o.id from customers c join customers o on o.merchant_id = $1 and o.id = {HEIR}
            where c.merchant_id = $1 and c.id = any ($2) for key share
            """.replace("$1", f"'{shop.merchant.id}'").replace("$2", f"'{{{customer.id}}}'")
        )
    plan = "\n".join(line[0] for line in lines)
    assert "Index Cond" in plan
    assert "Join Filter" not in plan


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (terms.HAVING_ONE, (UUID(int=2**128 - 1), 50, b"one", b"other")),
        (terms.HAVING_ALL, (UUID(int=2**128 - 1), 50, [b"one", b"two"], [b"one"], [b"two"], 2)),
        (terms.HAVING_ANY, ([b"one", b"two"],)),
    ],
)
async def test_words_are_looked_up_in_the_key(
    shop: Shop, owner: Connection, statement: str, arguments: tuple[object, ...]
) -> None:
    """docs/adr/0028: a condition that may leak comes after row-level security, when all the merchant's rows have been read."""
    async with db.transaction(shop.scope()) as connection:
        await connection.execute(
            """
            with made as (
                insert into customers (merchant_id, id, shopify_id, created_at)
                select $1, gen_random_uuid(), 10000 + n, now() from generate_series(1, 2000) as n
                returning id
            )
            insert into customer_terms (merchant_id, customer_id, term) select $1, id, uuid_send(id) from made
            """,
            shop.merchant.id,
        )
    await owner.execute("analyze customer_terms")
    async with db.transaction(shop.scope()) as connection:
        await connection.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
        lines = await connection.fetch(f"explain {statement}", shop.merchant.id, *arguments)
    plan = [line[0] for line in lines]
    scans = [line for line in plan if " on customer_terms" in line]
    assert len(scans) > 0
    assert [line for line in scans if not re.search(r"(using|on) customer_terms_\d_pkey\b", line)] == []
    conditions = [line for line in plan if "Index Cond" in line]
    assert len(conditions) == len(scans)
    assert all("(term = " in condition for condition in conditions)


def test_no_join_has_a_condition_that_row_level_security_keeps_from_the_index() -> None:
    hidden = re.compile(r"\b(?:on|and)\s+[\w.]+ = (?:coalesce|nullif|greatest|least)\(", re.IGNORECASE)
    joins = [
        (place(path, node), text)
        for path in modules("domain", "workers")
        for node, text in texts(path)
        if " join " in text.lower()
    ]
    assert len(joins) >= 20, "the statements are where this test looks for them"
    assert [where for where, text in joins if hidden.search(text)] == []


@pytest.mark.parametrize(
    ("table", "condition", "indexes"),
    [
        ("orders", "customer_id = '00000000-0000-7000-8000-000000000001'", {"of_customer", "customer_id"}),
        ("action_spendings", "customer_id = '00000000-0000-7000-8000-000000000001'", {"customer_id"}),
        ("orders", "shopify_id = any ('{1,2}')", {"pkey"}),
        ("action_spendings", "key = any ('{a,b}')", {"pkey"}),
    ],
)
async def test_a_condition_that_always_holds_serves_who_names_the_column(
    owner: Connection, table: str, condition: str, indexes: set[str]
) -> None:
    """Whatever a plan costs: which indexes may be considered at all does not depend on statistics."""
    await owner.execute("set enable_seqscan = off; set enable_bitmapscan = off")
    plan = await owner.fetch(
        f"explain select * from {table} where merchant_id = '00000000-0000-7000-8000-000000000002' and {condition}"
    )
    [used] = [found[1] for row in plan if (found := re.search(r"using \S+?_(pkey|of_customer|customer_id)\S* on", row[0]))]
    assert used in indexes
