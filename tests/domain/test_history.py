"""What an order costs does not grow with what its customer has ordered before: counted in rows and pages, not in time."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from domain import actions, db, orders, points
from domain.actions import Movement, TillEntry
from domain.customers import Customer
from domain.points import Entry, TransactionType
from domain.programs import Actions, Clawback, Goal, Period, Unit
from domain.rewards import reach
from domain.scope import Scope
from tests.rewards import definition, offer
from tests.shop import NOON, Shop, order, rate

FEW, MANY = 10, 2_000
BATCH = 500
ROWS, PAGES = 60, 40
"""How much more may be read after many orders than after few: the trees of indexes are a page higher, and which order reached a
goal is looked for among the fifty newest. Who reads the customer's history reads 2,000 rows more."""

FAR = Goal("far", points=5, spend="1000000.00", currency="USD")
WAITING = Goal("held", points=5, spend="100.00", currency="USD", hold_days=365)
OFTEN = Goal("often", points=5, spend="2000.00", currency="USD", times=100)
LASTING = Period(30, Unit.DAYS)

PROGRAMS = {
    "plain": rate(1),
    "lots that expire": rate(1, points_expire_after=LASTING),
    "a daily cap": rate(1, earning={"caps": {"per_day": 1_000}}),
    "a goal far away": rate(1, actions=Actions(goals=(FAR,))),
    "a goal that waits": rate(1, actions=Actions(goals=(WAITING,))),
    "goals and lots that expire": rate(1, points_expire_after=LASTING, actions=Actions(goals=(FAR, OFTEN, WAITING))),
}


@dataclass
class Cost:
    """What a transaction touched: rows that were read, by table, and pages that were looked at."""

    rows: dict[str, int]
    pages: int


_ROWS = """
    select regexp_replace(relname, '_[0-7]$', '') as name, sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint as read
    from pg_stat_xact_user_tables group by 1 having sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) > 0 order by 1
"""
_PAGES = "select coalesce(sum(hits + reads), 0)::bigint from pg_stat_get_backend_io(pg_backend_pid())"


async def cost(shop: Shop, act: Callable[[Scope], Awaitable[object]]) -> Cost:
    """What `act` touches in a transaction of its own; by the server's own counters, which it is made to write out."""
    scope = shop.scope()
    async with db.transaction(scope) as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    async with db.connection(scope) as connection:
        before = await connection.fetchval(_PAGES)
    async with db.transaction(scope) as connection:
        await act(scope)
        rows = {row["name"]: row["read"] for row in await connection.fetch(_ROWS)}
        await connection.execute("select pg_stat_force_next_flush()")
    async with db.connection(scope) as connection:
        after = await connection.fetchval(_PAGES)
    return Cost(rows, after - before)


async def converge(scope: Scope, *payloads: dict[str, Any]) -> None:
    texts = [json.dumps(orders.keep(payload)) for payload in payloads]
    await orders.converge(scope, [(orders.parse(text), text) for text in texts])


