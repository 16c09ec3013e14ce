"""Merged and taken apart at once: whatever happened before, everything is as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import actions, customers, db, orders
from domain.actions import Kind, Movement, TillEntry
from domain.customers import Customer
from domain.programs import Actions, BirthdayRule, Clawback, EventRule, FollowRule, Goal, Network
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
        st.tuples(st.just("follow"), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just("event"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("sale"), st.integers(0, 1), st.integers(1, 200)),
        st.tuples(st.just("birthday"), st.integers(0, 1), st.integers(1, 28)),
    ),
    max_size=12,
)


ACTIONS = Actions(
    birthday=BirthdayRule(30),
    follows=(
        FollowRule(Network.INSTAGRAM, 20, "https://example.com/i"),
        FollowRule(Network.TIKTOK, 25, "https://example.com/t", 3),
    ),
    events=(EventRule("quiz", 15, hold_days=2, per_life=2, per_day=1),),
    goals=(
        Goal("once", points=70, spend="150.00", currency="USD"),
        Goal("often", points=40, spend="80.00", currency="USD", times=4, hold_days=5),
    ),
)


async def act(shop: Shop, customer: Customer, what: str, amount: int, name: str) -> None:
    """What is a claim: now, but for a birthday, which was told long ago and given for on its day."""
    now, told = shop.scope(), shop.scope(NOON - timedelta(days=120))
    async with db.transaction(now):
        match what:
            case "follow":
                await actions.claim_follow(now, customer_id=customer.id, network=(Network.INSTAGRAM, Network.TIKTOK)[amount])
            case "event":
                await actions.record_event(
                    now, name="quiz", customer_id=customer.id, occurred_at=NOON, event_id=name, properties=None
                )
            case "sale":
                await actions.sync(now, [TillEntry(name, Movement.SALE, NOON, f"{amount}.00", "USD", customer.id, None)])
            case _:
                day = datetime(2026, 2, amount, 12, tzinfo=UTC)
                await actions.set_birthday(told, customer_id=customer.id, month=2, day=amount, year=None)
                while await actions.give_birthdays(shop.scope(day), 10):
                    pass


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
            case "follow" | "event" | "sale" | "birthday":
                await act(shop, customer, what, amount, name)
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
        told.append(await actions.birthday(shop.scope(), one.id))
        # A claim that deserved something only while they were one stays without points, and may have been there or not.
        told += sorted(
            (each.kind, each.key, each.deserved, each.posted_points, each.posted_pending, each.absorbed, each.forgiven, each.lots)
            for each in await actions.page(shop.scope(), 1000, None, one.id, None)
            if each.deserved or each.posted_points or each.posted_pending or each.absorbed or each.forgiven
        )
    return told


async def earned(shop: Shop, people: tuple[Customer, Customer]) -> int:
    """What is booked for the claims of two customers, less what has expired of it."""
    found = [each for one in people for each in await actions.page(shop.scope(), 1000, None, one.id, None)]
    return sum(each.posted_points + each.posted_pending for each in found)


async def follows(shop: Shop, customer: Customer) -> list[str]:
    return [each.rule for each in await actions.page(shop.scope(), 100, None, customer.id, Kind.FOLLOW) if each.deserved]


async def goals(shop: Shop, customer: Customer) -> list[str]:
    found = await actions.page(shop.scope(), 100, None, customer.id, Kind.GOAL)
    return sorted((each.rule for each in found if each.deserved), reverse=True)


async def spending(shop: Shop) -> int:
    """What the whole shop has sold and was paid for, in minor units."""
    async with db.connection(shop.scope()) as connection:
        return await connection.fetchval(
            "select coalesce(sum(spent_minor), 0)::bigint from action_spendings where merchant_id = $1 and paid_at is not null",
            shop.merchant.id,
        )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, policy=st.sampled_from(list(Clawback)))
async def test_undone_at_once_everything_is_as_before(application: object, steps: list[Step], policy: Clawback) -> None:
    """Whatever happened to two customers: merged and taken apart, every balance, lot, date and order is as it was."""
    shop = await open_shop(application)
    await shop.publish(rate(1, signup_points=40, hold_days=0, clawback=policy, actions=ACTIONS))
    people = await two(shop)
    await play(shop, people, steps)
    before = await state(shop, people)
    total = [sum(pair) for pair in zip(await shop.balance(people[0].id), await shop.balance(people[1].id), strict=True)]
    claimed = await earned(shop, people)
    await merge(shop)
    taken = 40 * (sum(1 for who in (0, 1) if any(step[:2] == ("join", who) for step in steps)) == 2)
    balance, pending = await shop.balance(people[0].id)
    # Whatever else has changed is what claims have gained by the union, or lost because both had it.
    assert balance + pending == sum(total) - taken + await earned(shop, people) - claimed
    assert await shop.balance(people[1].id) == (0, 0)
    assert sum(remaining for _, remaining in await lots(shop, people[0].id)) == max(0, balance)
    assert len(await follows(shop, people[0])) == len(set(await follows(shop, people[0])))
    spent = await spending(shop)
    reached = {goal.id: min(goal.times, spent // goal.spend_minor()) for goal in ACTIONS.goals}
    assert await goals(shop, people[0]) == ["once"] * reached["once"] + ["often"] * reached["often"]
    await undo(shop, people[1].id)
    assert await state(shop, people) == before
