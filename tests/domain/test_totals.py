"""Running totals: whatever happens, they are the sums of what they sum up, and goals are what reading everything would give."""

import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import actions, db, identity, programs
from domain.actions import Claim, Kind, Movement, TillEntry, WrongTotal
from domain.actions.goals import settle_goals
from domain.errors import DomainError
from domain.programs import Goal
from tests.domain.test_goals import with_goals
from tests.domain.test_merges import GONE, KEPT, THIRD, merge, undo
from tests.ledger import converge, later
from tests.shop import NOON, Shop, open_shop, order

GOALS = (
    Goal("once", points=70, spend="150.00", currency="USD"),
    Goal("often", points=40, spend="80.00", currency="USD", times=4, hold_days=5),
    Goal("early", points=9, spend="60.00", currency="USD", times=3, hold_days=2, ends_at=NOON + timedelta(minutes=30)),
    Goal("euros", points=3, spend="50.00", currency="EUR"),
)
LATE = Goal("late", points=1, spend="90.00", currency="USD", times=9)
PEOPLE = (KEPT, GONE, THIRD)
EXAMPLES = 25
WHO = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), WHO, st.integers(0, 5), st.integers(0, 60)),
        st.tuples(st.just("order"), WHO, st.integers(0, 5), st.integers(0, 60)),
        st.tuples(st.just("refund"), WHO, st.integers(0, 5), st.integers(0, 60)),
        st.tuples(st.just("guest"), WHO, st.integers(0, 5), st.integers(0, 60)),
        st.tuples(st.just("sale"), WHO, st.integers(0, 3), st.integers(0, 60)),
        st.tuples(st.just("return"), WHO, st.integers(0, 3), st.integers(0, 60)),
        st.tuples(st.sampled_from(("merge", "merge", "undo")), WHO, st.integers(1, 2), st.just(0)),
        st.tuples(st.sampled_from(("disable", "enable", "enable")), WHO, st.integers(0, 9), st.just(0)),
        st.tuples(st.sampled_from(("delete", "redact")), WHO, st.just(0), st.just(0)),
        st.tuples(st.just("days"), WHO, st.integers(1, 4), st.just(0)),
        st.tuples(st.just("publish"), WHO, st.integers(0, 2), st.integers(0, 60)),
    ),
    min_size=2,
    max_size=16,
)


async def play(shop: Shop, index: int, what: str, who: int, which: int, minute: int) -> None:
    """One thing that happens to one of three people; what is refused has changed nothing."""
    number, at = PEOPLE[who], NOON + timedelta(minutes=minute)
    match what:
        case "order" | "refund" | "guest":
            status = "paid" if (which + minute) % 3 else "pending"
            changes: dict[str, Any] = {"price": f"{30 + 17 * which}.00", "financial_status": status, "test": which == 5}
            if what == "refund":
                refunded = [{"id": 1, "transactions": [{"id": 2, "kind": "refund", "status": "success", "amount": "25.00"}]}]
                changes |= {"financial_status": "partially_refunded", "refunds": refunded}
            owner = None if what == "guest" else number
            placed = order(100 * who + which + 1, customer=owner, currency="EUR" if which == 4 else "USD", **changes)
            await converge(shop, placed | {"created_at": at.isoformat(), "updated_at": later(minute + index)})
        case "sale" | "return":
            asked = await own_id(shop, number) if what == "sale" else None
            kind, sale = (Movement.SALE, None) if asked else (Movement.REFUND, f"sale {which}")
            entry = TillEntry(f"{what} {which}", kind, at, f"{20 + 30 * which}.00", "USD", asked, sale)
            async with db.transaction(shop.scope()):
                await actions.sync(shop.scope(), [entry])
        case "merge":
            await merge(shop, kept=PEOPLE[(who + which) % 3], gone=number)
        case "undo":
            await undo(shop, await own_id(shop, number))
        case "days":
            shop.at += timedelta(days=which)
            async with db.transaction(shop.scope()):
                await actions.mature(shop.scope(), 100)
        case "publish":
            offered = with_goals(
                *GOALS[which:], *(Goal("late", points=1, spend="90.00", currency="USD", times=9),) * (which == 2)
            )
            await shop.publish(replace(offered, enabled=minute % 4 > 0), at=shop.at)
        case _:
            async with db.transaction(shop.scope()):
                match what:
                    case "disable":
                        await identity.disable(shop.scope(), number, NOON + timedelta(minutes=which))
                    case "enable":
                        await identity.enable(shop.scope(), number, NOON + timedelta(minutes=which + 5))
                    case "delete":
                        await identity.delete(shop.scope(), number)
                    case _:
                        await identity.redact(shop.scope(), number)


async def own_id(shop: Shop, number: int) -> UUID:
    """The id of who goes by this number, whoever stands for them."""
    async with db.connection(shop.scope()) as connection:
        return await connection.fetchval(
            "select id from customers where merchant_id = $1 and shopify_id = $2", shop.merchant.id, number
        )


