"""Redemptions while Shopify refuses, is away, loses answers, and while workers die."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from domain import db, installations, points, rewards
from domain.rewards import RewardKind, settling
from integrations.shopify.discounts import ensure_code
from local.shopify_stand_in.faults import Fault, Kind
from local.shopify_stand_in.shop import Discount
from tests.rewards import definition, offer, redeem, rich, state
from tests.stand_in import Beside, later, member, only, work

Connection = asyncpg.Connection  # type: ignore[type-arg]


@pytest.mark.parametrize("kind", ["unavailable", "lost", "garbled", "throttled", "too_many"])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_whatever_the_network_does_there_is_one_discount(here: Beside, owner: Connection, kind: Kind, times: int) -> None:
    customer = await member(here)
    here.stand_in.faults.coming.append(Fault("CodeBasic", kind, times=times))
    taken = await redeem(here.shop, customer, await offer(here.shop))
    for _ in range(3):
        await work(here)
        await later(here, owner)
    assert (await state(here.shop, taken.id)).status == "issued"
    assert only(here).code == taken.code
    assert await here.shop.balance(customer.id) == (500, 0)


async def test_what_shopify_refuses_gives_the_points_back_to_their_lot(here: Beside, owner: Connection) -> None:
    customer = await member(here)
    before = await points.open_lots(here.shop.scope(), customer.id, 10)
    here.stand_in.faults.coming.append(Fault("CodeBasic", "refused"))
    reward = await offer(here.shop, stock=3)
    taken = await redeem(here.shop, customer, reward)
    await work(here)
    failed = await state(here.shop, taken.id)
    assert (failed.status, failed.failure) == ("failed", "ACCESS_DENIED")
    assert here.state.discounts == {}
    assert await here.shop.balance(customer.id) == (1000, 0)
    assert await points.open_lots(here.shop.scope(), customer.id, 10) == before
    kept = await rewards.reward(here.shop.scope(), reward.id)
    assert kept is not None
    assert kept.stock == 3
    await later(here, owner)
    await work(here)
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_a_customer_whom_shopify_does_not_know_gets_the_points_back(here: Beside) -> None:
    customer = await rich(here.shop)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    assert (await state(here.shop, taken.id)).failure == "INVALID"
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_a_shop_that_has_removed_the_app_gives_the_points_back(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await installations.uninstall(here.shop.now())
    await work(here)
    assert (await state(here.shop, taken.id)).failure == "NOT_INSTALLED"
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_only_the_shop_whose_tokens_we_have_ends_them_by_removing_the_app(here: Beside) -> None:
    for domain in ("another.myshopify.com", here.shop.merchant.shop_domain):
        assert await installations.current(here.shop.now()) is not None
        payload = {"id": 1, "myshopify_domain": domain, "email": "owner@example.com"}
        await here.shop.deliver("app/uninstalled", payload)
        await here.shop.work()
    assert await installations.current(here.shop.now()) is None


async def test_a_crash_before_the_call_is_made_good(here: Beside, owner: Connection) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await leased(here)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "held"
    await later(here, owner)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "issued"
    assert only(here).code == taken.code


async def test_a_crash_after_the_call_is_made_good(here: Beside, owner: Connection) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    [one] = await leased(here)
    await ensure_code(here.shopify, here.shop.now(), one, customer.shopify_id, "USD")
    await later(here, owner)
    await work(here)
    assert (await state(here.shop, taken.id)).status == "issued"
    assert only(here).code == taken.code
    assert await here.shop.balance(customer.id) == (500, 0)


async def test_two_workers_on_one_redemption_make_one_discount(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    [one] = await leased(here)
    made = await asyncio.gather(*(ensure_code(here.shopify, here.shop.now(), one, customer.shopify_id, "USD") for _ in range(8)))
    assert set(made) == {only(here).id}
    for _ in range(2):
        async with db.transaction(scope := here.shop.now()):
            await settling.issued(scope, taken.id, made[0])
    assert (await state(here.shop, taken.id)).status == "issued"


async def test_a_discount_that_comes_after_all_is_removed(here: Beside, owner: Connection) -> None:
    """Shopify refuses, the points go back, and then the request that was given up is carried out."""
    customer = await member(here)
    here.stand_in.faults.coming.append(Fault("CodeBasic", "refused"))
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    await ensure_code(here.shopify, here.shop.now(), replace(taken, attempts=1), customer.shopify_id, "USD")
    assert len(here.state.discounts) == 1
    await later(here, owner)
    await work(here)
    assert here.state.discounts == {}
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_a_code_of_somebody_else_is_left_alone(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    given = {"title": "Another", "code": taken.code, "startsAt": "2026-01-01T00:00:00+00:00"}
    here.state.discounts[1] = Discount(1, "basic", given)
    await work(here)
    assert (await state(here.shop, taken.id)).failure == "TAKEN"
    assert only(here).title == "Another"
    assert await here.shop.balance(customer.id) == (1000, 0)


@pytest.mark.parametrize("kind", ["unavailable", "lost", "garbled", "throttled", "too_many"])
@pytest.mark.parametrize("times", [1, 2])
async def test_store_credit_is_given_once(here: Beside, owner: Connection, kind: Kind, times: int) -> None:
    customer = await member(here)
    here.stand_in.faults.coming.append(Fault("StoreCredit", kind, times=times))
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(RewardKind.CASHBACK)))
    for _ in range(4):
        await work(here)
        await later(here, owner)
    [credit] = here.state.credits
    assert credit["amount"] == {"amount": "7.00", "currencyCode": "USD"}
    done = await state(here.shop, taken.id)
    assert (done.status, done.shopify_id) == ("used", credit["id"])
    assert await here.shop.balance(customer.id) == (500, 0)


async def test_two_store_credits_are_two(here: Beside, owner: Connection) -> None:
    customer = await member(here)
    reward = await offer(here.shop, definition(RewardKind.CASHBACK))
    here.stand_in.faults.coming.append(Fault("StoreCredit", "lost", times=2))
    for _ in range(2):
        await redeem(here.shop, customer, reward)
    for _ in range(4):
        await work(here)
        await later(here, owner)
    assert len(here.state.credits) == 2
    assert await here.shop.balance(customer.id) == (0, 0)


async def leased(here: Beside) -> list[rewards.Redemption]:
    """What a worker does first; then it dies."""
    scope = here.shop.now()
    async with db.transaction(scope):
        return await settling.claim(scope, 10)
