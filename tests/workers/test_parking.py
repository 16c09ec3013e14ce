"""A delivery whose order or customer is not known yet: it waits, and is worked off once when that comes."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from domain import customers, db, inbox, orders
from domain.inbox.handlers import HANDLERS
from domain.inbox.kinds import Kind
from domain.scope import Scope
from tests.shop import Shop, line, order, rate
from workers.inbox import work_off

CHILDREN = (Kind.PAYMENTS, Kind.EDITS, Kind.REFUNDS, Kind.DISPUTES, Kind.DELETIONS, Kind.MERGES)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parents of what the handlers of the kinds that wait were given; each asserts that its order is there."""
    seen: list[str] = []

    async def handle(scope: Scope, waiting: Sequence[inbox.Waiting]) -> set[str]:
        for one in waiting:
            assert one.parent is not None
            of, _, number = one.parent.partition("/")
            if of == "order":
                assert await orders.by_shopify_id(scope, int(number)) is not None
            seen.append(one.parent)
        return set()

    for kind in CHILDREN:
        monkeypatch.setitem(HANDLERS, kind, handle)
    return seen


def refund(order_number: int) -> dict[str, Any]:
    return {"id": order_number + 1, "order_id": order_number, "refund_line_items": []}


CASES = {
    "orders/edited": {"order_edit": {"id": 9, "order_id": 450789469}},
    "order_transactions/create": {"id": 9, "order_id": 450789469, "kind": "sale"},
    "refunds/create": refund(450789469),
    "disputes/create": {"id": 9, "order_id": 450789469},
    "disputes/update": {"id": 9, "order_id": 450789469},
    "orders/delete": {"id": 450789469},
}


async def statuses(shop: Shop) -> dict[str, str]:
    return {row.topic: row.status for row in await inbox.page(shop.scope(), 100, None)}


@pytest.mark.parametrize("topic", CASES)
async def test_what_comes_before_its_order_waits_for_it(shop: Shop, handled: list[str], topic: str) -> None:
    response = await shop.webhook(topic, CASES[topic])
    assert response.json() == {"status": "accepted"}
    await shop.work()
    assert await statuses(shop) == {topic: "parked"}
    await shop.deliver("orders/create", order(1, customer=7))
    await shop.work()
    assert (await statuses(shop), handled) == ({topic: "parked", "orders/create": "done"}, [])
    await shop.deliver("orders/updated", order(450789469, customer=7))
    await work_off(shop.scope())
    assert (await statuses(shop))[topic] == "done"
    await shop.work()
    assert handled == ["order/450789469"]
    async with db.connection(shop.scope()) as connection:
        assert await connection.fetchval("select count(*) from inbox where payload is not null") == 0


async def test_what_comes_after_its_order_does_not_wait(shop: Shop, handled: list[str]) -> None:
    await shop.deliver("refunds/create", refund(450789469))
    await shop.deliver("refunds/create", refund(999))
    await shop.deliver("orders/create", order(450789469))
    await work_off(shop.scope())
    assert handled == ["order/450789469"]
    parked = await inbox.page(shop.scope(), 10, None, status=inbox.Status.PARKED)
    assert [(row.parent, row.attempts, row.failure) for row in parked] == [("order/999", 0, None)]


@pytest.mark.parametrize("how", ["an order names them", "the shop tells of them"])
async def test_a_merge_waits_for_the_customer_who_goes(shop: Shop, handled: list[str], how: str) -> None:
    merge = {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/7",
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/8",
    }
    await shop.deliver("customers/merge", merge)
    await shop.deliver("orders/create", order(customer=7))
    await shop.work()
    assert handled == []
    if how == "an order names them":
        await shop.deliver("orders/create", order(customer=8))
    else:
        instant = shop.at.isoformat()
        await shop.deliver("customers/update", {"id": 8, "created_at": instant, "updated_at": instant})
    await shop.work()
    assert handled == ["customer/8"]


async def test_another_shops_order_wakes_nothing_here(shop: Shop, other_shop: Shop, handled: list[str]) -> None:
    await shop.deliver("refunds/create", refund(450789469))
    await shop.work()
    await other_shop.deliver("orders/create", order(450789469))
    await other_shop.work()
    await shop.work()
    assert (await statuses(shop), handled) == ({"refunds/create": "parked"}, [])


async def test_what_names_no_parent_is_set_aside_and_holds_up_nobody(shop: Shop, handled: list[str]) -> None:
    await shop.deliver("orders/create", order(450789469))
    for payload in ({"id": 1}, refund(450789469), {"id": 2, "order_id": "canary"}):
        await shop.deliver("refunds/create", payload)
    await shop.deliver("orders/edited", {"id": 3})
    await shop.work()
    assert handled == ["order/450789469"]
    failed = await inbox.page(shop.scope(), 10, None, status=inbox.Status.FAILED)
    assert sorted((row.topic, row.failure, row.failure_message, row.failure_path) for row in failed) == [
        ("orders/edited", "DELIVERY_INVALID", "It names no order.", "order_edit.order_id"),
        ("refunds/create", "DELIVERY_INVALID", "It names no order.", "order_id"),
        ("refunds/create", "DELIVERY_INVALID", "It names no order.", "order_id"),
    ]


