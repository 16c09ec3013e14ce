"""Points that pay at checkout, from the reservation to the order, on the stand-in."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from domain import db, rewards
from domain.customers import Customer
from domain.rewards import RewardKind, RewardStatus
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.faults import Fault
from tests.rewards import definition, offer, redeem
from tests.stand_in import COAT, MUG, SCARF, Beside, buy, later, member, only, work

Connection = asyncpg.Connection  # type: ignore[type-arg]


async def reserve(here: Beside, customer: Customer, amount: int, key: str = "one", at: datetime | None = None) -> Any:
    scope = here.shop.scope(at) if at else here.shop.now()
    async with db.transaction(scope):
        return await rewards.reserve(scope, customer_id=customer.id, points=amount, idempotency_key=key)


async def open_till(here: Beside, **changes: Any) -> rewards.Reward:
    """A shop where points are paid with: 100 points are 1.00."""
    reward = await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS, **changes))
    await work(here)
    return reward


async def test_points_pay_for_the_order_that_carries_their_reservation(here: Beside) -> None:
    await open_till(here)
    customer = await member(here, 3000)
    held = await reserve(here, customer, 2500)
    assert await here.shop.balance(customer.id) == (500, 0)
    await work(here)
    other_cart = await buy(here, customer, (SCARF, 1))
    assert other_cart["total_discounts"] == "0.00"
    order = await buy(here, customer, (MUG, 1), reservation=str(held.id))
    # The mug costs 12.50, and so takes 1,250 of the points; the others come back.
    assert order["total_discounts"] == "12.50"
    done = await rewards.reservation(here.shop.scope(), held.id)
    assert done is not None
    assert (done.status, done.points_used, done.order_id) == ("captured", 1250, order["id"])
    assert (await here.shop.balance(customer.id))[0] == 1750
    await work(here)
    assert (await buy(here, customer, (MUG, 1), reservation=str(held.id)))["total_discounts"] == "0.00"
    for _ in range(2):
        await here.shop.deliver("orders/updated", checkout.cancel(here.state, order["id"]))
        await here.shop.work()
    assert (await here.shop.balance(customer.id))[0] == 3000


async def test_an_abandoned_reservation_gives_its_points_back(here: Beside, owner: Connection) -> None:
    await open_till(here)
    customer = await member(here, 1000)
    held = await reserve(here, customer, 800, at=datetime.now(UTC) - timedelta(minutes=6))
    await work(here)
    assert (await status(here, held.id), await here.shop.balance(customer.id)) == ("leaving", (200, 0))
    late = checkout.check_out(here.state, Basket(customer.shopify_id, [(MUG, 1)], [], str(held.id)))
    assert late["total_discounts"] == "0.00"
    await later(here, owner)
    await work(here)
    assert (await status(here, held.id), await here.shop.balance(customer.id)) == ("released", (1000, 0))
    # Its order comes, and has paid nothing with points: nothing is owed.
    await here.shop.deliver("orders/create", late)
    await here.shop.work()
    assert (await status(here, held.id), await here.shop.balance(customer.id)) == ("released", (1000, 0))


async def test_an_order_that_comes_after_the_points_were_released_is_charged(here: Beside, owner: Connection) -> None:
    await open_till(here)
    customer = await member(here, 1000)
    held = await reserve(here, customer, 800)
    await work(here)
    order = checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], [], str(held.id)))
    assert order["total_discounts"] == "8.00"
    async with db.transaction(scope := here.shop.now()):
        await rewards.release(scope, held.id)
    await later(here, owner)
    await work(here)
    assert (await status(here, held.id), await here.shop.balance(customer.id)) == ("released", (1000, 0))
    await redeem(here.shop, customer, await offer(here.shop))
    await here.shop.deliver("orders/create", order)
    await here.shop.work()
    assert (await status(here, held.id), await here.shop.balance(customer.id)) == ("captured", (-300, 0))


async def test_one_reservation_at_a_time_and_the_same_key_gives_the_same(here: Beside) -> None:
    customer = await member(here, 1000)
    await refused(reserve(here, customer, 100), "REWARD_UNAVAILABLE")
    await open_till(here)
    first = await reserve(here, customer, 100)
    assert await reserve(here, customer, 100) == first
    await refused(reserve(here, customer, 100, "two"), "POINTS_RESERVED")
    await refused(reserve(here, await member(here, 99), 100, "three"), "INSUFFICIENT_POINTS")
    await refused(reserve(here, customer, 0, "four"), "POINTS_ZERO")
    await refused(reserve(here, customer, 2**60, "five"), "POINTS_OUT_OF_RANGE")
    assert await here.shop.balance(customer.id) == (900, 0)


async def test_another_customers_reservation_pays_nothing(here: Beside) -> None:
    await open_till(here)
    customer, thief = await member(here, 1000), await member(here, 1000)
    held = await reserve(here, customer, 800)
    await work(here)
    assert (await buy(here, thief, reservation=str(held.id)))["total_discounts"] == "0.00"
    assert await status(here, held.id) == "held"


async def test_the_way_to_pay_follows_the_catalogue(here: Beside, owner: Connection) -> None:
    here.stand_in.faults.coming.append(Fault("AutomaticApp", "lost"))
    reward = await open_till(here)
    await later(here, owner)
    await work(here)
    assert only(here).active
    scope = here.shop.now()
    async with db.transaction(scope):
        dearer = definition(RewardKind.PAY_WITH_POINTS, points=200)
        await rewards.update(scope, reward.id, dearer, stock=None, status=RewardStatus.ACTIVE, revision=1)
    await work(here)
    assert [one.active for one in here.state.discounts.values()] == [False, True]
    async with db.transaction(scope):
        await rewards.update(scope, reward.id, dearer, stock=None, status=RewardStatus.PAUSED, revision=2)
    await work(here)
    assert [one.active for one in here.state.discounts.values()] == [False, False]


async def status(here: Beside, reservation_id: Any) -> str:
    found = await rewards.reservation(here.shop.scope(), reservation_id)
    assert found is not None
    return found.status


async def refused(awaitable: Any, code: str) -> None:
    with pytest.raises(Exception) as refusal:  # noqa: PT011 -- the code says which
        await awaitable
    assert refusal.value.code == code  # type: ignore[attr-defined]


async def test_a_reservation_says_when_checkout_knows_of_it(here: Beside) -> None:
    await open_till(here)
    customer = await member(here, 1000)
    held = await reserve(here, customer, 500)
    token = here.shop.customer_token(customer.id)
    query = "query ($id: ID!) { node(id: $id) { ... on PointsReservation { isAtCheckout } } }"

    async def is_at_checkout() -> bool:
        found = await here.shop.data(query, token=token, id=f"gid://loyalnest/PointsReservation/{held.id}")
        return found["node"]["isAtCheckout"]

    assert await is_at_checkout() is False
    await work(here)
    assert await is_at_checkout() is True
    assert json.loads(here.state.customers[customer.shopify_id]["metafields"]["$app", "loyalty"])["reservation"]["points"] == 500
