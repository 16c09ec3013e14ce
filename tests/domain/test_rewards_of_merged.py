"""Rewards across a merge and a closed account: what a checkout had is paid by who stands for the customer, and no order fails."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import db, identity, inbox, orders, points, rewards
from domain.rewards import RewardKind, settling
from tests.ledger import later
from tests.rewards import definition, give, offer
from tests.shop import Shop, line, order, rate

KEPT, GONE = 7, 8


async def merge(shop: Shop, kept: int = KEPT, gone: int = GONE) -> None:
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=kept, gone=gone)


async def reserve(shop: Shop, customer_id: UUID, amount: int) -> rewards.Reservation:
    await offer(shop, definition(RewardKind.PAY_WITH_POINTS))
    async with db.transaction(shop.scope()):
        return await rewards.reserve(shop.scope(), customer_id=customer_id, points=amount, idempotency_key="r")


def paid_with(held: rewards.Reservation, amount: str, customer: int, **changes: Any) -> dict[str, Any]:
    """An order of 100.00 that paid `amount` with reserved points."""
    return order(
        1,
        customer=customer,
        line_items=[line(discount_allocations=[{"amount": amount, "discount_application_index": 0}])],
        discount_applications=[{"type": "automatic", "title": held.definition.name()}],
        note_attributes=[{"name": "_loyalnest_reservation", "value": str(held.id)}],
        **changes,
    )


async def deliver(shop: Shop, payload: dict[str, Any]) -> None:
    await shop.deliver("orders/updated", payload)
    await shop.work()
    assert {one.status for one in await inbox.page(shop.scope(), 10, None, status=None, topic=None)} == {"done"}


async def end(shop: Shop) -> None:
    """The reservation's time passes."""
    for _ in range(2):
        shop.at += timedelta(minutes=10)
        async with db.transaction(shop.scope()):
            await rewards.end_due(shop.scope(), 10)


async def status(shop: Shop, held: rewards.Reservation) -> tuple[str, int]:
    found = await rewards.reservation(shop.scope(), held.id)
    assert found is not None
    return found.status, found.points_used


@pytest.mark.parametrize("named", [KEPT, GONE])
async def test_who_was_merged_amid_a_checkout_pays_with_what_was_reserved(shop: Shop, named: int) -> None:
    await shop.publish(rate(1))
    kept, gone = await shop.customer(KEPT), await shop.customer(GONE)
    await give(shop, gone.id, 1000)
    held = await reserve(shop, gone.id, 800)
    await merge(shop)
    assert await shop.balance(kept.id) == (200, 0)
    await deliver(shop, paid_with(held, "5.00", named))
    assert await status(shop, held) == ("captured", 500)
    # 300 come back, and 95 are earned.
    assert await shop.balance(kept.id) == (595, 0)
    await deliver(shop, paid_with(held, "5.00", named, cancelled_at=later(1), updated_at=later(1)))
    assert await shop.balance(kept.id) == (1000, 0)
    assert await shop.balance(gone.id) == (0, 0)


async def test_what_is_owed_after_the_points_went_back_is_owed_by_who_was_kept(shop: Shop) -> None:
    await shop.publish(rate(1))
    kept, gone = await shop.customer(KEPT), await shop.customer(GONE)
    await give(shop, gone.id, 1000)
    held = await reserve(shop, gone.id, 800)
    await end(shop)
    await merge(shop)
    await deliver(shop, paid_with(held, "5.00", GONE))
    assert await status(shop, held) == ("captured", 500)
    assert await shop.balance(kept.id) == (595, 0)
    await deliver(shop, paid_with(held, "5.00", GONE, cancelled_at=later(1), updated_at=later(1)))
    assert await shop.balance(kept.id) == (1000, 0)


async def test_an_order_of_a_closed_account_that_paid_late_is_booked_all_the_same(shop: Shop) -> None:
    await shop.publish(rate(1))
    customer = await shop.customer(GONE)
    await give(shop, customer.id, 1000)
    held = await reserve(shop, customer.id, 800)
    await end(shop)
    await shop.deliver("customers/disable", {"id": GONE, "updated_at": shop.at.isoformat()})
    await shop.work()
    await deliver(shop, paid_with(held, "5.00", GONE))
    assert await status(shop, held) == ("released", 0)
    found = await orders.by_shopify_id(shop.scope(), 1)
    assert found is not None
    assert found.reason == "ACCOUNT_CLOSED"
    # It is opened, and the order told again: now it pays.
    await shop.deliver("customers/enable", {"id": GONE, "updated_at": (shop.at + timedelta(seconds=1)).isoformat()})
    await shop.work()
    await deliver(shop, paid_with(held, "5.00", GONE))
    assert await status(shop, held) == ("captured", 500)
    assert await shop.balance(customer.id) == (595, 0)


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_code_that_was_used_after_its_points_went_back_is_owed_by_who_was_kept(shop: Shop, is_closed: bool) -> None:
    await shop.publish(rate(1))
    kept, gone = await shop.customer(KEPT), await shop.customer(GONE)
    await give(shop, gone.id, 1000)
    reward = await offer(shop)
    async with db.transaction(shop.scope()):
        taken = await rewards.redeem(shop.scope(), customer_id=gone.id, reward_id=reward.id, idempotency_key="k")
        await settling.failed(shop.scope(), taken.id, "INTERNAL")
    await merge(shop)
    if is_closed:
        await shop.deliver("customers/disable", {"id": KEPT, "updated_at": shop.at.isoformat()})
        await shop.work()
    used = order(1, customer=KEPT, price="10.00", discount_codes=[{"code": taken.code}])
    await deliver(shop, used)
    assert await shop.balance(kept.id) == ((1000, 0) if is_closed else (510, 0))
    if not is_closed:
        await deliver(shop, used | {"cancelled_at": later(1), "updated_at": later(1)})
        assert await shop.balance(kept.id) == (1000, 0)
    assert (await points.since(shop.scope(), gone.id, 0, 100))[-1].source == "merge"