async def test_when_the_booking_fails_nothing_wakes(shop: Shop, handled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.deliver("refunds/create", refund(450789469))
    await shop.work()

    async def killed(*_: object) -> None:
        raise RuntimeError("killed before the commit")

    await shop.deliver("orders/create", order(450789469))
    with monkeypatch.context() as patch:
        patch.setattr("domain.inbox.commands.wake", killed)
        await work_off(shop.scope())
    assert await statuses(shop) == {"refunds/create": "parked", "orders/create": "pending"}
    assert await orders.by_shopify_id(shop.scope(), 450789469) is None
    async with db.connection(shop.scope()) as connection:
        await connection.execute("update inbox set due_at = received_at where status = 'pending'")
    await shop.work()
    assert handled == ["order/450789469"]


async def book(shop: Shop, booked: asyncio.Event, go_on: asyncio.Event, *, waking: bool) -> None:
    """Book an order in a transaction that stays open: with its waking already done, or with it still to come."""
    payload = json.dumps(orders.keep(order(450789469)))
    scope = shop.scope()
    async with db.transaction(scope):
        await orders.converge(scope, [(orders.parse(payload), payload)])
        if waking:
            await inbox.wake(scope, [inbox.order_key(450789469)])
        booked.set()
        await go_on.wait()
        if not waking:
            await inbox.wake(scope, [inbox.order_key(450789469)])


async def test_a_refund_that_is_parked_while_its_order_is_being_booked_is_woken_by_it(shop: Shop, handled: list[str]) -> None:
    booked, go_on = asyncio.Event(), asyncio.Event()
    booking = asyncio.create_task(book(shop, booked, go_on, waking=False))
    await booked.wait()
    await shop.deliver("refunds/create", refund(450789469))
    await work_off(shop.scope())
    assert await statuses(shop) == {"refunds/create": "parked"}
    go_on.set()
    await booking
    assert await statuses(shop) == {"refunds/create": "pending"}
    await shop.work()
    assert handled == ["order/450789469"]


async def test_a_refund_is_not_parked_past_an_order_that_is_about_to_be_seen(
    shop: Shop, handled: list[str], owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    booked, go_on = asyncio.Event(), asyncio.Event()
    booking = asyncio.create_task(book(shop, booked, go_on, waking=True))
    await booked.wait()
    await shop.deliver("refunds/create", refund(450789469))
    working = asyncio.create_task(work_off(shop.scope()))
    # Until the one who would park has asked for the lock that the one who books holds.
    while not await owner.fetchval(
        """
        select exists (
            select from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())
        )
        """
    ):
        assert not working.done()
    go_on.set()
    await booking
    await working
    assert (await statuses(shop), handled) == ({"refunds/create": "done"}, ["order/450789469"])


async def test_many_refunds_and_orders_by_many_workers_at_once(shop: Shop, handled: list[str]) -> None:
    await shop.publish(rate(1))
    numbers = range(1_000, 1_120)

    async def deliver(topic: str, payloads: list[dict[str, Any]]) -> None:
        for payload in payloads:
            await shop.deliver(topic, payload)
            if payload["id"] % 7 == 0:
                await work_off(shop.scope())

    await asyncio.gather(
        deliver("refunds/create", [refund(number) for number in numbers]),
        deliver("orders/create", [order(number, customer=number % 5 + 1) for number in reversed(numbers)]),
        deliver("orders/paid", [order(number, customer=number % 5 + 1) for number in numbers]),
        deliver("refunds/create", [refund(number) for number in reversed(numbers)]),
    )
    await shop.work()
    rows = await inbox.page(shop.scope(), 1_000, None)
    assert {row.status for row in rows} == {"done"}
    assert len(rows) == 4 * len(numbers)
    assert sorted(handled) == sorted(f"order/{number}" for number in numbers for _ in range(2))


async def test_what_is_told_of_an_order_ends_alike_before_it_and_after_it(shop: Shop, other_shop: Shop) -> None:
    """With the real handlers: a refund of one of two pieces, a dispute that is won, and the order, from both ends."""
    told = order(450789469, customer=7, line_items=[line(id=1, price="40.00", quantity=2)], updated_at=shop.at.isoformat())
    returned = {"id": 2, "order_id": 450789469, "refund_line_items": [{"id": 3, "line_item_id": 1, "quantity": 1}]}
    dispute = {"id": 4, "order_id": 450789469, "status": "needs_response", "amount": "40.00", "currency": "USD"}
    deliveries = [
        ("orders/create", told),
        ("refunds/create", returned),
        ("disputes/create", dispute),
        ("disputes/update", dispute | {"status": "won"}),
    ]
    for one, ordered in ((shop, deliveries), (other_shop, deliveries[::-1])):
        await one.publish(rate(10))
        for topic, payload in ordered:
            assert (await one.webhook(topic, payload)).json() == {"status": "accepted"}
            await one.work()
        [buyer] = await customers.page(one.scope(), 10, None, None)
        assert await one.balance(buyer.id) == (400, 0)
        assert {row.status for row in await inbox.page(one.scope(), 10, None)} == {"done"}
    await shop.deliver("orders/delete", {"id": 450789469})
    await shop.work()
    [buyer] = await customers.page(shop.scope(), 10, None, None)
    assert await shop.balance(buyer.id) == (0, 0)
