"""What is told of persons is worked off by several at once, and nobody waits for somebody who waits for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from domain import customers, db, inbox
from domain.errors import NotFound
from domain.seal import seal
from tests.domain.test_guests import account, guest
from tests.domain.test_merges import give, merge, two, undo
from tests.domain.test_stores import invite, join
from tests.ledger import converge, later
from tests.shop import NOON, Shop, order, rate


async def at_once(shop: Shop, *acts: Callable[[], Awaitable[Any]]) -> None:
    """Do all at the same time, each in its transaction; one who finds that another was first begins again."""

    async def alone(act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                async with db.transaction(shop.scope()):
                    await act()
            except db.Collision:
                continue
            return

    await asyncio.gather(*(alone(act) for act in acts))


def told(topic: str, payload: dict[str, Any], parent: int) -> inbox.Waiting:
    return inbox.Waiting("w", topic, inbox.customer_key(parent), json.dumps(payload), None, 0, "r", None)


async def test_tellings_of_the_same_customers_at_once_do_not_wait_for_each_other(shop: Shop) -> None:
    """They would if each held what the other wants: a deadlock is an error here, and takes a second to be found."""
    await shop.publish(rate(1))
    numbers = (7, 8, 9)
    await converge(shop, *(order(number, customer=number) for number in numbers))
    batches = [
        [told(f"customers/{what}", {"id": number, "updated_at": NOON.isoformat()}, number) for number in turn]
        for what in ("disable", "enable")
        for turn in (numbers, numbers[::-1])
    ]
    await at_once(shop, *(partial(inbox.work_off, shop.scope(), inbox.Kind.ACCOUNTS, batch) for batch in batches * 2))
    states = [(await customers.by_id(shop.scope(), (await shop.customer(number)).id)) for number in numbers]
    assert [one.state for one in states if one] == ["disabled"] * 3


async def test_merges_at_once_do_not_wait_for_each_other(shop: Shop) -> None:
    await shop.publish(rate(1))
    numbers = (7, 8, 9)
    await converge(shop, *(order(number, customer=number) for number in numbers))
    merges = [
        told(
            "customers/merge",
            {
                "admin_graphql_api_customer_kept_id": f"gid://shopify/Customer/{kept}",
                "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{gone}",
                "status": "completed",
            },
            gone,
        )
        for kept, gone in ((8, 7), (9, 8))
    ]
    batches = [merges, merges[::-1]] * 3
    await at_once(shop, *(partial(inbox.work_off, shop.scope(), inbox.Kind.MERGES, batch) for batch in batches))
    assert {(await shop.customer(number)).id for number in numbers} == {(await shop.customer(9)).id}
    assert await shop.balance((await shop.customer(9)).id) == (300, 0)


async def test_a_merge_can_be_taken_back_by_one_of_two(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, 10, "a")
    await merge(shop)
    answers = await asyncio.gather(undo(shop, gone.id), undo(shop, gone.id), return_exceptions=True)
    [refusal] = [one for one in answers if isinstance(one, BaseException)]
    assert isinstance(refusal, NotFound)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (10, 0))


def stored(shop: Shop, name: str, topic: str, payload: dict[str, Any]) -> inbox.Waiting:
    """A delivery as the door has stored it, due to be worked off."""
    delivery = inbox.delivery(name, topic, json.dumps(payload).encode(), None)
    profile = delivery.profile and seal(shop.merchant.id, "inbox.profile", name, msgspec.json.encode(delivery.profile))
    return inbox.Waiting(name, topic, delivery.parent, delivery.payload, profile, 0, "request", None)


@pytest.mark.parametrize("stores", [1, 2])
async def test_guests_and_their_orders_at_once_do_not_wait_for_each_other(shop: Shop, other_shop: Shop, stores: int) -> None:
    """Both take the guests' turn, then orders, then customers. With several stores namesakes become one besides."""
    await shop.publish(rate(1, signup_points=1))
    if stores == 2:
        await invite(shop, other_shop.merchant.shop_domain)
        await join(other_shop, shop.merchant.shop_domain)
    numbers = range(7, 13)

    def batch(what: str, minutes: int) -> partial[Awaitable[int]]:
        some = numbers if minutes % 2 else numbers[::-1]
        emails = {number: f"guest{number}@example.com" for number in numbers}
        match what:
            case "orders":
                told_ = [guest(number, email=emails[number], updated_at=later(minutes)) for number in some]
                kind, topic = inbox.Kind.ORDERS, "orders/updated"
            case "customers":
                told_ = [account(number + 20 * (minutes % stores), email=emails[number], minutes=minutes) for number in some]
                kind, topic = inbox.Kind.CUSTOMERS, "customers/update"
            case _:
                paid = {"kind": "refund", "status": "success", "amount": "1.00"}
                told_ = [
                    {"id": n + minutes * 100, "order_id": n, "transactions": [paid | {"id": n + minutes * 100}]} for n in some
                ]
                kind, topic = inbox.Kind.REFUNDS, "refunds/create"
        deliveries = [stored(shop, f"{what} {minutes} {place}", topic, one) for place, one in enumerate(told_)]
        return partial(inbox.work_off, shop.scope(), kind, deliveries)

    await at_once(shop, batch("orders", 0))
    await at_once(shop, *(batch(what, minutes) for minutes in range(1, 5) for what in ("customers", "orders", "refunds")))
    owners = [(await shop.customer(number)).id for number in numbers]
    assert len(set(owners)) == len(numbers)
    # 100 for the order, 1 for joining once, and 4 that were paid back.
    assert [await shop.balance(owner) for owner in owners] == [(97, 0)] * len(numbers)
