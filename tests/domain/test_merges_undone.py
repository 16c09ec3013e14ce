"""Merged and taken apart at once: whatever happened before, everything is as it was."""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import customers, db, orders
from domain.customers import Customer
from domain.programs import Clawback
from tests.domain.test_merges import GONE, KEPT, dated_lots, give, join, merge, two, undo
from tests.ledger import converge, lots, spend
from tests.shop import NOON, Shop, open_shop, order, rate

Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("earn"), st.integers(0, 1), st.integers(1, 200)),
        st.tuples(st.just("dated"), st.integers(0, 1), st.integers(1, 60)),
        st.tuples(st.just("spend"), st.integers(0, 1), st.integers(1, 150)),
        st.tuples(st.just("debt"), st.integers(0, 1), st.integers(1, 150)),
        st.tuples(st.just("order"), st.integers(0, 1), st.integers(0, 2)),
        st.tuples(st.just("refund"), st.integers(0, 1), st.integers(0, 2)),
        st.tuples(st.just("join"), st.integers(0, 1), st.just(0)),
    ),
    max_size=9,
)


async def play(shop: Shop, people: tuple[Customer, Customer], steps: list[Step]) -> None:
    numbers = (KEPT, GONE)
    for index, (what, who, amount) in enumerate(steps):
        customer, name = people[who], f"s{index}"
        match what:
            case "earn":
                await give(shop, customer, amount, name)
            case "dated":
                await give(shop, customer, 2 * amount, name, days=amount)
            case "debt":
                await give(shop, customer, -amount, name)
            case "spend":
                balance, _ = await shop.balance(customer.id)
                if balance >= amount:
                    await spend(shop, customer.id, amount, name)
            case "join":
                await join(shop, numbers[who])
            case _:
                status = ("pending", "paid", "authorized")[amount]
                late = NOON + timedelta(minutes=index)
                cancelled = {"cancelled_at": NOON.isoformat()} if what == "refund" else {}
                number = 100 * who + amount
                await converge(
                    shop,
                    order(number + 1, customer=numbers[who], updated_at=late.isoformat(), financial_status=status, **cancelled),
                )


async def state(shop: Shop, people: tuple[Customer, Customer]) -> list[Any]:
    told: list[Any] = []
    for one in people:
        found = await customers.by_id(shop.scope(), one.id)
        assert found is not None
        told += [await shop.balance(one.id), await dated_lots(shop, one.id), found.state, found.merged_into, found.joined_at]
        async with db.transaction(shop.scope()):
            told += [
                (each.shopify_id, each.lots, each.posted_points, each.posted_pending, each.expired_elsewhere, each.reason)
                for each in await orders.of_customer(shop.scope(), one.id)
            ]
    return told


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, policy=st.sampled_from(list(Clawback)))
async def test_undone_at_once_everything_is_as_before(application: object, steps: list[Step], policy: Clawback) -> None:
    """Whatever happened to two customers: merged and taken apart, every balance, lot, date and order is as it was."""
    shop = await open_shop(application)
    await shop.publish(rate(1, signup_points=40, hold_days=0, clawback=policy))
    people = await two(shop)
    await play(shop, people, steps)
    before = await state(shop, people)
    total = [sum(pair) for pair in zip(await shop.balance(people[0].id), await shop.balance(people[1].id), strict=True)]
    await merge(shop)
    taken = 40 * (sum(1 for who in (0, 1) if any(step[:2] == ("join", who) for step in steps)) == 2)
    balance, pending = await shop.balance(people[0].id)
    assert [balance, pending] == [total[0] - taken, total[1]]
    assert await shop.balance(people[1].id) == (0, 0)
    assert sum(remaining for _, remaining in await lots(shop, people[0].id)) == max(0, balance)
    await undo(shop, people[1].id)
    assert await state(shop, people) == before
