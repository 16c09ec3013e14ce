"""The stream of a balance, in this process: the state first, then every change, and nothing missed."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import db, points
from domain.access import Permission
from domain.points import Entry, TransactionType
from domain.scope import Actor, Door, Scope
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema
from tests.shop import NOON, Shop

EVERY = frozenset(Permission)
DOCUMENT = """subscription ($customer: ID, $since: Points) {
    balanceUpdated(customerId: $customer, since: $since) { version pointsBalance pointsPending pointsTransaction { points } }
}"""
SOON_S = 5
"""How long a message may take before the test gives up; none waits so long when all is well."""


class Listener:
    """One subscription of one caller, with the bell that the workers would ring."""

    def __init__(self, shop: Shop, customer_id: UUID | None = None, bell: Doorbell | None = None) -> None:
        actor = Actor(Door.STAFF if customer_id is None else Door.CUSTOMER, "test")
        self.bell = bell or Doorbell()
        self.context = Context(
            Scope(shop.merchant.id, actor, NOON, "request"), self.bell, lambda _: None, customer_id, frozenset(Permission)
        )
        self.stream: Any = None

    async def open(self, **variables: Any) -> "Listener":
        """Subscribe."""
        given = {name: str(value) if isinstance(value, str) else value for name, value in variables.items()}
        self.stream = await schema.subscribe(DOCUMENT, variable_values=given, context_value=self.context)
        return self

    async def next(self) -> tuple[int, int, int, int | None]:
        """The next message: version, balance, pending, points of the entry."""
        result = await asyncio.wait_for(anext(self.stream), SOON_S)
        assert result.errors is None
        update = result.data["balanceUpdated"]
        entry = update["pointsTransaction"]
        return update["version"], update["pointsBalance"], update["pointsPending"], None if entry is None else entry["points"]

    async def error(self) -> tuple[str, str]:
        """The code and message with which the subscription is refused."""
        result = await anext(self.stream) if hasattr(self.stream, "__aiter__") else self.stream
        [error] = result.errors
        return error.extensions["code"], error.message


def gid(customer_id: UUID) -> str:
    return f"gid://loyalnest/Customer/{customer_id}"


async def post(shop: Shop, customer_id: UUID, *amounts: int) -> None:
    entries = [
        Entry(customer_id, TransactionType.EARN, amount, 1, source="test", external_id=str(uuid4()), purpose="earn")
        for amount in amounts
    ]
    async with db.transaction(shop.scope()):
        await points.post(shop.scope(), entries)


async def test_the_state_comes_first_and_then_each_change(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    listener = await Listener(shop).open(customer=gid(customer.id))
    assert await listener.next() == (1, 100, 1, None)
    waiting = asyncio.ensure_future(listener.next())
    await asyncio.sleep(0)
    await post(shop, customer.id, 7, -3)
    listener.bell.ring(shop.merchant.id, customer.id)
    assert await waiting == (2, 107, 2, 7)
    assert await listener.next() == (3, 104, 3, -3)
    await listener.stream.aclose()
    assert listener.bell.count() == 0


async def test_what_happens_before_the_first_wait_is_not_missed(shop: Shop) -> None:
    """No ring at all: the entry came between the state and the wait, and is read all the same."""
    customer = await shop.customer()
    listener = await Listener(shop).open(customer=gid(customer.id))
    assert await listener.next() == (0, 0, 0, None)
    await post(shop, customer.id, 5)
    assert await listener.next() == (1, 5, 1, 5)
    await listener.stream.aclose()


async def test_since_replays_what_was_missed_in_order(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, customer.id, 1, 2, 3, 4)
    listener = await Listener(shop).open(customer=gid(customer.id), since=1)
    assert [await listener.next() for _ in range(3)] == [(2, 3, 2, 2), (3, 6, 3, 3), (4, 10, 4, 4)]
    await listener.stream.aclose()


async def test_since_replays_more_than_a_page(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, customer.id, *([1] * 250))
    listener = await Listener(shop).open(customer=gid(customer.id), since=0)
    assert [(await listener.next())[0] for _ in range(250)] == list(range(1, 251))
    await listener.stream.aclose()


@pytest.mark.parametrize("since", [2, 3, 2**53 - 1])
async def test_since_now_or_the_future_is_answered_with_the_state(shop: Shop, since: int) -> None:
    customer = await shop.customer()
    await post(shop, customer.id, 1, 2)
    listener = await Listener(shop).open(customer=gid(customer.id), since=since)
    assert await listener.next() == (2, 3, 2, None)
    await post(shop, customer.id, 4)
    assert await listener.next() == (3, 7, 3, 4)
    await listener.stream.aclose()


@pytest.mark.parametrize("since", [-1, -(2**53 - 1)])
async def test_a_negative_since_is_the_beginning(shop: Shop, since: int) -> None:
    customer = await shop.customer()
    await post(shop, customer.id, 1)
    listener = await Listener(shop).open(customer=gid(customer.id), since=since)
    assert await listener.next() == (1, 1, 1, 1)
    await listener.stream.aclose()


async def test_a_burst_is_told_entry_by_entry(shop: Shop) -> None:
    """One flag for many rings: nothing queues, and nothing is lost."""
    customer = await shop.customer()
    listener = await Listener(shop).open(customer=gid(customer.id))
    assert await listener.next() == (0, 0, 0, None)
    for _ in range(20):
        await post(shop, customer.id, 1)
        listener.bell.ring(shop.merchant.id, customer.id)
    assert [(await listener.next())[0] for _ in range(20)] == list(range(1, 21))
    await listener.stream.aclose()


async def test_a_customer_hears_themself_and_nobody_else(shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    for variables in ({}, {"customer": gid(customer.id)}):
        listener = await Listener(shop, customer.id).open(**variables)
        assert await listener.next() == (0, 0, 0, None)
        await listener.stream.aclose()
    listener = await Listener(shop, customer.id).open(customer=gid(other.id))
    assert await listener.error() == ("NOT_FOUND", "There is no such customer.")
    assert listener.bell.count() == 0


@pytest.mark.parametrize("identifier", ["", "5", "gid://loyalnest/Order/5", f"gid://loyalnest/Customer/{UUID(int=7)}"])
async def test_nobody_is_not_heard(shop: Shop, identifier: str) -> None:
    listener = await Listener(shop).open(customer=identifier)
    assert await listener.error() == ("NOT_FOUND", "There is no such customer.")
    assert listener.bell.count() == 0


async def test_another_merchants_customer_is_nobody(shop: Shop, other_shop: Shop) -> None:
    foreign = await other_shop.customer()
    listener = await Listener(shop).open(customer=gid(foreign.id))
    assert await listener.error() == ("NOT_FOUND", "There is no such customer.")
    listener = await Listener(shop).open()
    assert await listener.error() == ("NOT_FOUND", "There is no such customer.")


async def test_a_ring_for_another_account_wakes_nobody_here(shop: Shop, other_shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    listener = await Listener(shop).open(customer=gid(customer.id))
    await listener.next()
    waiting = asyncio.ensure_future(anext(listener.stream))
    assert listener.bell.count() == 1
    await post(shop, other.id, 5)
    listener.bell.ring(shop.merchant.id, other.id)
    listener.bell.ring(other_shop.merchant.id, customer.id)
    await post(shop, customer.id, 9)
    listener.bell.ring_all()
    result = await asyncio.wait_for(waiting, SOON_S)
    assert result.data["balanceUpdated"]["pointsTransaction"] == {"points": 9}
    await listener.stream.aclose()


async def test_two_listen_to_one_account(shop: Shop) -> None:
    customer = await shop.customer()
    bell = Doorbell()
    listeners = [await Listener(shop, bell=bell).open(customer=gid(customer.id)) for _ in range(2)]
    for listener in listeners:
        await listener.next()
    assert bell.count() == 2
    await post(shop, customer.id, 5)
    bell.ring(shop.merchant.id, customer.id)
    assert [await listener.next() for listener in listeners] == [(1, 5, 1, 5)] * 2
    await listeners[0].stream.aclose()
    assert bell.count() == 1
    await listeners[1].stream.aclose()
    assert bell.count() == 0


async def test_four_hundred_cancelled_listeners_leave_nothing_behind(shop: Shop) -> None:
    """Cancelled wherever they happen to stand: while asking for a connection, while reading, while waiting."""
    customer = await shop.customer()
    bell = Doorbell()

    async def listen() -> None:
        listener = await Listener(shop, bell=bell).open(customer=gid(customer.id))
        try:
            while True:
                await anext(listener.stream)
        finally:
            await listener.stream.aclose()

    for batch in range(8):
        tasks = [asyncio.ensure_future(listen()) for _ in range(50)]
        for number, task in enumerate(tasks):
            for _ in range((batch * 7 + number) % 23):
                await asyncio.sleep(0)
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in ended} == {asyncio.CancelledError}
    assert bell.count() == 0
    pool = db.database()
    size = pool._size
    scopes = [shop.scope()] * size * 3
    assert (
        await asyncio.wait_for(asyncio.gather(*(points.since(one, customer.id, 0, 1) for one in scopes)), SOON_S)
        == [[]] * size * 3
    )
    idle, opened = pool.idle_count()
    assert idle == opened
