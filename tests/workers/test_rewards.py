"""Redemptions from the points to the order, on the stand-in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from domain import db
from domain.rewards import RewardKind, settling
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.faults import Fault
from tests.rewards import definition, offer, redeem, state
from tests.stand_in import COAT, GIFT_CARD, MUG, SCARF, Beside, buy, cancel, later, member, only, work

Connection = asyncpg.Connection  # type: ignore[type-arg]


@pytest.mark.parametrize(
    ("kind", "changes", "lines", "discount"),
    [
        (RewardKind.AMOUNT_OFF, {}, [(COAT, 1)], "5.00"),
        (RewardKind.AMOUNT_OFF, {"amount_minor": 9999}, [(COAT, 1)], "80.00"),
        (RewardKind.PERCENTAGE, {}, [(COAT, 1), (GIFT_CARD, 1)], "10.00"),
        (RewardKind.PERCENTAGE, {"percent_hundredths": 3333}, [(SCARF, 1)], "8.33"),
        (RewardKind.FREE_SHIPPING, {}, [(MUG, 1)], "5.00"),
        (RewardKind.FREE_PRODUCT, {"quantity": 2}, [(COAT, 1), (MUG, 3)], "25.00"),
        (RewardKind.EXCLUSIVE_PRODUCT, {}, [(COAT, 1), (SCARF, 1)], "25.00"),
    ],
)
async def test_a_code_takes_off_what_was_promised_and_the_order_uses_it(
    here: Beside, kind: RewardKind, changes: dict[str, Any], lines: list[tuple[int, int]], discount: str
) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(kind, **changes)))
    await work(here)
    issued = await state(here.shop, taken.id)
    assert (issued.status, issued.shopify_id) == ("issued", only(here).id)
    assert issued.code is not None
    order = await buy(here, customer, *lines, codes=[issued.code.lower()])
    assert order["total_discounts"] == discount
    used = await state(here.shop, taken.id)
    assert (used.status, used.order_id) == ("used", order["id"])
    again = await buy(here, customer, *lines, codes=[issued.code])
    assert again["refused_codes"] == {issued.code: "USED_UP"}
    assert (await here.shop.balance(customer.id))[0] == 500


async def test_a_code_is_of_no_use_to_another(here: Beside) -> None:
    customer, other = await member(here), await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(minimum_subtotal_minor=5000)))
    await work(here)
    assert (await buy(here, other, codes=[taken.code]))["refused_codes"] == {taken.code: "ANOTHER_CUSTOMER"}
    assert (await buy(here, customer, (SCARF, 1), codes=[taken.code]))["refused_codes"] == {taken.code: "TAKES_NOTHING"}
    assert (await state(here.shop, taken.id)).status == "issued"


@pytest.mark.parametrize(
    "fault",
    [None, Fault("CodeDelete", "lost"), Fault("CodeDeactivate", "lost", times=2), Fault("CodeFind", "unavailable", times=3)],
)
async def test_cancelling_deletes_the_code_and_returns_the_points(here: Beside, owner: Connection, fault: Fault | None) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    if fault is not None:
        here.stand_in.faults.coming.append(replace(fault))
    await cancel(here, taken)
    for _ in range(3):
        await work(here)
        await later(here, owner)
    assert (await state(here.shop, taken.id)).status == "cancelled"
    assert here.state.discounts == {}
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_cancelling_before_the_code_is_there_leaves_nothing(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await cancel(here, taken)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "cancelled"
    assert here.state.discounts == {}
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_a_code_that_was_used_meanwhile_is_not_taken_back(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    order = checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], [taken.code or ""]))
    await cancel(here, taken)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "used"
    assert await here.shop.balance(customer.id) == (500, 0)
    await here.shop.deliver("orders/create", order)
    await here.shop.work()
    assert (await state(here.shop, taken.id)).order_id == order["id"]


async def test_an_order_that_was_quicker_than_the_deletion_is_charged(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    order = checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], [taken.code or ""]))
    # Shopify counts uses later than it grants them.
    only(here).used = 0
    await cancel(here, taken)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "cancelled"
    before = (await here.shop.balance(customer.id))[0]
    await here.shop.deliver("orders/create", {**order, "customer": None})
    await here.shop.work()
    assert (await state(here.shop, taken.id)).status == "used"
    assert (await here.shop.balance(customer.id))[0] == before - 500


@pytest.mark.parametrize(("returns", "balance"), [(True, 1000), (False, 500)])
async def test_a_code_that_runs_out_unused(here: Beside, returns: bool, balance: int) -> None:
    customer = await member(here)
    reward = await offer(here.shop, definition(valid_days=30, returns_unused=returns))
    taken = await redeem(here.shop, customer, reward, at=datetime.now(UTC) - timedelta(days=31))
    await work(here)
    assert (await state(here.shop, taken.id)).status == "expired"
    assert here.state.discounts == {}
    assert await here.shop.balance(customer.id) == (balance, 0)


async def test_a_code_that_runs_out_used_stays_used(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(
        here.shop, customer, await offer(here.shop, definition(valid_days=30)), at=datetime.now(UTC) - timedelta(days=29)
    )
    await work(here)
    checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], [taken.code or ""]))
    scope = here.shop.scope(datetime.now(UTC) + timedelta(days=2))
    async with db.transaction(scope):
        [one] = await settling.claim(scope, 10)
    assert one.status == "expiring"


async def test_a_cancelled_order_returns_the_points_once(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    order = await buy(here, customer, codes=[taken.code])
    cancelled = {**checkout.cancel(here.state, order["id"])}
    for _ in range(2):
        await here.shop.deliver("orders/updated", cancelled)
        await here.shop.deliver("orders/create", order)
        await here.shop.work()
    assert (await state(here.shop, taken.id)).status == "returned"
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_duplicated_and_reordered_deliveries_end_alike(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    here.stand_in.deliveries.copies = 3
    here.stand_in.deliveries.reorder = True
    order = checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], [taken.code or ""]))
    order.pop("refused_codes")
    for topic in ("orders/create", "orders/paid"):
        here.stand_in.deliveries.tell(here.state, topic, order)
    here.stand_in.deliveries.release()
    await here.stand_in.deliveries.settled()
    await here.shop.work()
    assert [one["status"] for one in here.stand_in.deliveries.sent] == [200] * 6
    assert (await state(here.shop, taken.id)).order_id == order["id"]
    assert (await here.shop.balance(customer.id))[0] == 500
