"""Refunds of orders that were paid with rewards: the spent points come back pro rata, however the refunds are cut and told."""

import itertools
import random
from typing import Any

import pytest

from domain import db, rewards
from domain.customers import Customer
from domain.rewards import RewardKind
from local.shopify_stand_in import checkout, refunds
from local.shopify_stand_in.refunds import Return
from local.shopify_stand_in.shop import Json
from tests.ledger import lots
from tests.rewards import definition, offer, redeem, state
from tests.shop import rate
from tests.stand_in import COAT, MUG, SCARF, Beside, buy, member, work
from workers.relay import relay


async def bought(here: Beside, customer: Customer, *lines: tuple[int, int], **changes: Any) -> tuple[rewards.Redemption, Json]:
    """An order that has used a code: (the redemption, the order)."""
    kind = changes.pop("kind", RewardKind.AMOUNT_OFF)
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(kind, **changes)))
    await work(here)
    order = await buy(here, customer, *lines, codes=[taken.code])
    assert order["refused_codes"] == {}
    return taken, order


async def send_back(here: Beside, order: Json, *events: str, **wanted: Any) -> list[tuple[str, Json]]:
    """Refund, and deliver what is named of it; everything unless something is."""
    told = refunds.events(*refunds.refund(here.state, order["id"], Return(**wanted)))
    for topic, payload in told:
        if not events or topic in events:
            await here.shop.deliver(topic, payload)
    await here.shop.work()
    return told


def line_ids(order: Json) -> list[int]:
    return [line["id"] for line in order["line_items"]]


async def points(here: Beside, customer: Customer) -> int:
    return (await here.shop.balance(customer.id))[0]


async def test_a_part_comes_back_with_its_share_and_the_rest_with_the_rest(here: Beside) -> None:
    """The code took 5.00 off a coat of 80.00 and a scarf of 25.00: 3.80 and 1.20, so the scarf is 120 of its 500 points."""
    customer = await member(here)
    taken, order = await bought(here, customer, (COAT, 1), (SCARF, 1))
    coat, scarf = line_ids(order)
    allocated = [line["discount_allocations"][0]["amount"] for line in order["line_items"]]
    assert allocated == ["3.80", "1.20"]
    await send_back(here, order, lines=[(scarf, 1)])
    now = await state(here.shop, taken.id)
    assert (now.status, now.points_returned, await points(here, customer)) == ("used", 120, 620)
    await send_back(here, order, lines=[(coat, 1)])
    now = await state(here.shop, taken.id)
    # The delivery was not refunded, and holds nothing back.
    assert (now.status, now.points_returned, await points(here, customer)) == ("returned", 500, 1000)
    assert await lots(here.shop, customer.id) == [(1, 1000)]


@pytest.mark.parametrize("topic", ["refunds/create", "orders/updated", "order_transactions/create"])
async def test_each_telling_alone_is_enough_as_far_as_it_goes(here: Beside, topic: str) -> None:
    customer = await member(here)
    _, order = await bought(here, customer, (SCARF, 2))
    told = await send_back(here, order, topic, lines=[(line_ids(order)[0], 1)])
    # Of the payment alone 22.50 of 45.00 is known to have gone back.
    assert await points(here, customer) == 750
    for _ in range(2):
        for event, payload in reversed(told):
            await here.shop.deliver(event, payload)
        await here.shop.work()
    assert await points(here, customer) == 750


async def test_money_alone_takes_its_share(here: Beside) -> None:
    """7.50 of the 75.00 that the coat cost with the code."""
    customer = await member(here)
    taken, order = await bought(here, customer, (COAT, 1))
    await send_back(here, order, amount="7.50")
    assert (await state(here.shop, taken.id)).points_returned == 50
    await send_back(here, order, amount="67.50")
    assert (await state(here.shop, taken.id)).status == "returned"
    assert await points(here, customer) == 1000


async def test_a_free_product_that_stays_keeps_its_points(here: Beside) -> None:
    customer = await member(here)
    taken, order = await bought(here, customer, (COAT, 1), (MUG, 1), kind=RewardKind.FREE_PRODUCT)
    coat, mug = line_ids(order)
    await send_back(here, order, lines=[(coat, 1)])
    assert (await state(here.shop, taken.id)).points_returned == 0
    await send_back(here, order, lines=[(mug, 1)])
    assert (await state(here.shop, taken.id)).status == "returned"


async def test_free_delivery_comes_back_with_the_goods(here: Beside) -> None:
    customer = await member(here)
    taken, order = await bought(here, customer, (SCARF, 4), kind=RewardKind.FREE_SHIPPING)
    [scarf] = line_ids(order)
    await send_back(here, order, lines=[(scarf, 1)])
    assert (await state(here.shop, taken.id)).points_returned == 125
    await send_back(here, order, lines=[(scarf, 3)])
    assert await points(here, customer) == 1000


