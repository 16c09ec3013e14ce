"""Goals: reached by what is kept of paid orders, given once each time, and taken back exactly when refunds go below."""

import asyncio
import json
import random
from datetime import timedelta
from typing import Any

import pytest

from domain import actions, db, orders
from domain.actions import Kind, Movement, TillEntry
from domain.errors import DomainError
from domain.programs import Actions, Goal
from tests.ledger import converge, later, lots, rows, spend
from tests.shop import NOON, Shop, order, rate
from workers.job import in_transaction

GOAL = Goal("spring", points=200, spend="100.00", currency="USD")


def with_goals(*goals: Goal, points: int = 0, **more: Any) -> Any:
    # Without points of its own an order gives one for a million: nothing, so that only the goals' points are seen.
    return rate(points or 1, 1 if points else 1_000_000, actions=Actions(goals=goals), **more)


async def converge_within(shop: Shop, *payloads: dict[str, Any]) -> None:
    """Within a transaction that is there already."""
    texts = [json.dumps(orders.keep(payload)) for payload in payloads]
    await orders.converge(shop.scope(), [(orders.parse(text), text) for text in texts])


async def claims(shop: Shop, customer_id: Any) -> list[tuple[str, int, str | None]]:
    found = await actions.page(shop.scope(), 100, None, customer_id, Kind.GOAL)
    return sorted((one.key.rpartition(".")[2], one.deserved, one.reason) for one in found)


async def test_a_goal_is_given_when_paid_orders_reach_it_and_once(shop: Shop) -> None:
    await shop.publish(with_goals(GOAL))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id, price="60.00")
    second = order(customer=customer.shopify_id, price="40.00", financial_status="pending", updated_at=later(1))
    await converge(shop, first, second)
    assert await shop.balance(customer.id) == (0, 0)
    shop.at = NOON + timedelta(minutes=2)
    await converge(shop, second | {"financial_status": "paid", "updated_at": later(2)})
    assert await rows(shop, customer.id) == [(200, 0, "confirmed:1", None)]
    await converge(shop, order(customer=customer.shopify_id, price="500.00"))
    await converge(shop, second | {"financial_status": "paid", "updated_at": later(2)})
    assert await shop.balance(customer.id) == (200, 0)
    assert await claims(shop, customer.id) == [("1", 200, None)]


async def test_a_goal_of_many_times_is_given_for_each(shop: Shop) -> None:
    await shop.publish(with_goals(Goal("again", points=10, spend="100.00", currency="USD", times=3)))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="250.00"))
    assert await shop.balance(customer.id) == (20, 0)
    await converge(shop, order(customer=customer.shopify_id, price="900.00"))
    assert await shop.balance(customer.id) == (30, 0)


async def test_a_refund_below_the_goal_takes_exactly_its_lot_and_paying_again_gives_it_again(shop: Shop) -> None:
    await shop.publish(with_goals(GOAL, points=1))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id, price="100.00")
    await converge(shop, first)
    assert await shop.balance(customer.id) == (300, 0)
    refunds = [{"id": 1, "transactions": [{"id": 2, "kind": "refund", "status": "success", "amount": "0.01"}]}]
    partly = {"financial_status": "partially_refunded", "refunds": refunds, "updated_at": later(1)}
    await converge(shop, first | partly)
    assert await shop.balance(customer.id) == (99, 0)
    assert await claims(shop, customer.id) == [("1", 0, "BELOW_GOAL")]
    assert (await rows(shop, customer.id))[-1] == (-200, 0, "reversed:2", 2)
    await converge(shop, order(customer=customer.shopify_id, price="1.00"))
    assert await shop.balance(customer.id) == (300, 0)
    assert await claims(shop, customer.id) == [("1", 200, None)]


async def test_what_was_spent_of_a_lost_goal_is_owed(shop: Shop) -> None:
    await shop.publish(with_goals(GOAL))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await spend(shop, customer.id, 150)
    await converge(shop, first | {"cancelled_at": later(1), "updated_at": later(1)})
    assert await shop.balance(customer.id) == (-150, 0)
    assert await lots(shop, customer.id) == []


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_deliveries_ends_alike(shop: Shop, seed: int) -> None:
    await shop.publish(with_goals(Goal("again", points=10, spend="100.00", currency="USD", times=5)))
    customer = await shop.customer()
    deliveries = []
    for number, price in enumerate(("80.00", "70.00", "160.00")):
        placed = order(customer=customer.shopify_id, price=price, financial_status="pending", updated_at=later(number))
        paid = placed | {"financial_status": "paid", "updated_at": later(10 + number)}
        deliveries += [placed, paid]
    deliveries.append(deliveries[-1] | {"cancelled_at": later(30), "updated_at": later(30)})
    shuffler = random.Random(seed)
    shuffled = [*deliveries, *deliveries]
    shuffler.shuffle(shuffled)
    shop.at = NOON + timedelta(hours=1)
    for one in shuffled:
        await converge(shop, one)
    assert await shop.balance(customer.id) == (10, 0)
    reasons = [reason for _, deserved, reason in await claims(shop, customer.id) if deserved]
    assert reasons == [None]


