"""Tiers and segments: who says what, what a merge makes of it, and how exactly it comes back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from domain import audit, customers, db, identity, memberships, outbox, points, rewards
from domain.customers import Customer
from domain.errors import Code, DomainError
from domain.memberships import SEGMENTS_MAX, Membership
from domain.rewards import Obstacle, Standing, obstacles, reach
from domain.scope import Scope
from tests.domain.test_rewards import refused
from tests.rewards import definition, give, offer, redeem, rich
from tests.shop import Shop

MINUTE = timedelta(minutes=1)


async def later(shop: Shop, act: Callable[[Scope], Awaitable[object]]) -> None:
    """Do something in a transaction, a minute after what was before."""
    shop.at += MINUTE
    scope = shop.scope()
    async with db.transaction(scope):
        await act(scope)


async def tier(shop: Shop, customer_id: UUID, handle: str | None) -> None:
    await later(shop, lambda scope: memberships.set_tier(scope, customer_id=customer_id, tier=handle))


async def segments(shop: Shop, customer_id: UUID, *handles: str) -> None:
    await later(shop, lambda scope: memberships.set_segments(scope, customer_id=customer_id, segments=handles))


async def merge(shop: Shop, gone: Customer, kept: Customer) -> None:
    await later(shop, lambda scope: identity.merge(scope, kept=kept.shopify_id, gone=gone.shopify_id, job_id=f"{scope.at}"))


async def undo(shop: Shop, gone: Customer) -> None:
    await later(shop, lambda scope: identity.undo(scope, customer_id=gone.id))


async def of(shop: Shop, customer: Customer) -> tuple[str | None, tuple[str, ...]]:
    found = await memberships.only(shop.scope(), customer.id)
    return found.tier, found.segments


async def changes(shop: Shop) -> list[str]:
    """Whom the outbox says to be changed."""
    found = await outbox.unsent(shop.scope(), 1000)
    return [event.payload["customer_id"] for event in found if event.name == memberships.CHANGED]


async def test_what_is_said_is_kept_told_and_written_down_once(shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    assert await memberships.only(shop.scope(), customer.id) == Membership()
    for _ in range(2):
        await tier(shop, customer.id, "gold")
        await segments(shop, customer.id, "vip", "b2b", "vip")
    assert await memberships.only(shop.scope(), customer.id) == Membership("gold", ("b2b", "vip"), 2)
    assert await memberships.only(shop.scope(), other.id) == Membership()
    assert await changes(shop) == [str(customer.id)] * 2
    await tier(shop, customer.id, None)
    await segments(shop, customer.id)
    assert await memberships.only(shop.scope(), customer.id) == Membership(None, (), 4)
    written = await audit.page(shop.scope(), audit.Filter(subject=f"gid://loyalnest/Customer/{customer.id}"), 10, None)
    assert [(entry.action, entry.before, entry.after) for entry in written] == [
        ("customer.segments_set", '{"segments": ["b2b", "vip"]}', '{"segments": []}'),
        ("customer.tier_set", '{"tier": "gold"}', '{"tier": null}'),
        ("customer.segments_set", '{"segments": []}', '{"segments": ["b2b", "vip"]}'),
        ("customer.tier_set", '{"tier": null}', '{"tier": "gold"}'),
    ]


@pytest.mark.parametrize("handle", ["", " ", "Gold", "gold ", "-gold", "gold-", "g" * 65, "g\0", "göld", "\ud800", "a b", "x\n"])
async def test_what_is_no_handle(shop: Shop, handle: str) -> None:
    customer = await shop.customer()
    await refused(tier(shop, customer.id, handle), Code.HANDLE_INVALID)
    await refused(segments(shop, customer.id, "fine", handle), Code.HANDLE_INVALID)
    assert await of(shop, customer) == (None, ())


async def test_as_many_segments_as_checkout_reads(shop: Shop) -> None:
    customer = await shop.customer()
    handles = [f"s-{number}" for number in range(SEGMENTS_MAX + 1)]
    await refused(segments(shop, customer.id, *handles), Code.TOO_MANY)
    await segments(shop, customer.id, *handles[1:], *handles[1:])
    assert len((await of(shop, customer))[1]) == SEGMENTS_MAX


async def test_whose_account_is_closed_for_good(shop: Shop, other_shop: Shop) -> None:
    gone, kept, disabled, erased = [await shop.customer() for _ in range(4)]
    await tier(shop, erased.id, "gold")
    await merge(shop, gone, kept)
    await later(shop, lambda scope: identity.disable(scope, disabled.shopify_id, scope.at))
    await later(shop, lambda scope: identity.redact(scope, erased.shopify_id))
    for closed in (gone, erased):
        await refused(tier(shop, closed.id, "silver"), Code.ACCOUNT_CLOSED)
    assert await of(shop, erased) == (None, ())
    await tier(shop, disabled.id, "gold")
    assert await of(shop, disabled) == ("gold", ())
    foreign = await other_shop.customer()
    await refused(tier(shop, foreign.id, "gold"), Code.NOT_FOUND)
    assert await of(other_shop, foreign) == (None, ())


async def test_two_at_once_are_one_after_the_other(shop: Shop) -> None:
    customer = await shop.customer()
    await asyncio.gather(*(tier(shop, customer.id, f"t{number}") for number in range(8)))
    found = await memberships.only(shop.scope(), customer.id)
    assert found.revision == len(await changes(shop)) == 8


async def test_a_merge_keeps_the_own_tier_and_unites_the_segments(shop: Shop) -> None:
    gone, kept = await shop.customer(), await shop.customer()
    await tier(shop, gone.id, "gold")
    await segments(shop, gone.id, "a", "b")
    await segments(shop, kept.id, "b", "c")
    await merge(shop, gone, kept)
    assert await of(shop, kept) == ("gold", ("a", "b", "c"))
    assert (await changes(shop))[-1] == str(kept.id)
    # What is said afterwards stands alone, so that it can also say less.
    await segments(shop, kept.id, "b")
    assert await of(shop, kept) == ("gold", ("b",))
    await tier(shop, kept.id, None)
    assert await of(shop, kept) == (None, ("b",))
    await undo(shop, gone)
    assert (await of(shop, gone), await of(shop, kept)) == (("gold", ("a", "b")), (None, ("b",)))
    assert set((await changes(shop))[-2:]) == {str(gone.id), str(kept.id)}


async def test_what_came_by_a_merge_and_is_said_again_stays_when_it_is_undone(shop: Shop) -> None:
    gone, kept = await shop.customer(), await shop.customer()
    await tier(shop, gone.id, "gold")
    await segments(shop, gone.id, "a", "b")
    await merge(shop, gone, kept)
    said = len(await changes(shop))
    for _ in range(2):
        # The second time it is their own already, and nothing changes.
        await tier(shop, kept.id, "gold")
        await segments(shop, kept.id, "b", "a")
    assert len(await changes(shop)) == said + 2
    await undo(shop, gone)
    assert await of(shop, kept) == await of(shop, gone) == ("gold", ("a", "b"))


async def test_of_several_merges_the_first_counts(shop: Shop) -> None:
    first, second, inner, kept = [await shop.customer() for _ in range(4)]
    await tier(shop, inner.id, "bronze")
    await tier(shop, second.id, "gold")
    await merge(shop, inner, first)
    await merge(shop, first, kept)
    await merge(shop, second, kept)
    assert await of(shop, kept) == ("bronze", ())
    await undo(shop, first)
    assert (await of(shop, kept))[0] == "gold"
    assert (await of(shop, first))[0] == "bronze"


@pytest.mark.parametrize("seed", range(4))
async def test_random_merges_are_undone_exactly(shop: Shop, seed: int) -> None:
    """Whatever was said before: when every merge is undone, everybody belongs to what they belonged to."""
    dice = random.Random(seed)
    people = [await shop.customer() for _ in range(5)]
    for person in people:
        await tier(shop, person.id, dice.choice(["gold", "silver", None]))
        await segments(shop, person.id, *dice.sample("abcdef", dice.randrange(4)))
    before = [await of(shop, person) for person in people]
    merged: list[Customer] = []
    for _ in range(6):
        gone, kept = dice.sample([one for one in people if one not in merged], 2)
        own, others = await of(shop, kept), await of(shop, gone)
        await merge(shop, gone, kept)
        merged.append(gone)
        assert await of(shop, kept) == (own[0] or others[0], tuple(sorted({*own[1], *others[1]})))
        if dice.random() < 0.4 or len(merged) == 4:
            await undo(shop, merged.pop())
            assert (await of(shop, kept), await of(shop, gone)) == (own, others)
    for gone in reversed(merged):
        await undo(shop, gone)
    assert [await of(shop, person) for person in people] == before


async def test_rewards_go_by_it(shop: Shop) -> None:
    customer = await rich(shop)
    for_gold, for_vip = await offer(shop, definition(tiers=["gold", "silver"])), await offer(shop, definition(segments=["vip"]))
    for reward in (for_gold, for_vip):
        await refused(redeem(shop, customer, reward), Code.REWARD_NOT_FOR_CUSTOMER)
    await tier(shop, customer.id, "silver")
    await segments(shop, customer.id, "other", "vip")
    for reward in (for_gold, for_vip):
        assert (await redeem(shop, customer, reward)).status == "held"
    found, _ = obstacles(for_gold.definition, "active", None, Standing(500, 0, Membership("bronze", ("gold",), 1)), shop.at)
    assert found == [Obstacle.TIER_REQUIRED]
    found, _ = obstacles(for_vip.definition, "active", None, Standing(500, 0, Membership("vip", (), 1)), shop.at)
    assert found == [Obstacle.SEGMENT_REQUIRED]


async def test_who_comes_to_a_reward_for_others_is_not_told(shop: Shop) -> None:
    customer, other = await shop.customer(), await shop.customer()
    await offer(shop, definition(points=100, tiers=["gold"]))
    await tier(shop, customer.id, "gold")
    for one in (customer, other):
        await give(shop, one.id, 100)
    scope = shop.scope()
    async with db.transaction(scope):
        assert await reach.tell(scope, [(customer.id, 1), (other.id, 1)]) == 1
    told = [await points.activity_since(scope, one.id, (0, 0), 10) for one in (customer, other)]
    assert [len([entry for entry in found if entry.reached]) for found in told] == [1, 0]


async def test_a_person_is_told_what_was_said_of_them(shop: Shop) -> None:
    customer = await shop.customer()
    await tier(shop, customer.id, "gold")
    await segments(shop, customer.id, "vip")
    await later(shop, lambda scope: identity.request_data(scope, customer.shopify_id, 7))
    [export] = await identity.exports(shop.scope(), 1, None)
    scope = shop.scope()
    async with db.transaction(scope):
        _, document = await identity.take_export(scope, export.id)
    assert '"tier":"gold","segments":["vip"]' in document


async def test_a_reward_names_handles(shop: Shop) -> None:
    for changes_ in ({"tiers": ["Gold"]}, {"segments": ["x" * 65]}):
        with pytest.raises(DomainError) as refusal:
            await offer(shop, definition(**changes_))
        assert refusal.value.code is Code.REWARD_INVALID
    assert await rewards.rewards_page(shop.scope(), 1, None, active=True) == []
    assert await customers.page(shop.scope(), 1, None, None) == []
