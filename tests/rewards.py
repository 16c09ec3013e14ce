"""Rewards for tests: definitions, points to spend on them, and the workers run by hand."""

import itertools
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db, points, rewards
from domain.customers import Customer
from domain.points import Entry, TransactionType
from domain.rewards import Definition, Redemption, Reward, RewardKind
from tests.shop import Shop

_keys = itertools.count(1)


def definition(kind: RewardKind = RewardKind.AMOUNT_OFF, **changes: Any) -> Definition:
    """A reward of a kind, 500 points, with what the kind needs."""
    needs: dict[RewardKind, dict[str, Any]] = {
        RewardKind.AMOUNT_OFF: {"amount_minor": 500},
        RewardKind.PERCENTAGE: {"percent_hundredths": 1250},
        RewardKind.FREE_SHIPPING: {},
        RewardKind.FREE_PRODUCT: {"product_ids": [632910394]},
        RewardKind.EXCLUSIVE_PRODUCT: {"product_ids": [632910393], "percent_hundredths": 10_000},
        RewardKind.COUPON: {},
        RewardKind.CASHBACK: {"amount_minor": 700, "valid_days": 30},
        RewardKind.PAY_WITH_POINTS: {"amount_minor": 100, "points": 100},
    }
    return Definition(**{"kind": kind, "names": {"en": "A treat"}, "points": 500, **needs[kind], **changes})


async def offer(shop: Shop, wanted: Definition | None = None, **options: Any) -> Reward:
    """Put a reward into the catalogue."""
    scope = shop.scope()
    async with db.transaction(scope):
        return await rewards.create(scope, wanted or definition(), **options)


async def give(shop: Shop, customer_id: UUID, amount: int) -> None:
    """Give a customer points."""
    scope = shop.scope()
    entry = Entry(customer_id, TransactionType.ADJUST, amount, 0, "adjustment", f"give {next(_keys)}", "adjust")
    async with db.transaction(scope):
        await points.post(scope, [entry])


async def rich(shop: Shop, amount: int = 1000) -> Customer:
    """A customer with points."""
    customer = await shop.customer()
    await give(shop, customer.id, amount)
    return customer


async def redeem(
    shop: Shop, customer: Customer, reward: Reward, *, at: datetime | None = None, key: str | None = None
) -> Redemption:
    """Take a reward at an instant."""
    scope = shop.scope(at) if at else shop.now()
    async with db.transaction(scope):
        return await rewards.redeem(
            scope, customer_id=customer.id, reward_id=reward.id, idempotency_key=key or f"redeem {next(_keys)}"
        )


async def state(shop: Shop, redemption_id: UUID) -> Redemption:
    """A redemption as it is now."""
    found = await rewards.redemption(shop.scope(), redemption_id)
    assert found is not None
    return found
