"""Deliveries: worked off once, whatever else happens."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import redis.asyncio

from domain import customers, db, inbox, points, scope
from domain.scope import Scope
from tests.shop import NOON, Shop, order, rate
from tests.workers.rings import ringing
from workers import inbox as inbox_module
from workers import relay as relay_module
from workers import sweeper
from workers.inbox import work_off, work_off_alone, work_off_inbox
from workers.relay import relay


def person(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "email": "ada@example.com",
        "first_name": "Ada",
        "last_name": "King Lovelace",
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
        "state": "enabled",
    } | changes


async def inbox_rows(shop: Shop) -> list[tuple[Any, ...]]:
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch("select topic, status, attempts, failure from inbox order by topic, webhook_id")
    return [tuple(row) for row in rows]


async def test_a_delivery_is_worked_off_once_and_its_payload_is_gone(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await shop.deliver("orders/create", order(customer=customer.shopify_id))
    await shop.work()
    assert await shop.balance(customer.id) == (1000, 0)
    assert await inbox_rows(shop) == [("orders/create", "done", 1, None)]
    async with db.connection(shop.scope()) as connection:
        assert await connection.fetchval("select count(*) from inbox where payload is not null") == 0


async def test_a_backlog_of_many_orders_is_exact(shop: Shop) -> None:
    await shop.publish(rate(10))
    owners = [await shop.customer() for _ in range(7)]
    for number in range(70):
        payload = order(customer=owners[number % 7].shopify_id, price=f"{number}.00")
        for topic in ("orders/create", "orders/updated", "orders/paid"):
            await shop.deliver(topic, payload)
    await asyncio.gather(work_off(shop.scope()), work_off(shop.scope()), work_off(shop.scope()))
    await shop.work()
    for index, owner in enumerate(owners):
        assert await shop.balance(owner.id) == (sum(10 * number for number in range(index, 70, 7)), 0)


async def test_who_rings_while_a_job_is_at_it_makes_that_one_look_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    rung: list[int] = []

    async def relay_late(within: Scope) -> int:
        """The first batch is booked, and the job will look no more, when another delivery comes and rings."""
        if not rung:
            rung.append(1)
            await shop.deliver("orders/create", order(customer=customer.shopify_id))
            await work_off_alone(shop.scope())
            assert await shop.balance(customer.id) == (1000, 0), "this ring leaves the work to the job that runs"
        return await relay(within)

    monkeypatch.setattr(inbox_module, "relay", relay_late)
    await shop.deliver("orders/create", order(customer=customer.shopify_id))
    await work_off_alone(shop.scope())
    assert await shop.balance(customer.id) == (2000, 0)


async def test_a_backlog_calls_for_help_and_a_few_deliveries_do_not(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    called: list[str] = []
    monkeypatch.setattr(inbox_module, "BATCH", 3)
    monkeypatch.setattr(work_off_inbox, "send", called.append)
    for _ in range(2):
        await shop.deliver("orders/create", order(customer=customer.shopify_id))
    await work_off_alone(shop.scope())
    assert called == [], "one job can do that"
    for _ in range(7):
        await shop.deliver("orders/create", order(customer=customer.shopify_id))
    await work_off_alone(shop.scope())
    assert called == [str(shop.merchant.id)] * 2, "after each whole batch"
    assert await shop.balance(customer.id) == (9000, 0)


async def test_a_job_that_fails_leaves_the_inbox_to_the_next_ring(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await shop.deliver("orders/create", order(customer=customer.shopify_id))

    async def away(within: Scope) -> int:
        raise ConnectionError(str(within.merchant_id))

    with monkeypatch.context() as broken:
        broken.setattr(inbox_module, "relay", away)
        with pytest.raises(ConnectionError):
            await work_off_alone(shop.scope())
    await shop.deliver("orders/create", order(customer=customer.shopify_id))
    await work_off_alone(shop.scope())
    assert await shop.balance(customer.id) == (2000, 0)


async def test_one_bad_delivery_is_set_aside_and_the_others_are_booked(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    for payload in (
        order(customer=customer.shopify_id),
        order(customer=customer.shopify_id, line_items="none"),
        order(customer=customer.shopify_id, currency="XXY"),
        order(customer=customer.shopify_id),
    ):
        await shop.deliver("orders/create", payload)
    await shop.work()
    assert await shop.balance(customer.id) == (2000, 0)
    rows = await inbox_rows(shop)
    assert sorted((status, failure) for _, status, _, failure in rows if status == "failed") == [
        ("failed", "CURRENCY_UNKNOWN"),
        ("failed", "ORDER_INVALID"),
    ]
    assert sum(status == "done" for _, status, _, _ in rows) == 2


async def test_a_fault_of_ours_is_tried_again_later_and_then_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await shop.deliver("orders/create", order(customer=customer.shopify_id))

    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(points, "post", broken)
        await work_off(shop.scope())
    assert await inbox_rows(shop) == [("orders/create", "pending", 1, "RuntimeError")]
    await work_off(shop.scope())
    assert await inbox_rows(shop) == [("orders/create", "pending", 1, "RuntimeError")]
    async with db.connection(shop.scope()) as connection:
        wait = await connection.fetchval("select due_at - received_at from inbox")
        await connection.execute("update inbox set due_at = received_at")
    assert wait >= timedelta(seconds=2)
    await work_off(shop.scope())
    assert await shop.balance(customer.id) == (1000, 0)


async def test_a_customer_gets_signup_points_once(shop: Shop) -> None:
    await shop.publish(rate(10, signup_points=200))
    for topic, seconds in (("customers/update", 5), ("customers/create", 0), ("customers/update", 5)):
        updated = (NOON + timedelta(seconds=seconds)).isoformat()
        await shop.deliver(topic, person(42, updated_at=updated, first_name=f"Ada{seconds}"))
        await shop.work()
    [customer] = await customers.page(shop.scope(), 10, None, "42")
    assert await shop.balance(customer.id) == (200, 0)
    assert customer.profile() == customers.Profile("ada@example.com", "Ada5", "King Lovelace")
    assert (customer.shopify_id, customer.joined_at) == (42, NOON)


async def test_who_joined_before_the_first_program_gets_no_signup_points(shop: Shop) -> None:
    await shop.publish(rate(10, signup_points=200), at=NOON)
    await shop.deliver("customers/create", person(42, created_at=(NOON - timedelta(seconds=1)).isoformat()))
    await shop.deliver("customers/create", person(43))
    await shop.work()
    balances = [(one.shopify_id, one.balance) for one in await customers.page(shop.scope(), 10, None, None)]
    assert sorted(balances) == [(42, 0), (43, 200)]


async def test_a_customer_is_found_by_exact_words_only(shop: Shop, other_shop: Shop) -> None:
    await shop.deliver("customers/create", person(42))
    await shop.work()
    for query in ("ada@example.com", "ADA", "lovelace king", "42", " Ada  42 "):
        assert [one.shopify_id for one in await customers.page(shop.scope(), 10, None, query)] == [42]
        assert await customers.page(other_shop.scope(), 10, None, query) == []
    for query in ("ad", "example.com", "ada grace", "420"):
        assert await customers.page(shop.scope(), 10, None, query) == []


async def test_personal_data_is_stored_sealed(shop: Shop) -> None:
    await shop.deliver("customers/create", person(42))
    await shop.deliver("orders/create", order(customer=42))

    async def everything() -> str:
        async with db.connection(shop.scope()) as connection:
            tables = ("customers", "inbox", "orders", "outbox", "audit_entries", "points_transactions")
            return "".join([str(await connection.fetch(f"select t::text from {table} t")) for table in tables])

    for _ in range(2):
        text = await everything()
        for canary in ("ada@example.com", "Lovelace", "someone@example.com"):
            assert canary not in text
            assert canary.encode().hex() not in text
        await shop.work()


async def test_the_relay_rings_for_what_was_posted_and_empties_the_outbox(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    async with ringing(shop) as rings:
        await shop.deliver("orders/create", order(customer=customer.shopify_id))
        await work_off(shop.scope())
        assert await rings(1) == [[[str(shop.merchant.id), str(customer.id), 1]]]
    assert await relay(shop.scope()) == 0


async def test_while_redis_is_away_the_outbox_keeps_everything(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    away = redis.asyncio.Redis(host="127.0.0.1", port=1)
    with monkeypatch.context() as patch:
        patch.setattr(relay_module, "_redis", lambda: away)
        await shop.deliver("orders/create", order(customer=customer.shopify_id))
        with pytest.raises(redis.exceptions.ConnectionError):
            await work_off(shop.scope())
    assert await shop.balance(customer.id) == (1000, 0)
    assert await relay(shop.scope()) == 1


async def test_the_sweeper_finds_what_was_left_lying(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=1))
    customer = await shop.customer()
    await shop.deliver("orders/create", order(customer=customer.shopify_id))
    connection = await sweeper.dispatcher()
    try:

        async def found() -> dict[str, bool]:
            swept = await sweeper.sweep(connection, scope.now())
            return {name: shop.merchant.id in swept[name] for name in ("inbox.work_off", "outbox.relay", "orders.mature")}

        assert await found() == {"inbox.work_off": True, "outbox.relay": False, "orders.mature": False}
        async with db.transaction(shop.scope()):
            waiting = await inbox.claim(shop.scope(), inbox.Kind.ORDERS, 10)
            await inbox.work_off(shop.scope(), inbox.Kind.ORDERS, waiting)
        # The order was placed months ago, so that its hold has passed; and nobody has relayed.
        assert await found() == {"inbox.work_off": False, "outbox.relay": True, "orders.mature": True}
    finally:
        await connection.close()


async def test_the_dispatcher_sees_which_merchants_have_work_and_nothing_else(shop: Shop) -> None:
    await shop.deliver("orders/create", order())
    connection = await sweeper.dispatcher()
    try:
        ids: list[UUID] = [row["merchant_id"] for row in await connection.fetch("select merchant_id from inbox")]
        assert shop.merchant.id in ids
        for statement in ("select payload from inbox", "select * from orders", "select * from customers", "delete from inbox"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
