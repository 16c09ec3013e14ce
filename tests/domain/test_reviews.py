"""Reviews: given for once while they are published, matched to who wrote them whenever they become known, and capped."""

import asyncio
import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import actions, customers, db
from domain.actions import Kind, Provider, Told
from domain.programs import Actions, ReviewRule
from tests.ledger import rows, spend
from tests.shop import NOON, Shop, rate
from workers.actions import settle
from workers.job import in_transaction

EMAIL = "Ada@Example.com"
MINUTE = timedelta(minutes=1)


def with_reviews(points: int = 100, **more: Any) -> Any:
    return rate(1, actions=Actions(review=ReviewRule(points, **more)))


def told(
    review_id: str = "1", *, email: str | None = EMAIL, published: bool = True, minutes: int = 0, at: datetime = NOON
) -> Told:
    """What a delivery tells of a review that was written at `at` and changed so many minutes after noon."""
    return Told(review_id, email, published, at, NOON + minutes * MINUTE)


async def tell(shop: Shop, *tellings: Told, provider: Provider = Provider.JUDGEME) -> list[bool]:
    """Keep them as the door does, each by itself. Returns which were news."""
    return [await actions.tell(shop.scope(), provider, one) for one in tellings]


async def work(shop: Shop) -> None:
    """As the job does, at noon."""
    while await in_transaction(shop.scope(), lambda: actions.settle_reviews(shop.scope(), 10)):
        pass


async def arrive(shop: Shop, number: int, email: str = EMAIL) -> UUID:
    """A customer becomes known, as Shopify tells of them."""
    person = {"id": number, "email": email, "created_at": NOON.isoformat(), "updated_at": NOON.isoformat()}
    await shop.deliver("customers/create", person)
    await shop.work()
    found = await customers.by_shopify_id(shop.scope(), number)
    assert found is not None
    return found.id


async def claims(shop: Shop) -> dict[str, tuple[int, str | None]]:
    return {one.key: (one.deserved, one.reason) for one in await actions.page(shop.scope(), 100, None, None, Kind.REVIEW)}


async def test_a_published_review_is_given_for_once(shop: Shop) -> None:
    await shop.publish(with_reviews())
    customer_id = await arrive(shop, 1)
    assert await tell(shop, told(), told(), told(minutes=1)) == [True, False, True]
    await work(shop)
    await tell(shop, told(minutes=2))
    await work(shop)
    assert await rows(shop, customer_id) == [(100, 0, "confirmed:1", None)]
    assert await claims(shop) == {"judgeme/1": (100, None)}


async def test_who_is_unknown_gets_it_when_they_come(shop: Shop, other_shop: Shop) -> None:
    for one in (shop, other_shop):
        await one.publish(with_reviews())
    await tell(shop, told(), told("2", email=" ada@example.COM "), told("3", email=None), told("4", email="eve@example.com"))
    await work(shop)
    assert await claims(shop) == {}
    elsewhere = await arrive(other_shop, 1)
    customer_id = await arrive(shop, 2)
    for one in (shop, other_shop):
        await settle(one.scope())
    assert await shop.balance(customer_id) == (200, 0)
    assert await other_shop.balance(elsewhere) == (0, 0)
    assert set(await claims(shop)) == {"judgeme/1", "judgeme/2"}


async def test_a_name_that_looks_like_the_address_is_nobodys_address(shop: Shop) -> None:
    await shop.publish(with_reviews())
    person = {"id": 1, "email": "eve@example.com", "first_name": EMAIL, "created_at": NOON.isoformat()}
    await shop.deliver("customers/create", person | {"updated_at": NOON.isoformat()})
    await shop.work()
    await tell(shop, told())
    await work(shop)
    assert await claims(shop) == {}


async def test_what_is_not_published_any_more_is_taken_back_exactly(shop: Shop) -> None:
    await shop.publish(with_reviews())
    customer_id = await arrive(shop, 1)
    await tell(shop, told())
    await work(shop)
    await spend(shop, customer_id, 30)
    await tell(shop, told(published=False, minutes=1))
    await work(shop)
    assert (await rows(shop, customer_id))[-2:] == [(-30, 0, "hold", None), (-100, 0, "reversed:2", 1)]
    assert await claims(shop) == {"judgeme/1": (0, "NOT_PUBLISHED")}
    await tell(shop, told(minutes=2))
    await work(shop)
    assert await shop.balance(customer_id) == (70, 0)