async def sums(shop: Shop) -> dict[tuple[UUID, str], int]:
    """What was spent towards each goal, added up row by row from all that is kept, by the definitions as they are stored."""
    found: Counter[tuple[UUID, str]] = Counter()
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch("select * from action_spendings where merchant_id = $1", shop.merchant.id)
        versions = await connection.fetch(
            "select version, definition from program_versions where merchant_id = $1", shop.merchant.id
        )
    offered = {row["version"]: programs.definition_from(row["definition"]) for row in versions}
    for row in rows:
        definition = offered[row["program_version"]]
        for goal in definition.actions.goals if definition.enabled and row["paid_at"] else ():
            in_time = (goal.starts_at is None or goal.starts_at <= row["placed_at"]) and (
                goal.ends_at is None or row["placed_at"] < goal.ends_at
            )
            if in_time and goal.currency == row["currency"]:
                found[row["customer_id"], goal.id] += row["spent_minor"]
    return {place: spent for place, spent in found.items() if spent}


async def totals(shop: Shop) -> dict[tuple[UUID, str], int]:
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch(
            "select customer_id, goal, spent_minor from action_totals where merchant_id = $1 and spent_minor > 0",
            shop.merchant.id,
        )
    return {(row["customer_id"], row["goal"]): int(row["spent_minor"]) for row in rows}


async def claimed(shop: Shop, customer_id: UUID) -> list[Claim]:
    return await actions.page(shop.scope(), 1000, None, customer_id, Kind.GOAL)


async def check(shop: Shop) -> None:
    """The totals are the sums; and who looks at everything anew finds that nothing is missing and nothing too many."""
    assert await totals(shop) == await sums(shop)
    assert await actions.wrong_totals(shop.scope()) == []
    for number in PEOPLE:
        customer_id = await own_id(shop, number)
        if customer_id is None:
            continue
        before = await claimed(shop, customer_id)
        async with db.transaction(shop.scope()):
            await settle_goals(shop.scope(), customer_id)
        assert await claimed(shop, customer_id) == before


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
async def test_after_anything_totals_are_sums_and_goals_are_settled(
    application: object, steps: list[tuple[str, int, int, int]]
) -> None:
    shop = await open_shop(application)
    shop.at = NOON + timedelta(hours=2)
    await shop.publish(with_goals(*GOALS))
    for number in PEOPLE:
        await shop.customer(number)
    for index, step in enumerate(steps):
        with contextlib.suppress(DomainError):
            await play(shop, index, *step)
        await check(shop)


async def test_sums_that_no_amount_could_hold_are_exact(shop: Shop) -> None:
    """Two orders of nearly as much as an amount can be: the sum is more than that, and each counts all the same."""
    most = "90000000000000000.00"
    await shop.publish(with_goals(Goal("most", points=5, spend=most, currency="USD", times=3)))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id, price=most)
    await converge(shop, first, order(customer=customer.shopify_id, price=most))
    assert await totals(shop) == {(customer.id, "most"): 2 * 9_000_000_000_000_000_000}
    assert sum(one.deserved for one in await claimed(shop, customer.id)) == 10
    await converge(shop, first | {"cancelled_at": later(1), "updated_at": later(1)})
    assert sum(one.deserved for one in await claimed(shop, customer.id)) == 5
    await check(shop)


async def test_a_total_that_was_changed_is_found(shop: Shop) -> None:
    await shop.publish(with_goals(*GOALS))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="40.00"))
    assert await actions.wrong_totals(shop.scope()) == []
    for kept, statement in (
        (4001, "update action_totals set spent_minor = spent_minor + 1 where goal = 'once'"),
        (0, "update action_totals set spent_minor = 0 where goal = 'once'"),
    ):
        async with db.transaction(shop.scope()) as connection:
            await connection.execute(statement)
        assert await actions.wrong_totals(shop.scope()) == [WrongTotal(customer.id, "once", kept, 4000)]
    async with db.transaction(shop.scope()) as connection:
        await connection.execute("update action_totals set spent_minor = 4000 where goal = 'once'")
        await connection.execute(
            "insert into action_totals (merchant_id, customer_id, goal, spent_minor) values ($1, $2, 'none', 7)",
            shop.merchant.id,
            customer.id,
        )
    assert await actions.wrong_totals(shop.scope()) == [WrongTotal(customer.id, "none", 7, 0)]


async def test_which_order_reached_a_goal_that_waits_is_decided_anew(shop: Shop) -> None:
    """However many orders came since: the refund of an earlier one moves the instant from which the hold runs."""
    held = Goal("held", points=5, spend="100.00", currency="USD", hold_days=10)
    await shop.publish(with_goals(held))
    customer = await shop.customer()
    shop.at = NOON + timedelta(hours=5)
    placed = [
        order(customer=customer.shopify_id, price="50.00", created_at=later(minute), updated_at=later(minute))
        for minute in range(130)
    ]
    await converge(shop, *placed)
    [claim] = await claimed(shop, customer.id)
    assert claim.occurred_at == NOON + timedelta(minutes=1)
    await converge(shop, placed[0] | {"cancelled_at": later(200), "updated_at": later(200)})
    [claim] = await claimed(shop, customer.id)
    assert (claim.occurred_at, claim.matures_at) == (NOON + timedelta(minutes=2), NOON + timedelta(days=10, minutes=2))
    await converge(shop, placed[-1] | {"cancelled_at": later(201), "updated_at": later(201)})
    assert await claimed(shop, customer.id) == [claim]
