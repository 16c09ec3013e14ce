"""What the planner may choose from: a plan is kept from when a shop was new, and must hold when it has grown."""

import asyncpg

Connection = asyncpg.Connection  # type: ignore[type-arg]


async def test_orders_are_found_by_their_numbers_through_the_key_alone(owner: Connection) -> None:
    """docs/adr/0042: a partial index cannot serve a look-up that lacks its condition."""
    rows = await owner.fetch(
        "select indexrelid::regclass::text as name, indisprimary, indpred is not null as partial from pg_index "
        "where indrelid = 'orders'::regclass"
    )
    assert [row["name"] for row in rows if row["indisprimary"]] == ["orders_pkey"]
    assert [row["name"] for row in rows if not (row["indisprimary"] or row["partial"])] == []