@pytest.mark.parametrize("last_is_published", [True, False])
async def test_tellings_in_any_order_end_alike(shop: Shop, last_is_published: bool) -> None:
    await shop.publish(with_reviews())
    customer_id = await arrive(shop, 1)
    story = [told(published=False), told(minutes=1), told(published=False, minutes=2), told(minutes=2)]
    if last_is_published:
        story.append(told(minutes=3))
    for index, order in enumerate(itertools.permutations(range(len(story)), len(story))):
        if index % 7:
            continue
        before, _ = await shop.balance(customer_id)
        for place in order:
            one = story[place]
            await tell(shop, Told(f"r{index}", one.email, one.published, one.written_at, one.updated_at))
            await settle(shop.scope())
        after, _ = await shop.balance(customer_id)
        assert after - before == (100 if last_is_published else 0), order


async def test_a_reviews_writer_stays_who_they_were(shop: Shop) -> None:
    await shop.publish(with_reviews())
    one, two = await arrive(shop, 1), await arrive(shop, 2, "eve@example.com")
    await tell(shop, told())
    await work(shop)
    await tell(shop, told(email="eve@example.com", minutes=1))
    await work(shop)
    assert (await shop.balance(one), await shop.balance(two)) == ((100, 0), (0, 0))


async def test_a_cap_counts_the_reviews_of_all_providers(shop: Shop) -> None:
    await shop.publish(with_reviews(per_day=2, per_life=3))
    customer_id = await arrive(shop, 1)
    before = NOON - timedelta(days=1)
    await tell(shop, told("1"), told("2"))
    await work(shop)
    await tell(shop, told("3"), told("4", at=before), told("5", at=before), provider=Provider.YOTPO)
    await work(shop)
    # What comes after is judged by what was given: reviews of one batch are judged one after the other.
    reasons = sorted(str(reason) for _, reason in (await claims(shop)).values())
    assert reasons == ["DAILY_CAP", "LIFETIME_CAP", "None", "None", "None"]
    assert await shop.balance(customer_id) == (300, 0)


async def test_a_review_is_decided_by_the_program_of_the_day_it_was_written(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.publish(with_reviews(hold_days=5), at=NOON)
    customer_id = await arrive(shop, 1)
    await tell(shop, told("1", at=NOON - MINUTE), told("2"))
    await work(shop)
    assert await claims(shop) == {"judgeme/1": (0, "NOT_OFFERED"), "judgeme/2": (100, None)}
    assert await shop.balance(customer_id) == (0, 100)
    await tell(shop, told("2", published=False, minutes=1))
    await work(shop)
    assert await shop.balance(customer_id) == (0, 0)


async def test_a_customer_and_a_review_that_come_at_the_same_time_meet(shop: Shop) -> None:
    await shop.publish(with_reviews())
    for number in range(1, 11):
        email = f"p{number}@example.com"
        await asyncio.gather(
            *(tell(shop, told(f"{number}.{part}", email=email)) for part in range(3)),
            arrive(shop, number, email),
            settle(shop.scope()),
            settle(shop.scope()),
        )
        await settle(shop.scope())
        found = await customers.by_shopify_id(shop.scope(), number)
        assert found is not None
        assert found.balance == 300, number


async def test_a_batch_leaves_the_rest_for_the_next(shop: Shop) -> None:
    await shop.publish(with_reviews())
    customer_id = await arrive(shop, 1)
    await tell(shop, *(told(str(number)) for number in range(5)))
    looked_at = [await in_transaction(shop.scope(), lambda: actions.settle_reviews(shop.scope(), 2)) for _ in range(4)]
    assert looked_at == [2, 2, 1, 0]
    assert await shop.balance(customer_id) == (500, 0)


async def test_two_workers_give_once(shop: Shop) -> None:
    await shop.publish(with_reviews())
    customer_id = await arrive(shop, 1)
    await tell(shop, *(told(str(number)) for number in range(30)))
    await asyncio.gather(*(settle(shop.scope()) for _ in range(4)))
    async with db.connection(shop.scope()) as connection:
        left = await connection.fetchval(
            "select count(*) from reviews where merchant_id = $1 and due_at is not null", shop.merchant.id
        )
    assert (left, await shop.balance(customer_id)) == (0, (3000, 0))
