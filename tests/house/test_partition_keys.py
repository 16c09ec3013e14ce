"""Foreign keys between partitions of the same number: what one merchant's rows point to lies there."""

from uuid import uuid4

import asyncpg
import pytest

from domain import db
from tests.shop import Shop

Connection = asyncpg.Connection  # type: ignore[type-arg]

KEYS = {
    "action_claims": "customers",
    "action_spendings": "customers",
    "action_totals": "customers",
    "customer_terms": "customers",
    "memberships": "customers",
    "orders": "customers",
    "points_accounts": "customers",
    "points_lot_moves": "points_transactions",
    "points_transactions": "points_accounts",
}


async def test_every_partition_points_to_the_partition_of_the_same_number(owner: Connection) -> None:
    rows = await owner.fetch(
        """
        select conrelid::regclass::text as child, confrelid::regclass::text as parent, convalidated from pg_constraint
        where contype = 'f' and conrelid::regclass::text ~ any ($1) and confrelid <> 'merchants'::regclass
        """,
        [f"^{name}(_[0-9]+)?$" for name in KEYS],
    )
    assert all(row["convalidated"] for row in rows)
    assert {(row["child"], row["parent"]) for row in rows} == {
        (f"{child}_{number}", f"{parent}_{number}") for child, parent in KEYS.items() for number in range(8)
    }


async def test_the_partitions_of_a_number_hold_the_same_merchants(owner: Connection) -> None:
    rows = await owner.fetch(
        """
        select inhparent::regclass::text as parent, c.relname as partition, pg_get_expr(c.relpartbound, c.oid) as bound
        from pg_inherits join pg_class c on c.oid = inhrelid
        where inhparent::regclass::text = any ($1)
        """,
        [*KEYS, "customers"],
    )
    assert len(rows) == 8 * (len(KEYS) + 1)
    for row in rows:
        number = row["partition"].removeprefix(f"{row['parent']}_")
        assert row["bound"] == f"FOR VALUES WITH (modulus 8, remainder {number})"


@pytest.mark.parametrize(
    "statement",
    [
        """
        insert into orders (merchant_id, shopify_id, customer_id, currency, created_at, snapshot, snapshot_updated_at, deserved)
        values ($1, 1, $2, 'USD', now(), '{}', now(), 0)
        """,
        "insert into points_accounts (merchant_id, customer_id, last_hash) values ($1, $2, '')",
        """
        insert into points_transactions (
            merchant_id, customer_id, position, type, points, pending, balance_after, pending_after, source, external_id, purpose,
            actor, occurred_at, digest, hash
        ) values ($1, $2, 1, 'earn', 1, 0, 1, 0, 'test', '1', 'test', 'test', now(), '', '')
        """,
        "insert into customer_terms (merchant_id, customer_id, term) values ($1, $2, 'x')",
        "insert into memberships (merchant_id, customer_id) values ($1, $2)",
        "insert into points_lot_moves (merchant_id, customer_id, position, lot, points) values ($1, $2, 1, 1, 1)",
        """
        insert into action_claims (
            merchant_id, kind, key, customer_id, told_of, rule, occurred_at, created_at, deserved, spendable_at
        ) values ($1, 'follow', '1', $2, $2, 'x', now(), now(), 0, now())
        """,
        """
        insert into action_spendings (merchant_id, key, customer_id, program_version, currency, spent_minor, placed_at)
        values ($1, 'order/1', $2, 1, 'USD', 0, now())
        """,
    ],
)
async def test_a_row_of_nobody_is_refused(shop: Shop, other_shop: Shop, statement: str) -> None:
    """Nobody at all, and another merchant's customer."""
    customer = await other_shop.customer()
    async with db.connection(shop.scope()) as connection:
        for nobody in (uuid4(), customer.id):
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await connection.execute(statement, shop.merchant.id, nobody)
