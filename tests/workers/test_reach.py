"""Customers are told when their points come to what a reward costs: once a crossing, whatever happens to the relay."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import db, identity, outbox, points, rewards
from domain.customers import State
from domain.points import Entry, TransactionType
from domain.rewards import Definition, Reward, RewardKind, RewardStatus, reach
from tests.rewards import definition, offer, redeem
from tests.shop import Shop
from tests.workers.rings import ringing
from workers.relay import relay

MINUTE = timedelta(minutes=1)
_keys = count(1)


async def post(shop: Shop, customer_id: UUID, *amounts: int, kind: TransactionType = TransactionType.ADJUST) -> None:
    """Post entries together, a minute after the ones before."""
    shop.at += MINUTE
    entries = [Entry(customer_id, kind, amount, 0, "test", f"{next(_keys)}", "reach") for amount in amounts]
    async with db.transaction(shop.scope()):
        await points.post(shop.scope(), entries)


async def told(shop: Shop, customer_id: UUID) -> list[tuple[int, int, UUID, int]]:
    """What the customer was told: (position, number, reward, cost)."""
    found = await points.activity_since(shop.scope(), customer_id, (0, 0), 100)
    return [(one.position, one.number, one.reached.reward_id, one.reached.points) for one in found if one.reached]


async def edit(shop: Shop, reward: Reward, **changes: Any) -> Reward:
    scope = shop.scope()
    options: dict[str, Any] = {"stock": reward.stock, "status": RewardStatus(reward.status), "revision": None}
    options |= {name: changes.pop(name) for name in ("stock", "status") if name in changes}
    async with db.transaction(scope):
        return await rewards.update(scope, reward.id, msgspec.structs.replace(reward.definition, **changes), **options)


async def test_coming_to_the_cost_is_told_once_and_being_over_it_is_not(shop: Shop) -> None:
    mug, coat = await offer(shop, definition(points=100)), await offer(shop, definition(points=250))
    customer, other = await shop.customer(), await shop.customer()
    for amount, expected in (
        (99, []),
        (1, [(2, 1, mug.id, 100)]),
        (149, [(2, 1, mug.id, 100)]),
        (500, [(2, 1, mug.id, 100), (4, 1, coat.id, 250)]),
        (500, [(2, 1, mug.id, 100), (4, 1, coat.id, 250)]),
    ):
        await post(shop, customer.id, amount)
        await relay(shop.scope())
        assert await relay(shop.scope()) == 0
        assert await told(shop, customer.id) == expected
    assert await told(shop, other.id) == []


async def test_two_rewards_by_one_entry_are_told_the_cheaper_first(shop: Shop) -> None:
    coat, mug = await offer(shop, definition(points=250)), await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 300)
    await relay(shop.scope())
    assert await told(shop, customer.id) == [(1, 1, mug.id, 100), (1, 2, coat.id, 250)]


async def test_a_balance_that_falls_below_and_rises_again_is_told_again(shop: Shop) -> None:
    reward = await offer(shop, definition(points=100))
    customer = await shop.customer()
    for amount in (100, -1, 1):
        await post(shop, customer.id, amount)
        await relay(shop.scope())
    assert await told(shop, customer.id) == [(1, 1, reward.id, 100), (3, 1, reward.id, 100)]


async def test_entries_posted_together_are_all_looked_at(shop: Shop) -> None:
    """The event names the newest only; the crossing is the one before."""
    reward = await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 60)
    await post(shop, customer.id, 10, 50, 5)
    assert [event.payload["version"] for event in await outbox.unsent(shop.scope(), 100)] == [1, 4]
    await relay(shop.scope())
    assert await told(shop, customer.id) == [(4, 1, reward.id, 100)]
    async with db.connection(shop.scope()) as connection:
        [notice] = await connection.fetch("select kind, cause from points_notices where merchant_id = $1", shop.merchant.id)
    assert tuple(notice) == ("reward.reachable", f"reward:{reward.id}:3")


async def test_points_that_are_gone_when_it_would_be_told_are_not_told(shop: Shop) -> None:
    await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    await post(shop, customer.id, -1)
    await relay(shop.scope())
    assert await told(shop, customer.id) == []


async def test_a_reward_that_becomes_cheaper_or_active_tells_nobody(shop: Shop) -> None:
    dear = await offer(shop, definition(points=1000))
    paused = await offer(shop, definition(points=100), status=RewardStatus.PAUSED)
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    await relay(shop.scope())
    await edit(shop, dear, points=100)
    await edit(shop, paused, status=RewardStatus.ACTIVE)
    await relay(shop.scope())
    await post(shop, customer.id, 1)
    await relay(shop.scope())
    assert await told(shop, customer.id) == []


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (definition(points=100), {"stock": 0}),
        (definition(RewardKind.COUPON, points=100), {}),
        (definition(points=100), {"status": RewardStatus.PAUSED}),
        (definition(points=100, tiers=["gold"]), {}),
        (definition(points=100, segments=["vip"]), {}),
        (definition(RewardKind.PAY_WITH_POINTS, points=100), {}),
    ],
)
async def test_rewards_that_cannot_be_taken_are_not_told(shop: Shop, wanted: Definition, options: dict[str, Any]) -> None:
    await offer(shop, wanted, **options)
    beside = await offer(shop, definition(points=90))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    await relay(shop.scope())
    assert [reward_id for _, _, reward_id, _ in await told(shop, customer.id)] == [beside.id]


async def test_rewards_outside_their_dates_are_not_told(shop: Shop) -> None:
    soon = await offer(shop, definition(points=100, starts_at=shop.at + MINUTE * 2))
    over = await offer(shop, definition(points=100, ends_at=shop.at + MINUTE * 2))
    customer, later = await shop.customer(), await shop.customer()
    await post(shop, customer.id, 100)
    await relay(shop.scope())
    await post(shop, later.id, 100)
    await relay(shop.scope())
    assert await told(shop, customer.id) == [(1, 1, over.id, 100)]
    assert await told(shop, later.id) == [(1, 1, soon.id, 100)]


async def test_who_has_taken_all_that_they_may_is_not_told(shop: Shop) -> None:
    reward = await offer(shop, definition(points=100, limit_per_customer=1))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    await relay(shop.scope())
    await redeem(shop, customer, reward, at=shop.at + MINUTE)
    await post(shop, customer.id, 100)
    await relay(shop.scope())
    assert await told(shop, customer.id) == [(1, 1, reward.id, 100)]


async def test_points_that_come_by_a_merge_and_closed_accounts_are_not_told(shop: Shop) -> None:
    await offer(shop, definition(points=100))
    kept, gone, closed = await shop.customer(), await shop.customer(), await shop.customer()
    await post(shop, kept.id, 60)
    await post(shop, gone.id, 60)
    shop.at += MINUTE
    async with db.transaction(shop.scope()):
        await identity.merge(shop.scope(), kept=kept.shopify_id, gone=gone.shopify_id, job_id="merge")
    await post(shop, closed.id, 100)
    async with db.transaction(shop.scope()):
        await points.close(shop.scope(), [closed.id], State.DISABLED)
    await relay(shop.scope())
    assert await shop.balance(kept.id) == (120, 0)
    assert [await told(shop, one.id) for one in (kept, gone, closed)] == [[], [], []]


async def test_a_relay_that_is_killed_tells_when_it_comes_again_and_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reward = await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    tell = reach.tell

    async def killed(*given: Any) -> int:
        assert await tell(*given) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reach, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            await relay(shop.scope())
    assert await told(shop, customer.id) == []
    # The change's event was kept, and so it is told now, with an event of its own.
    assert await relay(shop.scope()) == 2
    assert await relay(shop.scope()) == 0
    assert await told(shop, customer.id) == [(1, 1, reward.id, 100)]


async def test_relays_at_the_same_time_tell_once(shop: Shop) -> None:
    reward = await offer(shop, definition(points=100))
    members = [await shop.customer() for _ in range(20)]
    for one in members:
        await post(shop, one.id, 100)
    await asyncio.gather(*(relay(shop.scope()) for _ in range(4)))
    assert [await told(shop, one.id) for one in members] == [[(1, 1, reward.id, 100)]] * 20
    assert await relay(shop.scope()) == 0


async def test_telling_twice_of_the_same_change_is_telling_once(shop: Shop) -> None:
    reward = await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    scope = shop.scope()
    for expected in (1, 0):
        async with db.transaction(scope):
            assert await reach.tell(scope, [(customer.id, 1)]) == expected
    assert await told(shop, customer.id) == [(1, 1, reward.id, 100)]


async def test_another_shops_rewards_and_customers_are_not_seen(shop: Shop, other_shop: Shop) -> None:
    await offer(other_shop, definition(points=100))
    customer, foreign = await shop.customer(), await other_shop.customer()
    await post(shop, customer.id, 100)
    await post(other_shop, foreign.id, 100)
    await relay(shop.scope())
    assert await told(shop, customer.id) == []
    async with db.transaction(shop.scope()):
        assert await reach.tell(shop.scope(), [(foreign.id, 1)]) == 0


async def test_the_notice_rings_for_itself(shop: Shop) -> None:
    await offer(shop, definition(points=100))
    customer = await shop.customer()
    await post(shop, customer.id, 100)
    async with ringing(shop) as rings:
        assert await relay(shop.scope()) == 2
        assert await rings(2) == [[[str(shop.merchant.id), str(customer.id), 1]]] * 2
