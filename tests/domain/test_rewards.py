"""The catalogue and taking rewards: what stands in the way, what is counted, and what a repeat gives."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain import db, outbox, rewards
from domain.errors import Code, DomainError
from domain.memberships import Membership
from domain.rewards import Definition, InvalidReward, Obstacle, RewardKind, RewardStatus, obstacles
from domain.rewards.rules import Standing, validate
from tests.rewards import definition, offer, redeem, rich, state
from tests.shop import NOON, Shop

DAY = timedelta(days=1)
_keys = itertools.count(1)


@pytest.mark.parametrize("kind", list(RewardKind))
def test_each_kind_has_what_it_needs(kind: RewardKind) -> None:
    validate(definition(kind))


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        (RewardKind.AMOUNT_OFF, {"points": 0}, "points"),
        (RewardKind.AMOUNT_OFF, {"points": 2**53}, "points"),
        (RewardKind.AMOUNT_OFF, {"amount_minor": None}, "amount"),
        (RewardKind.AMOUNT_OFF, {"amount_minor": 0}, "amount"),
        (RewardKind.AMOUNT_OFF, {"percent_hundredths": 5}, "percent"),
        (RewardKind.AMOUNT_OFF, {"product_ids": [1]}, "productIds"),
        (RewardKind.AMOUNT_OFF, {"names": {"de": "Etwas"}}, "names"),
        (RewardKind.AMOUNT_OFF, {"names": {"en": " "}}, "names"),
        (RewardKind.AMOUNT_OFF, {"names": {"en": "x" * 81}}, "names"),
        (RewardKind.AMOUNT_OFF, {"descriptions": {"e": "x"}}, "descriptions"),
        (RewardKind.AMOUNT_OFF, {"limit_per_customer": 0}, "limitPerCustomer"),
        (RewardKind.AMOUNT_OFF, {"valid_days": 3651}, "validDays"),
        (RewardKind.AMOUNT_OFF, {"tiers": [""]}, "tiers"),
        (RewardKind.AMOUNT_OFF, {"segments": ["x" * 65]}, "segments"),
        (RewardKind.AMOUNT_OFF, {"starts_at": NOON, "ends_at": NOON}, "endsAt"),
        (RewardKind.PERCENTAGE, {"percent_hundredths": 10_001}, "percent"),
        (RewardKind.FREE_PRODUCT, {"product_ids": []}, "productIds"),
        (RewardKind.FREE_PRODUCT, {"product_ids": list(range(1, 102))}, "productIds"),
        (RewardKind.FREE_PRODUCT, {"quantity": 0}, "quantity"),
        (RewardKind.FREE_PRODUCT, {"minimum_subtotal_minor": 1}, "minimumSubtotal"),
        (RewardKind.CASHBACK, {"valid_days": None}, "validDays"),
    ],
)
def test_a_reward_that_breaks_a_rule_says_which(kind: RewardKind, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidReward) as refusal:
        validate(definition(kind, **changes))
    assert refusal.value.code is Code.REWARD_INVALID
    assert refusal.value.field == (field,)


def test_names_fall_back_to_the_language_and_then_to_english() -> None:
    named = definition(names={"en": "Tea", "pt": "Chá", "pt-BR": "Chazinho"}, descriptions={"en": "Hot"})
    assert [named.name(locale) for locale in ("pt-BR", "pt-PT", "fr")] == ["Chazinho", "Chá", "Tea"]
    assert named.description("fr") == "Hot"
    assert definition().description() is None


@pytest.mark.parametrize(
    ("changes", "status", "stock", "standing", "expected"),
    [
        ({}, "active", None, Standing(500, 0, Membership()), []),
        ({}, "paused", None, Standing(500, 0, Membership()), [Obstacle.PAUSED]),
        ({"starts_at": NOON}, "active", None, Standing(500, 0, Membership()), []),
        ({"starts_at": NOON + DAY}, "active", None, Standing(500, 0, Membership()), [Obstacle.NOT_STARTED]),
        ({"ends_at": NOON}, "active", None, Standing(500, 0, Membership()), [Obstacle.ENDED]),
        ({"ends_at": NOON + DAY}, "active", 1, Standing(500, 0, Membership()), []),
        ({}, "active", 0, Standing(500, 0, Membership()), [Obstacle.OUT_OF_STOCK]),
        ({"limit_per_customer": 2}, "active", None, Standing(500, 1, Membership()), []),
        ({"limit_per_customer": 2}, "active", None, Standing(500, 2, Membership()), [Obstacle.LIMIT_REACHED]),
        ({"tiers": ["gold"]}, "active", None, Standing(500, 0, Membership()), [Obstacle.TIER_REQUIRED]),
        ({"tiers": ["gold"]}, "active", None, Standing(500, 0, Membership("gold")), []),
        ({"segments": ["vip"]}, "active", None, Standing(500, 0, Membership()), [Obstacle.SEGMENT_REQUIRED]),
        (
            {"segments": ["vip"]},
            "active",
            None,
            Standing(
                500,
                0,
                Membership(
                    segments=(
                        "vip",
                        "new",
                    )
                ),
            ),
            [],
        ),
        ({}, "active", None, Standing(499, 0, Membership()), [Obstacle.INSUFFICIENT_POINTS]),
        ({}, "paused", 0, Standing(-10, 0, Membership()), [Obstacle.PAUSED, Obstacle.OUT_OF_STOCK, Obstacle.INSUFFICIENT_POINTS]),
    ],
)
def test_what_stands_in_the_way(
    changes: dict[str, Any], status: str, stock: int | None, standing: Standing, expected: list[Obstacle]
) -> None:
    found, missing = obstacles(definition(**changes), status, stock, standing, NOON)
    assert found == expected
    assert missing == max(0, 500 - standing.balance)


async def test_taking_a_reward_takes_its_points_and_asks_for_its_discount(shop: Shop) -> None:
    reward, customer = await offer(shop, definition(valid_days=30)), await rich(shop)
    taken = await redeem(shop, customer, reward, at=NOON)
    assert (taken.status, taken.points, taken.expires_at) == ("held", 500, NOON + 30 * DAY)
    assert taken.code is not None
    assert taken.code.startswith("LN-")
    assert len(taken.code) == 15
    assert await shop.balance(customer.id) == (500, 0)
    events = [event.name for event in await outbox.unsent(shop.scope(), 100)]
    assert events[-1] == "redemption.held"


async def test_the_same_key_gives_the_same_redemption_and_another_input_is_refused(shop: Shop) -> None:
    reward, customer = await offer(shop), await rich(shop)
    first = await redeem(shop, customer, reward, at=NOON, key="once")
    assert await redeem(shop, customer, reward, at=NOON + DAY, key="once") == first
    assert await shop.balance(customer.id) == (500, 0)
    other = await offer(shop)
    await refused(redeem(shop, customer, other, key="once"), Code.IDEMPOTENCY_KEY_REUSED)
    await refused(redeem(shop, customer, reward, key=" "), Code.IDEMPOTENCY_KEY_REQUIRED)


async def test_a_hundred_at_once_take_exactly_what_the_balance_holds(shop: Shop) -> None:
    reward, customer = await offer(shop, definition(points=300)), await rich(shop, 2000)
    answers = await asyncio.gather(*(redeem(shop, customer, reward) for _ in range(100)), return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, DomainError)]
    assert len(answers) - len(codes) == 6
    assert set(codes) == {Code.INSUFFICIENT_POINTS}
    assert await shop.balance(customer.id) == (200, 0)


async def test_fifty_with_one_key_are_one(shop: Shop) -> None:
    reward, customer = await offer(shop), await rich(shop)
    answers = await asyncio.gather(*(redeem(shop, customer, reward, at=NOON, key="one") for _ in range(50)))
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert await shop.balance(customer.id) == (500, 0)


async def test_a_limit_holds_when_all_come_at_once(shop: Shop) -> None:
    reward, customer = await offer(shop, definition(points=1, limit_per_customer=3)), await rich(shop)
    answers = await asyncio.gather(*(redeem(shop, customer, reward) for _ in range(20)), return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, DomainError)]
    assert len(codes) == 17
    assert set(codes) == {Code.REWARD_LIMIT_REACHED}
    assert await shop.balance(customer.id) == (997, 0)


async def test_a_stock_is_shared_out_once(shop: Shop) -> None:
    reward = await offer(shop, definition(points=1), stock=5)
    customers = [await rich(shop) for _ in range(4)]
    answers = await asyncio.gather(
        *(redeem(shop, customer, reward) for customer in customers for _ in range(3)), return_exceptions=True
    )
    codes = [answer.code for answer in answers if isinstance(answer, DomainError)]
    assert len(codes) == 7
    assert set(codes) == {Code.REWARD_OUT_OF_STOCK}
    kept = await rewards.reward(shop.scope(), reward.id)
    assert kept is not None
    assert kept.stock == 0


async def test_a_pool_gives_each_coupon_once(shop: Shop) -> None:
    reward = await offer(shop, definition(RewardKind.COUPON, points=1))
    customer = await rich(shop)
    await refused(redeem(shop, customer, reward), Code.REWARD_OUT_OF_STOCK)
    scope = shop.scope()
    async with db.transaction(scope):
        pool, added = await rewards.add_coupons(scope, reward.id, ["A", "B", " B ", "C"])
        assert (pool.stock, added) == (3, 3)
        assert (await rewards.add_coupons(scope, reward.id, ["C", "D"]))[1] == 1
    taken = await asyncio.gather(*(redeem(shop, customer, reward) for _ in range(6)), return_exceptions=True)
    given = [one for one in taken if not isinstance(one, BaseException)]
    assert sorted(one.code or "" for one in given) == ["A", "B", "C", "D"]
    assert {one.status for one in given} == {"issued"}
    assert {one.code for one in taken if isinstance(one, DomainError)} == {Code.REWARD_OUT_OF_STOCK}
    await refused(cancel(shop, given[0]), Code.REDEMPTION_NOT_CANCELLABLE)
    for codes in ([], [""], ["x" * 65], ["x"] * 1001):
        await refused(add(shop, reward, codes), Code.REWARD_INVALID)
    await refused(add(shop, await offer(shop), ["x"]), Code.REWARD_INVALID)


async def test_two_store_credits_of_one_moment_can_be_told_apart(shop: Shop) -> None:
    reward, customer = await offer(shop, definition(RewardKind.CASHBACK)), await rich(shop, 2000)
    ends = [(await redeem(shop, customer, reward, at=NOON)).expires_at for _ in range(3)]
    assert [end - NOON - 30 * DAY for end in ends if end] == [timedelta(seconds=number) for number in range(3)]


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({}, {"status": RewardStatus.PAUSED}, Code.REWARD_UNAVAILABLE),
        ({"ends_at": NOON}, {}, Code.REWARD_UNAVAILABLE),
        ({"tiers": ["gold"]}, {}, Code.REWARD_NOT_FOR_CUSTOMER),
        ({"points": 5000}, {}, Code.INSUFFICIENT_POINTS),
        ({"kind": RewardKind.PAY_WITH_POINTS}, {}, Code.REWARD_UNAVAILABLE),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_moves_nothing(
    shop: Shop, changes: dict[str, Any], options: dict[str, Any], code: Code
) -> None:
    kind = changes.pop("kind", RewardKind.AMOUNT_OFF)
    reward, customer = await offer(shop, definition(kind, **changes), **options), await rich(shop)
    await refused(redeem(shop, customer, reward), code)
    assert await shop.balance(customer.id) == (1000, 0)


async def test_a_reward_stays_what_it_was_for_those_who_have_it(shop: Shop) -> None:
    reward, customer = await offer(shop), await rich(shop)
    taken = await redeem(shop, customer, reward)
    edited = await edit(shop, reward, definition(points=700, amount_minor=900))
    assert (edited.revision, edited.definition.points) == (2, 700)
    assert (await state(shop, taken.id)).definition == definition()
    await refused(edit(shop, reward, definition(), revision=1), Code.REWARD_CHANGED)
    await refused(edit(shop, reward, definition(RewardKind.FREE_SHIPPING)), Code.REWARD_INVALID)


async def test_a_shop_has_one_way_to_pay_with_points(shop: Shop) -> None:
    await offer(shop, definition(RewardKind.PAY_WITH_POINTS))
    await refused(offer(shop, definition(RewardKind.PAY_WITH_POINTS)), Code.REWARD_INVALID)


async def test_another_shops_reward_is_not_there(shop: Shop, other_shop: Shop) -> None:
    reward, foreign = await offer(other_shop), await rich(other_shop)
    customer = await rich(shop)
    await refused(redeem(shop, customer, reward), Code.NOT_FOUND)
    await refused(redeem(shop, foreign, await offer(shop)), Code.NOT_FOUND)
    await refused(edit(shop, reward, definition()), Code.NOT_FOUND)
    taken = await redeem(other_shop, foreign, reward)
    await refused(cancel(shop, taken), Code.NOT_FOUND)
    await refused(cancel(other_shop, taken, customer.id), Code.NOT_FOUND)


async def test_cancelling_begins_once(shop: Shop) -> None:
    reward, customer = await offer(shop), await rich(shop)
    taken = await redeem(shop, customer, reward)
    first = await cancel(shop, taken)
    assert first.status == "cancelling"
    assert await cancel(shop, taken) == replace(first)
    # The points return when the code is gone in Shopify, not before.
    assert await shop.balance(customer.id) == (500, 0)


async def cancel(shop: Shop, taken: rewards.Redemption, customer_id: Any = None) -> rewards.Redemption:
    scope = shop.now()
    async with db.transaction(scope):
        return await rewards.cancel(scope, taken.id, customer_id=customer_id)


async def edit(shop: Shop, reward: rewards.Reward, wanted: Definition, revision: int | None = None) -> rewards.Reward:
    scope = shop.now()
    async with db.transaction(scope):
        return await rewards.update(scope, reward.id, wanted, stock=None, status=RewardStatus.ACTIVE, revision=revision)


async def add(shop: Shop, reward: rewards.Reward, codes: list[str]) -> None:
    scope = shop.now()
    async with db.transaction(scope):
        await rewards.add_coupons(scope, reward.id, codes)


async def refused(awaitable: Any, code: Code) -> None:
    with pytest.raises(DomainError) as refusal:
        await awaitable
    assert refusal.value.code is code
