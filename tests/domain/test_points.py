"""The ledger: one cause once, sums that hold, a chain that holds, refusals that change nothing."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from msgspec import structs

from domain import db, points
from domain.errors import Code, DomainError
from domain.points import POINTS_MAX, Entry, TransactionType
from domain.points.rules import digest, genesis, link
from tests.shop import NOON, Shop


def entry(customer_id: object, amount: int, cause: str, *, pending: int = 0, floor: int | None = None) -> Entry:
    return Entry(
        customer_id=customer_id,  # type: ignore[arg-type]
        type=TransactionType.EARN,
        points=amount,
        pending=pending,
        source="test",
        external_id=cause,
        purpose="earn",
        floor=floor,
    )


async def post(shop: Shop, *entries: Entry) -> list[points.commands.Posted]:
    async with db.transaction(shop.scope()):
        return await points.post(shop.scope(), entries)


async def adjust(shop: Shop, customer_id: object, amount: int, key: str, reason: str = "gift") -> tuple[object, int]:
    async with db.transaction(shop.scope()):
        return await points.adjust(
            shop.scope(),
            customer_id=customer_id,
            points=amount,
            reason=reason,
            idempotency_key=key,  # type: ignore[arg-type]
        )


async def test_a_batch_is_posted_in_its_order_with_running_balances(shop: Shop) -> None:
    one, two = await shop.customer(), await shop.customer()
    posted = await post(
        shop,
        entry(one.id, 100, "a"),
        entry(two.id, 7, "b", pending=3),
        entry(one.id, -30, "c"),
        entry(one.id, 5, "d", pending=50),
    )
    assert [(p.index, p.position, p.balance, p.pending) for p in posted] == [
        (0, 1, 100, 0),
        (1, 1, 7, 3),
        (2, 2, 70, 0),
        (3, 3, 75, 50),
    ]
    assert await shop.balance(one.id) == (75, 50)
    assert await shop.balance(two.id) == (7, 3)


async def test_a_cause_is_posted_once(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, entry(customer.id, 100, "order-1"))
    posted = await post(shop, entry(customer.id, 100, "order-1"), entry(customer.id, 1, "order-2"))
    assert [(p.index, p.position, p.balance) for p in posted] == [(1, 2, 101)]
    assert await shop.balance(customer.id) == (101, 0)


async def test_a_repeated_entry_is_passed_over_even_when_the_balance_could_not_hold_it_again(shop: Shop) -> None:
    customer = await shop.customer()
    fortune = entry(customer.id, POINTS_MAX, "fortune")
    await post(shop, fortune)
    assert await post(shop, fortune) == []
    with pytest.raises(points.PointsOutOfRange):
        await post(shop, entry(customer.id, 1, "more"))
    assert [p.position for p in await post(shop, entry(customer.id, -1, "less"))] == [2]


async def test_one_cause_at_once_is_posted_once_and_nobody_is_refused(shop: Shop) -> None:
    """Whoever waits for the account finds the cause posted when its turn has come, and leaves nothing of its own."""
    customer = await shop.customer()
    posted = await asyncio.gather(*(post(shop, entry(customer.id, 5, "same")) for _ in range(6)))
    assert sorted(len(one) for one in posted) == [0] * 5 + [1]
    assert await shop.balance(customer.id) == (5, 0)
    assert [p.position for p in await post(shop, entry(customer.id, 1, "next"))] == [2]


async def test_a_list_may_say_something_of_one_entry_alone(shop: Shop) -> None:
    """Columns that say nothing of any entry are left out of what is sent; one that says something of one is not."""
    customer = await shop.customer()
    told = Entry(**{**structs.asdict(entry(customer.id, 2, "b")), "reason": "because", "program_version": 3})
    await post(shop, entry(customer.id, 1, "a"), told, entry(customer.id, 3, "c"))
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch(
            "select external_id, reason, program_version, trace from points_transactions order by position"
        )
    assert [tuple(row) for row in rows] == [("a", None, None, None), ("b", "because", 3, None), ("c", None, None, None)]
    assert db.column([None, None]) is None
    assert db.column([None, 0]) == [None, 0]


async def test_a_repeated_spending_is_passed_over_even_when_it_could_not_be_paid_again(shop: Shop) -> None:
    customer = await shop.customer()
    spending = entry(customer.id, -80, "spend", floor=0)
    await post(shop, entry(customer.id, 100, "start"))
    await post(shop, spending)
    assert await post(shop, spending) == []
    assert [p.balance for p in await post(shop, spending, entry(customer.id, -20, "rest", floor=0))] == [0]
    with pytest.raises(points.InsufficientPoints):
        await post(shop, spending, entry(customer.id, -1, "more", floor=0))
    assert await shop.balance(customer.id) == (0, 0)


async def test_a_cause_that_stands_twice_in_one_batch_is_a_bug_and_books_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    with pytest.raises(asyncpg.UniqueViolationError):
        await post(shop, entry(customer.id, 1, "same"), entry(customer.id, 2, "same"))
    assert await shop.balance(customer.id) == (0, 0)


async def test_the_chain_is_what_its_documentation_says(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, entry(customer.id, 100, "a"), entry(customer.id, -1, "b"))
    rows = await points.since(shop.scope(), customer.id, 0, 10)
    expected = genesis(shop.merchant.id, customer.id)
    for row, balance in zip(rows, (100, 99), strict=True):
        content = digest("earn", row.points, 0, "test", row.external_id, "earn", None, None, "system:test", None, NOON)
        expected = link(expected, row.position, balance, 0, content)
        assert row.hash == expected


async def test_concurrent_posts_to_one_account_lose_nothing(shop: Shop) -> None:
    customer = await shop.customer()
    await asyncio.gather(*(post(shop, entry(customer.id, number, f"order-{number}")) for number in range(1, 101)))
    assert await shop.balance(customer.id) == (5050, 0)


async def test_concurrent_posts_of_one_cause_have_one_effect(shop: Shop) -> None:
    customer = await shop.customer()
    results = await asyncio.gather(*(post(shop, entry(customer.id, 10, "same")) for _ in range(50)))
    assert sorted(len(posted) for posted in results) == [0] * 49 + [1]
    assert await shop.balance(customer.id) == (10, 0)


async def test_concurrent_spending_stops_at_the_floor(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, entry(customer.id, 1050, "start"))

    async def spend(number: int) -> bool:
        try:
            await post(shop, entry(customer.id, -100, f"spend-{number}", floor=0))
        except points.InsufficientPoints:
            return False
        return True

    outcomes = await asyncio.gather(*(spend(number) for number in range(100)))
    assert outcomes.count(True) == 10
    assert await shop.balance(customer.id) == (50, 0)


async def test_one_refused_entry_refuses_all(shop: Shop) -> None:
    customer = await shop.customer()
    with pytest.raises(points.InsufficientPoints):
        await post(shop, entry(customer.id, 100, "a"), entry(customer.id, -101, "b", floor=0))
    assert await shop.balance(customer.id) == (0, 0)


@pytest.mark.parametrize(
    ("first", "second"), [(POINTS_MAX, 1), (-POINTS_MAX, -1), (POINTS_MAX, POINTS_MAX), (POINTS_MAX + 1, 0), (2**63 - 1, 0)]
)
async def test_sums_beyond_the_range_are_refused(shop: Shop, first: int, second: int) -> None:
    customer = await shop.customer()
    with pytest.raises(points.PointsOutOfRange) as refusal:
        await post(shop, entry(customer.id, first, "a"), entry(customer.id, second, "b"))
    assert refusal.value.code is Code.POINTS_OUT_OF_RANGE
    assert await shop.balance(customer.id) == (0, 0)


async def test_the_largest_balance_is_kept_exactly(shop: Shop) -> None:
    customer = await shop.customer()
    await post(shop, entry(customer.id, POINTS_MAX, "a"))
    assert await shop.balance(customer.id) == (POINTS_MAX, 0)


async def test_a_foreign_customer_is_not_there(shop: Shop, other_shop: Shop) -> None:
    foreign = await other_shop.customer()
    for customer_id in (foreign.id, uuid4()):
        with pytest.raises(DomainError) as refusal:
            await post(shop, entry(customer_id, 100, "a"))
        assert (refusal.value.code, refusal.value.message) == (Code.NOT_FOUND, "There is no such customer.")
    assert await other_shop.balance(foreign.id) == (0, 0)


async def test_an_adjustment_is_booked_audited_and_announced(shop: Shop) -> None:
    customer = await shop.customer()
    _, position = await adjust(shop, customer.id, 250, "key-1", "late delivery")
    assert position == 1
    [row] = await points.since(shop.scope(), customer.id, 0, 10)
    assert (row.type, row.points, row.reason, row.actor, row.source) == (
        "adjust",
        250,
        "late delivery",
        "system:test",
        "adjustment",
    )
    async with db.connection(shop.scope()) as connection:
        audited = await connection.fetch("select actor, action, subject, before, after from audit_entries")
        events = await connection.fetch("select event, payload from outbox")
    assert [tuple(entry) for entry in audited] == [
        (
            "system:test",
            "points.adjusted",
            f"gid://loyalnest/Customer/{customer.id}",
            '{"balance": 0}',
            '{"points": 250, "balance": 250, "position": 1}',
        )
    ]
    assert [tuple(event) for event in events] == [("points.changed", f'{{"version": 1, "customer_id": "{customer.id}"}}')]


async def test_the_same_adjustment_twice_is_one(shop: Shop) -> None:
    customer = await shop.customer()
    answers = await asyncio.gather(*(adjust(shop, customer.id, 10, "key-1") for _ in range(20)))
    assert answers == [(customer.id, 1)] * 20
    assert await shop.balance(customer.id) == (10, 0)


async def test_a_key_belongs_to_its_input(shop: Shop) -> None:
    customer = await shop.customer()
    await adjust(shop, customer.id, 10, "key-1")
    for amount, reason in ((11, "gift"), (10, "another reason")):
        with pytest.raises(DomainError) as refusal:
            await adjust(shop, customer.id, amount, "key-1", reason)
        assert refusal.value.code is Code.IDEMPOTENCY_KEY_REUSED
    assert await shop.balance(customer.id) == (10, 0)


async def test_keys_of_two_merchants_do_not_meet(shop: Shop, other_shop: Shop) -> None:
    one, other = await shop.customer(), await other_shop.customer()
    await adjust(shop, one.id, 10, "key-1")
    await adjust(other_shop, other.id, 99, "key-1")
    assert (await shop.balance(one.id), await other_shop.balance(other.id)) == ((10, 0), (99, 0))


@pytest.mark.parametrize(
    ("amount", "key", "reason", "code", "field"),
    [
        (0, "k", "gift", Code.POINTS_ZERO, ("points",)),
        (5, " ", "gift", Code.IDEMPOTENCY_KEY_REQUIRED, ("idempotencyKey",)),
        (5, "k" * 256, "gift", Code.TOO_LONG, ("idempotencyKey",)),
        (5, "k", "  ", Code.BLANK, ("reason",)),
        (5, "k", "x" * 501, Code.TOO_LONG, ("reason",)),
        (-1, "k", "gift", Code.INSUFFICIENT_POINTS, ("points",)),
        (POINTS_MAX + 1, "k", "gift", Code.POINTS_OUT_OF_RANGE, ("points",)),
    ],
)
async def test_a_refused_adjustment_changes_nothing(
    shop: Shop, amount: int, key: str, reason: str, code: Code, field: tuple[str, ...]
) -> None:
    customer = await shop.customer()
    with pytest.raises(DomainError) as refusal:
        await adjust(shop, customer.id, amount, key, reason)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert await shop.balance(customer.id) == (0, 0)
    async with db.connection(shop.scope()) as connection:
        for table in ("audit_entries", "outbox", "idempotency_keys"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0