async def test_a_refund_and_then_a_cancellation_return_everything_once(here: Beside) -> None:
    customer = await member(here)
    _, order = await bought(here, customer, (SCARF, 2))
    await send_back(here, order, lines=[(line_ids(order)[0], 1)])
    for _ in range(2):
        await here.shop.deliver("orders/updated", checkout.cancel(here.state, order["id"]))
        await here.shop.work()
    assert await points(here, customer) == 1000


async def test_a_refund_that_is_told_before_its_order_waits_for_it(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    order = checkout.check_out(here.state, checkout.Basket(customer.shopify_id, [(SCARF, 2)], [taken.code or ""]))
    order.pop("refused_codes")
    as_placed = {**order, "line_items": [dict(line) for line in order["line_items"]], "refunds": []}
    told = refunds.events(*refunds.refund(here.state, order["id"], Return(lines=[(line_ids(order)[0], 1)])))
    await here.shop.deliver(*told[0])
    await here.shop.work()
    await here.shop.deliver("orders/create", as_placed)
    await here.shop.work()
    assert (await state(here.shop, taken.id)).points_returned == 250
    assert await points(here, customer) == 750


async def test_points_that_were_paid_with_come_back_pro_rata(here: Beside) -> None:
    customer = await member(here)
    await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    scope = here.shop.now()
    async with db.transaction(scope):
        held = await rewards.reserve(scope, customer_id=customer.id, points=800, idempotency_key="pay")
    await relay(here.shop.now())
    await work(here)
    order = await buy(here, customer, (SCARF, 4), reservation=str(held.id))
    assert order["total_discounts"] == "8.00"
    [scarf] = line_ids(order)
    for pieces, back in ((1, 200), (2, 600), (1, 800)):
        await send_back(here, order, lines=[(scarf, pieces)])
        found = await rewards.reservation(here.shop.scope(), held.id)
        assert found is not None
        assert (found.points_returned, found.status) == (back, "returned" if back == 800 else "captured")
    assert await points(here, customer) == 1000


async def test_stock_is_there_again_with_the_last_of_the_points(here: Beside) -> None:
    customer = await member(here)
    reward = await offer(here.shop, stock=1)
    taken = await redeem(here.shop, customer, reward)
    await work(here)
    order = await buy(here, customer, (SCARF, 2), codes=[taken.code])
    for left in (0, 1):
        await send_back(here, order, lines=[(line_ids(order)[0], 1)])
        found = await rewards.reward(here.shop.scope(), reward.id)
        assert found is not None
        assert found.stock == left


@pytest.mark.parametrize("seed", range(3))
async def test_however_refunds_are_cut_and_told_the_end_is_one(here: Beside, seed: int) -> None:
    """Pieces in any portions, deliveries doubled, dropped and shuffled: what is back is a function of what went back."""
    dice = random.Random(seed)
    await here.shop.publish(rate(10))
    customer = await member(here)
    taken, order = await bought(
        here, customer, (COAT, 2), (SCARF, 3), (MUG, 4), percent_hundredths=777, kind=RewardKind.PERCENTAGE
    )
    pieces = [line["id"] for line in order["line_items"] for _ in range(line["quantity"])]
    dice.shuffle(pieces)
    returned: list[int] = []
    while pieces:
        count = dice.randrange(1, 4)
        portion, pieces = pieces[:count], pieces[count:]
        returned += portion
        wanted = [(line, len(list(group))) for line, group in itertools.groupby(sorted(portion))]
        told = refunds.events(*refunds.refund(here.state, order["id"], Return(lines=wanted)))
        kept = [one for one in told if one[0] == "orders/updated" or dice.random() < 0.7]
        for topic, payload in dice.sample(kept * 2, len(kept) * 2):
            await here.shop.deliver(topic, payload)
        await here.shop.work()
        now = await state(here.shop, taken.id)
        off = {line["id"]: line["discount_allocations"][0]["amount"] for line in order["line_items"]}
        cents = {number: int(amount.replace(".", "")) for number, amount in off.items()}
        quantity = {line["id"]: line["quantity"] for line in order["line_items"]}
        left = sum(cents[number] * (quantity[number] - returned.count(number)) // quantity[number] for number in cents)
        assert now.points_returned == 500 * (sum(cents.values()) - left) // sum(cents.values())
    assert (await state(here.shop, taken.id)).status == "returned"
    # What the order had earned is gone again, and all that was spent on it is back.
    assert await points(here, customer) == 1000
