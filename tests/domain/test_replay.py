"""Replay: stored orders come to what is kept with them, and one that does not is named."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain import db, identity, orders
from domain.orders import Drift, Refund
from domain.orders import replay as evaluate_again
from domain.orders.replay import PAGE
from tests.domain.test_guests import EMAIL, account, found
from tests.ledger import converge, later
from tests.shop import NOON, Shop, order, rate

if TYPE_CHECKING:
    import asyncpg


async def drifts(shop: Shop) -> tuple[int, list[Drift]]:
    pages = [page async for page in evaluate_again(shop.scope())]
    return sum(page.orders for page in pages), [drift for page in pages for drift in page.drifts]


async def test_orders_of_every_kind_come_to_what_is_kept(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=3, earning={"caps": {"per_day": 1500}}))
    one, two = await shop.customer(), await shop.customer()
    refunded = order(customer=one.shopify_id)
    await converge(shop, refunded, order(customer=one.shopify_id), order(), order(customer=two.shopify_id, test=True))
    await converge(shop, refunded | {"updated_at": later(1), "cancelled_at": later(1)})
    await shop.publish(rate(20), at=NOON + timedelta(minutes=1))
    second = order(customer=two.shopify_id, created_at=later(5), updated_at=later(5))
    await converge(shop, second, told=[(second["id"], Refund(1)), (refunded["id"], Refund(2))])
    assert await drifts(shop) == (5, [])


async def test_orders_of_guests_of_merged_and_of_closed_accounts_come_to_what_is_kept(shop: Shop) -> None:
    await shop.publish(rate(10, earning={"caps": {"per_day": 1500}}))
    for number, email in ((1, EMAIL), (2, "nobody@example.com"), (3, None)):
        await shop.deliver("orders/create", order(number, email=email))
    await shop.deliver("customers/create", account(7))
    await shop.deliver("orders/create", order(4, customer=8))
    await shop.deliver("orders/create", order(5, customer=9))
    await shop.deliver("customers/disable", {"id": 9, "updated_at": NOON.isoformat()})
    await shop.work()
    assert (await found(shop, 1)).claimed_by == 7
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=7, gone=8)
    await shop.deliver("orders/updated", order(5, customer=9, updated_at=later(1), cancelled_at=later(1)))
    await shop.work()
    assert await drifts(shop) == (5, [])


async def test_more_than_a_page_is_gone_through(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await converge(shop, *(order(customer=customer.shopify_id) for _ in range(PAGE + 1)))
    assert await drifts(shop) == (PAGE + 1, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [("deserved", "deserved + 1"), ("trace", "'{}'"), ("reason", "'TEST_ORDER'"), ("posted_points", "posted_points - 1")],
)
async def test_an_order_that_was_tampered_with_is_named(
    shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]", column: str, value: str
) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    payloads = [order(customer=customer.shopify_id) for _ in range(3)]
    await converge(shop, *payloads)
    await owner.execute(f"set role loyalnest_app; set app.merchant = '{shop.merchant.id}'")
    await owner.execute(f"update orders set {column} = {value} where shopify_id = $1", payloads[1]["id"])
    count, found = await drifts(shop)
    assert (count, [drift.shopify_id for drift in found]) == (3, [payloads[1]["id"]])
    assert await orders.by_shopify_id(shop.scope(), payloads[1]["id"]) is not None