class History:
    """A customer who orders more and more: for 10.00 every six hours, paid at once."""

    def __init__(self, shop: Shop, customer: Customer) -> None:
        self.shop, self.customer, self.number = shop, customer, 0

    def order(self, **changes: Any) -> dict[str, Any]:
        """The next order."""
        self.number += 1
        self.shop.at = NOON + timedelta(hours=6 * self.number)
        at = self.shop.at.isoformat()
        return order(customer=self.customer.shopify_id, created_at=at, updated_at=at, **({"price": "10.00"} | changes))

    async def grow(self, until: int, **changes: Any) -> None:
        while self.number < until:
            batch = [self.order(**changes) for _ in range(min(BATCH, until - self.number))]
            async with db.transaction(self.shop.scope()):
                await converge(self.shop.scope(), *batch)

    async def each(self, index: int) -> dict[str, Cost]:
        """What everything costs that happens to an order, and to a customer with it."""
        placed, unpaid = self.order(), self.order(financial_status="pending")
        large = self.order(price="2000.00")
        later = (self.shop.at + timedelta(hours=1)).isoformat()
        paid = unpaid | {"financial_status": "paid", "updated_at": later}
        refunds = [{"id": 1, "transactions": [{"id": 2, "kind": "refund", "status": "success", "amount": "1.00"}]}]
        refunded = {"financial_status": "partially_refunded", "refunds": refunds, "updated_at": later}
        sale = TillEntry(f"sale {index}", Movement.SALE, self.shop.at, "3.00", "USD", self.customer.id, None)
        spent = Entry(self.customer.id, TransactionType.REDEEM, -1, 0, "test", f"spent {index}", "hold", floor=0)
        found = {
            "placed": await cost(self.shop, lambda scope: converge(scope, placed)),
            "told again": await cost(self.shop, lambda scope: converge(scope, placed)),
            "waits for payment": await cost(self.shop, lambda scope: converge(scope, unpaid)),
            "paid": await cost(self.shop, lambda scope: converge(scope, paid)),
            "refunded": await cost(self.shop, lambda scope: converge(scope, placed | refunded)),
            "reaches a goal": await cost(self.shop, lambda scope: converge(scope, large)),
            "sold at the till": await cost(self.shop, lambda scope: actions.sync(scope, [sale])),
            "spent": await cost(self.shop, lambda scope: points.post(scope, [spent])),
        }
        version = await self.shop.customer(self.customer.shopify_id)
        changes = [(self.customer.id, version.version)]
        found["told of rewards"] = await cost(self.shop, lambda scope: reach.tell(scope, changes))
        return found


@pytest.mark.parametrize("program", PROGRAMS)
async def test_what_an_order_touches_is_the_same_after_many_orders(shop: Shop, program: str) -> None:
    await shop.publish(PROGRAMS[program])
    await offer(shop, definition(points=1_000_000))
    history = History(shop, await shop.customer())
    await history.grow(FEW)
    # Once before, so that the connection has its catalogue and its plans.
    await history.each(0)
    few = await history.each(1)
    await history.grow(MANY)
    await history.each(2)
    many = await history.each(3)
    for what, before in few.items():
        after = many[what]
        more = {table: read - before.rows.get(table, 0) for table, read in after.rows.items()}
        assert (what, {table: extra for table, extra in more.items() if extra > ROWS}) == (what, {})
        assert after.pages <= before.pages + PAGES, (what, before, after)


async def test_a_refund_that_takes_pending_points_reads_those_that_are_pending(shop: Shop) -> None:
    """Not all of the customer's orders, to find them."""
    await shop.publish(rate(1, clawback=Clawback.PENDING_FIRST))
    history = History(shop, await shop.customer())
    found: list[Cost] = []
    for until in (FEW, MANY):
        await history.grow(until)
        # An unpaid order has the pending points; what a paid one gave is spent, with all there is, and then that is refunded.
        placed, unpaid = history.order(), history.order(financial_status="pending", price="20.00")
        async with db.transaction(shop.scope()):
            await converge(shop.scope(), placed, unpaid)
        balance, pending = await shop.balance(history.customer.id)
        spent = Entry(history.customer.id, TransactionType.REDEEM, -balance, 0, "test", f"{until}", "hold")
        async with db.transaction(shop.scope()):
            await points.post(shop.scope(), [spent])
        cancelled = placed | {"cancelled_at": shop.at.isoformat(), "updated_at": (shop.at + timedelta(hours=1)).isoformat()}
        found.append(await cost(shop, lambda scope, told=cancelled: converge(scope, told)))
        assert await shop.balance(history.customer.id) == (0, pending - 10)
    few, many = found
    assert many.rows["orders"] <= few.rows["orders"] + ROWS, (few, many)
    assert many.pages <= few.pages + PAGES, (few, many)
