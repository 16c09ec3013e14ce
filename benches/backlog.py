"""A backlog of stored deliveries, worked off by real worker processes."""

import asyncio
import contextlib
import importlib
import time
from collections.abc import Generator
from datetime import timedelta
from uuid import UUID

import asyncpg

from benches.shop import customer_numbers, fill, stored_payload
from benches.stand import program
from domain import db, scope
from domain.db import APPLICATION_ROLE, DISPATCHER_ROLE

LOOK_S = 0.03
"""Looking takes time from those who are looked at: a hundred looks a second took them a twentieth of a core."""

PATIENCE_S = 180

_STORE = """
    insert into inbox (merchant_id, webhook_id, topic, kind, payload, received_at, due_at, request_id)
    select $1, webhook_id, 'orders/create', 'orders', payload, received_at, received_at, 'bench' from arriving
"""


async def store(merchant_id: UUID, kind: str, customers: int, first: int, number: int) -> None:
    """Put `number` deliveries in a shop's inbox, by COPY: orders from number `first` on, each of one customer."""
    template = stored_payload()
    received = scope.now() - timedelta(seconds=1)
    rows = [
        (f"bench-{order}", fill(template, order, customer), received)
        for order, customer in zip(range(first, first + number), customer_numbers(kind, customers, first), strict=False)
    ]
    async with db.transaction(scope.system(merchant_id)) as connection:
        # By way of a table of its own, because COPY does not write to tables with row-level security.
        await connection.execute(
            "create temporary table arriving (webhook_id text, payload text, received_at timestamptz) on commit drop"
        )
        await connection.copy_records_to_table("arriving", records=rows)
        await connection.execute(_STORE, merchant_id)


@contextlib.contextmanager
def workers(number: int) -> Generator[None, None, None]:
    """Worker processes, ready to take messages."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(program("workers"))
        yield


def ring(merchant_ids: list[UUID], times: int = 1) -> None:
    """Tell the workers that these shops have deliveries, as the API does."""
    # Not at the top: the broker reads its settings when it is imported, and the stand makes them.
    job = importlib.import_module("workers.inbox").work_off_inbox
    for merchant_id in merchant_ids * times:
        job.send(str(merchant_id))


async def tidy(database_url: str) -> None:
    """Between the parts: no events that a worker would relay, and statistics as autovacuum brings them in time."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("truncate outbox")
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def until_empty(database_url: str) -> float:
    """Wait until no delivery is pending, and return the instant by `time.perf_counter`. Raises TimeoutError after 180 s."""
    connection = await asyncpg.connect(database_url, server_settings={"role": DISPATCHER_ROLE})
    deadline = time.perf_counter() + PATIENCE_S
    try:
        while await connection.fetchval("select exists (select from inbox where status = 'pending')"):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"deliveries were still pending after {PATIENCE_S} s")
            await asyncio.sleep(LOOK_S)
    finally:
        await connection.close()
    return time.perf_counter()


async def check(database_url: str, merchant_id: UUID, first: int, number: int) -> None:
    """Make sure that all these orders are booked, so that no figure stands for work that was not done."""
    connection = await asyncpg.connect(database_url, server_settings={"role": APPLICATION_ROLE, "app.merchant": str(merchant_id)})
    try:
        booked = await connection.fetchval(
            "select count(*) from orders where merchant_id = $1 and shopify_id >= $2 and shopify_id < $3 and posted_points > 0",
            merchant_id,
            first,
            first + number,
        )
        # By its key, and not joined to the orders: that was planned by statistics from before the round, and ran for minutes.
        posted = await connection.fetchval(
            "select count(*) from points_transactions where merchant_id = $1 and source = 'order' and external_id = any ($2)",
            merchant_id,
            [str(order) for order in range(first, first + number)],
        )
    finally:
        await connection.close()
    if (booked, posted) != (number, number):
        raise RuntimeError(f"{booked} of {number} orders are booked, by {posted} entries")