async def test_only_what_was_placed_in_its_time_and_its_currency_counts(shop: Shop) -> None:
    ends = NOON + timedelta(days=1)
    window = Goal("day", points=7, spend="50.00", currency="USD", starts_at=NOON, ends_at=ends)
    euros = Goal("euros", points=9, spend="50.00", currency="EUR")
    await shop.publish(with_goals(window, euros))
    customer = await shop.customer()
    for at in (NOON - timedelta(seconds=1), ends):
        await converge(shop, order(customer=customer.shopify_id, created_at=at.isoformat(), updated_at=at.isoformat()))
    assert await shop.balance(customer.id) == (0, 0)
    await converge(shop, order(customer=customer.shopify_id, price="50.00"))
    assert await shop.balance(customer.id) == (7, 0)


async def test_test_orders_and_those_of_a_program_without_the_goal_do_not_count(shop: Shop) -> None:
    await shop.publish(rate(1, 1_000_000))
    await shop.publish(with_goals(GOAL), at=NOON)
    customer = await shop.customer()
    early = (NOON - timedelta(days=1)).isoformat()
    await converge(shop, order(customer=customer.shopify_id, created_at=early, updated_at=early))
    await converge(shop, order(customer=customer.shopify_id, test=True))
    assert await shop.balance(customer.id) == (0, 0)


async def test_an_order_that_changes_hands_takes_its_spending_along(shop: Shop) -> None:
    await shop.publish(with_goals(GOAL))
    one, two = await shop.customer(), await shop.customer()
    first = order(customer=one.shopify_id)
    await converge(shop, first)
    await converge(shop, first | {"customer": {"id": two.shopify_id}, "updated_at": later(1)})
    assert (await shop.balance(one.id), await shop.balance(two.id)) == ((0, 0), (200, 0))
    await converge(shop, first | {"customer": None, "updated_at": later(2)})
    assert (await shop.balance(one.id), await shop.balance(two.id)) == ((0, 0), (0, 0))


async def test_a_hold_makes_the_points_pending_until_it_passes(shop: Shop) -> None:
    await shop.publish(with_goals(Goal("held", points=200, spend="100.00", currency="USD", hold_days=10)))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id))
    assert await shop.balance(customer.id) == (0, 200)
    for days in (9, 10, 10):
        at = shop.scope(NOON + timedelta(days=days))
        async with db.transaction(at):
            await actions.mature(at, 100)
        assert await shop.balance(customer.id) == ((0, 200) if days == 9 else (200, 0))


async def test_a_published_goal_keeps_its_terms_under_its_id(shop: Shop) -> None:
    await shop.publish(with_goals(GOAL))
    await shop.publish(with_goals(GOAL, points=2))
    with pytest.raises(DomainError) as refused:
        await shop.publish(with_goals(Goal("spring", points=201, spend="100.00", currency="USD")))
    assert (refused.value.code, refused.value.field) == ("PROGRAM_INVALID", ("actions", "goals", "0", "id"))


async def test_workers_and_tills_that_meet_at_the_same_customers_end_alike(shop: Shop) -> None:
    """Each worker's transaction touches the same three accounts in another order; who collides runs again."""
    again = Goal("again", points=10, spend="100.00", currency="USD", times=100)
    await shop.publish(with_goals(again, points=1))
    people = [await shop.customer() for _ in range(3)]
    placed = [order(customer=people[number % 3].shopify_id, price="50.00") for number in range(24)]

    async def work(part: int) -> None:
        mine = placed[part * 3 : part * 3 + 3]
        mine = mine[part % 3 :] + mine[: part % 3]
        for one in mine:
            await in_transaction(shop.scope(), lambda given=one: converge_within(shop, given))
        refunded = [one | {"cancelled_at": later(1), "updated_at": later(1)} for one in mine[::-1]]
        if part % 2:
            await in_transaction(shop.scope(), lambda: converge_within(shop, *refunded))

    async def sell(part: int) -> None:
        sales = [
            TillEntry(f"{part} {one.id}", Movement.SALE, NOON, "25.00", "USD", one.id, None)
            for one in (people if part % 2 else people[::-1])
        ]
        await in_transaction(shop.scope(), lambda: actions.sync(shop.scope(), sales))

    await asyncio.gather(*(work(part) for part in range(8)), *(sell(part) for part in range(4)))
    # Of 24 orders 12 are cancelled: 4 of each customer are left, and 4 sales: 300.00 is three times 100.00.
    assert [await shop.balance(one.id) for one in people] == [(330, 0)] * 3
