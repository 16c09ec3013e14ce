"""Two customers turn out to be one, and turn out not to be: every lot, date, debt and order moves, and goes back."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import customers, db, identity, orders, points
from domain.customers import Customer, CustomerSnapshot, Merge, Profile
from domain.errors import Code, DomainError
from domain.points import Entry, TransactionType
from tests.ledger import converge, give_back, lots, rows, spend
from tests.shop import NOON, Shop, order, rate

KEPT, GONE, THIRD = 7, 8, 9


async def merge(shop: Shop, kept: int = KEPT, gone: int = GONE, job_id: str | None = None) -> Merge | None:
    async with db.transaction(shop.scope()):
        return await identity.merge(shop.scope(), kept=kept, gone=gone, job_id=job_id)


async def undo(shop: Shop, customer_id: UUID) -> Merge:
    async with db.transaction(shop.scope()):
        return await identity.undo(shop.scope(), customer_id=customer_id)


async def refused(act: Awaitable[Any]) -> Code:
    with pytest.raises(DomainError) as refusal:
        await act
    return refusal.value.code


async def give(
    shop: Shop, customer: Customer, amount: int, name: str, *, days: int | None = None, floor: int | None = None
) -> int:
    expires_at = None if days is None else NOON + timedelta(days=days)
    kind = TransactionType.EARN if amount > 0 else TransactionType.ADJUST
    async with db.transaction(shop.scope()):
        [posted] = await points.post(
            shop.scope(),
            [Entry(customer.id, kind, amount, 0, "test", name, "give", expires_at=expires_at, floor=floor)],
        )
    return posted.position


async def join(shop: Shop, number: int) -> None:
    async with db.transaction(shop.scope()):
        joined = await customers.arrive(shop.scope(), [(CustomerSnapshot(number, NOON, NOON), Profile(f"{number}@example.com"))])
        await points.award_signups(shop.scope(), joined)


async def dated_lots(shop: Shop, customer_id: UUID) -> list[tuple[int, int, Any]]:
    return [(one.lot, one.remaining, one.expires_at) for one in await points.open_lots(shop.scope(), customer_id, 100)]


async def two(shop: Shop) -> tuple[Customer, Customer]:
    return await shop.customer(KEPT), await shop.customer(GONE)


async def test_lots_move_one_by_one_with_their_dates(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, kept, 5, "k", days=20)
    await give(shop, gone, 10, "a", days=30)
    await give(shop, gone, 20, "b", days=10)
    await give(shop, gone, 40, "c")
    await spend(shop, gone.id, 5)
    done = await merge(shop)
    assert done is not None
    assert await shop.balance(gone.id) == (0, 0)
    assert await shop.balance(kept.id) == (70, 0)
    assert await dated_lots(shop, gone.id) == []
    assert await dated_lots(shop, kept.id) == [
        (2, 15, NOON + timedelta(days=10)),
        (1, 5, NOON + timedelta(days=20)),
        (3, 10, NOON + timedelta(days=30)),
        (4, 40, None),
    ]
    assert (await rows(shop, gone.id))[-3:] == [(-15, 0, "out:2:4", None), (-10, 0, "out:1:4", None), (-40, 0, "out:3:4", None)]
    assert (await rows(shop, kept.id))[-3:] == [(15, 0, "in:2:4", None), (10, 0, "in:1:4", None), (40, 0, "in:3:4", None)]
    found = await points.transaction(shop.scope(), kept.id, 2)
    assert found is not None
    assert (found.type, found.source, found.external_id) == ("merge", "merge", str(done.id))


async def test_the_merged_customer_leads_to_the_kept_one(shop: Shop) -> None:
    kept, gone = await two(shop)
    await merge(shop)
    assert (await shop.customer(GONE)).id == kept.id
    found = await customers.by_id(shop.scope(), gone.id)
    assert found is not None
    assert (found.state, found.merged_into) == ("merged", kept.id)
    await shop.publish(rate(1))
    await converge(shop, order(1, customer=GONE))
    assert await shop.balance(kept.id) == (100, 0)


async def test_running_twice_is_running_once(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, 10, "a")
    assert await merge(shop) is not None
    version = (await shop.customer(KEPT)).version
    assert await merge(shop) is None
    assert await merge(shop, job_id="gid://shopify/Job/1") is None
    assert (await shop.customer(KEPT)).version == version
    assert await shop.balance(kept.id) == (10, 0)


async def test_a_merge_back_and_a_merge_elsewhere_are_refused(shop: Shop) -> None:
    await two(shop)
    await merge(shop)
    assert await refused(merge(shop, kept=GONE, gone=KEPT)) == Code.MERGE_CONFLICT
    assert await refused(merge(shop, kept=THIRD, gone=GONE)) == Code.MERGE_CONFLICT
    assert await refused(merge(shop, kept=KEPT, gone=KEPT)) == Code.MERGE_CONFLICT


async def test_unknown_customers_are_made(shop: Shop) -> None:
    assert await merge(shop, 501, 502) is not None
    assert (await shop.customer(502)).id == (await shop.customer(501)).id


async def test_debts_add_up(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, kept, -30, "k")
    await give(shop, gone, -50, "g")
    await merge(shop)
    assert await shop.balance(kept.id) == (-80, 0)
    assert await shop.balance(gone.id) == (0, 0)


@pytest.mark.parametrize(("own", "others", "left"), [(-30, 100, 70), (100, -30, 70), (20, -50, -30), (-50, 20, -30)])
async def test_a_debt_is_paid_by_the_others_points(shop: Shop, own: int, others: int, left: int) -> None:
    kept, gone = await two(shop)
    await give(shop, kept, own, "k")
    await give(shop, gone, others, "g")
    before = await dated_lots(shop, kept.id), await dated_lots(shop, gone.id)
    await merge(shop)
    assert await shop.balance(kept.id) == (left, 0)
    assert sum(remaining for _, remaining in await lots(shop, kept.id)) == max(0, left)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((own, 0), (others, 0))
    assert (await dated_lots(shop, kept.id), await dated_lots(shop, gone.id)) == before


async def test_orders_follow_and_are_refunded_from_the_lots_that_moved(shop: Shop) -> None:
    await shop.publish(rate(1))
    kept, gone = await two(shop)
    await give(shop, kept, 500, "k")
    await converge(shop, order(1, customer=GONE, line_items=[{"id": 1, "price": "100.00", "quantity": 2}]))
    await merge(shop)
    assert await shop.balance(kept.id) == (700, 0)
    assert await lots(shop, kept.id) == [(1, 500), (2, 200)]
    refund = {"id": 1, "refund_line_items": [{"line_item_id": 1, "quantity": 1}]}
    await converge(
        shop,
        order(
            1,
            customer=GONE,
            updated_at=(NOON + timedelta(hours=1)).isoformat(),
            line_items=[{"id": 1, "price": "100.00", "quantity": 2}],
            refunds=[refund],
        ),
    )
    assert await lots(shop, kept.id) == [(1, 500), (2, 100)]
    assert await shop.balance(kept.id) == (600, 0)
    assert await shop.balance(gone.id) == (0, 0)


async def test_what_expired_before_the_merge_is_not_taken_twice(shop: Shop) -> None:
    await shop.publish(rate(1))
    kept, gone = await two(shop)
    await converge(shop, order(1, customer=GONE))
    async with db.transaction(shop.scope()):
        await points.post(
            shop.scope(), [Entry(gone.id, TransactionType.EXPIRE, -60, 0, "expiry", "x", "expire:60", lot=1, reverses=1)]
        )
    await merge(shop)
    await converge(
        shop, order(1, customer=KEPT, updated_at=(NOON + timedelta(hours=1)).isoformat(), cancelled_at=NOON.isoformat())
    )
    assert await shop.balance(kept.id) == (0, 0)
    found = await orders.by_shopify_id(shop.scope(), 1)
    assert found is not None
    assert (found.absorbed, found.expired_elsewhere) == (60, 60)


async def test_pending_points_move_with_their_orders_and_are_confirmed_where_they_are(shop: Shop) -> None:
    await shop.publish(rate(1, hold_days=7))
    kept, gone = await two(shop)
    await converge(shop, order(1, customer=GONE), order(2, customer=KEPT))
    before = await shop.balance(kept.id)
    await merge(shop)
    assert before == (0, 100)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 200), (0, 0))
    at = shop.scope(NOON + timedelta(days=8))
    async with db.transaction(at):
        assert await orders.mature(at, 10) == 2
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((200, 0), (0, 0))


async def test_signup_points_given_twice_are_taken_back_once(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=100))
    await join(shop, KEPT)
    await join(shop, GONE)
    await join(shop, THIRD)
    kept = await shop.customer(KEPT)
    await merge(shop)
    assert await shop.balance(kept.id) == (100, 0)
    await merge(shop, KEPT, THIRD)
    assert await shop.balance(kept.id) == (100, 0)
    await merge(shop, 10, KEPT)
    await join(shop, 10)
    assert await shop.balance((await shop.customer(10)).id) == (100, 0)


async def test_inactivity_is_counted_from_when_either_was_active_last(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, kept, 10, "long ago")
    shop.at = NOON + timedelta(days=3)
    await give(shop, gone, 10, "of late")
    shop.at = NOON + timedelta(days=5)
    await merge(shop)
    account = await points.account(shop.scope(), kept.id)
    assert account is not None
    assert account.active_at == NOON + timedelta(days=3)
    await undo(shop, gone.id)
    await merge(shop, GONE, KEPT)
    account = await points.account(shop.scope(), gone.id)
    assert account is not None
    assert account.active_at == NOON + timedelta(days=3)


async def test_signup_points_that_were_spent_are_a_debt_and_come_back(shop: Shop) -> None:
    await shop.publish(rate(1, signup_points=100))
    await join(shop, KEPT)
    await join(shop, GONE)
    kept, gone = await two(shop)
    await give(shop, gone, 30, "more")
    await spend(shop, gone.id, 110)
    await merge(shop)
    assert await shop.balance(kept.id) == (20, 0)
    assert (await rows(shop, gone.id))[-2:] == [(-100, 0, f"taken:signup:{GONE}", 1), (80, 0, "debt-out:4", None)]
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((100, 0), (20, 0))
    assert await lots(shop, kept.id) == [(1, 100)]
    assert await lots(shop, gone.id) == [(2, 20)]


async def test_merges_of_merges_lead_to_the_last_and_are_undone_from_the_last(shop: Shop) -> None:
    kept, gone = await two(shop)
    third = await shop.customer(THIRD)
    await give(shop, gone, 10, "g")
    await give(shop, kept, 5, "k")
    await merge(shop)
    await merge(shop, THIRD, KEPT)
    assert await shop.balance(third.id) == (15, 0)
    assert (await shop.customer(GONE)).id == (await shop.customer(KEPT)).id == third.id
    assert await refused(undo(shop, gone.id)) == Code.MERGE_CONFLICT
    await undo(shop, kept.id)
    assert (await shop.customer(GONE)).id == (await shop.customer(KEPT)).id == kept.id
    assert (await shop.balance(kept.id), await shop.balance(third.id)) == ((15, 0), (0, 0))
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((5, 0), (10, 0))
    assert await refused(undo(shop, gone.id)) == Code.NOT_FOUND
    assert await merge(shop) is None, "staff have taken it back, and the same delivery comes again"
    assert await merge(shop, job_id="gid://shopify/Job/2") is None
    await merge(shop, THIRD, GONE)
    assert await shop.balance(third.id) == (10, 0)


async def test_points_given_back_to_who_is_gone_go_on_to_who_was_kept(shop: Shop) -> None:
    kept, gone = await two(shop)
    third = await shop.customer(THIRD)
    await give(shop, gone, 50, "g", days=9)
    position = await spend(shop, gone.id, 20)
    await merge(shop)
    await merge(shop, THIRD, KEPT)
    await give_back(shop, gone.id, position, 20, "r1")
    await give_back(shop, gone.id, position, 20, "r1")
    assert (await shop.balance(gone.id), await shop.balance(kept.id)) == ((0, 0), (0, 0))
    assert await dated_lots(shop, third.id) == [(1, 30, NOON + timedelta(days=9)), (2, 20, NOON + timedelta(days=9))]
    await undo(shop, kept.id)
    await undo(shop, gone.id)
    assert await dated_lots(shop, gone.id) == [(1, 50, NOON + timedelta(days=9))]


async def test_what_was_spent_cannot_go_back(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, 50, "g", days=9)
    await give(shop, kept, 100, "k", days=5)
    await merge(shop)
    await spend(shop, kept.id, 100)
    position = await spend(shop, kept.id, 1, "r2")
    before = await rows(shop, kept.id)
    assert await refused(undo(shop, gone.id)) == Code.MERGE_SPENT
    assert await rows(shop, kept.id) == before
    await give_back(shop, kept.id, position, 1, "r2")
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (50, 0))


async def test_a_debt_that_was_paid_since_cannot_go_back(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, -50, "g")
    await merge(shop)
    await give(shop, kept, 10, "later")
    assert await refused(undo(shop, gone.id)) == Code.MERGE_SPENT


async def test_what_an_order_gained_since_goes_back_with_it(shop: Shop) -> None:
    await shop.publish(rate(1, hold_days=7))
    kept, gone = await two(shop)
    await converge(shop, order(1, customer=GONE), order(2, customer=KEPT))
    await merge(shop)
    await converge(shop, order(3, customer=GONE))
    at = shop.scope(NOON + timedelta(days=8))
    async with db.transaction(at):
        await orders.mature(at, 10)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((100, 0), (100, 100))
    found = [await orders.by_shopify_id(shop.scope(), number) for number in (1, 2, 3)]
    assert [one.customer_id for one in found if one] == [gone.id, kept.id, gone.id]
    await converge(
        shop, order(1, customer=GONE, updated_at=(NOON + timedelta(hours=1)).isoformat(), cancelled_at=NOON.isoformat())
    )
    assert await shop.balance(gone.id) == (0, 100)


async def test_who_is_gone_is_not_adjusted_and_earns_nothing(shop: Shop) -> None:
    _, gone = await two(shop)
    await merge(shop)

    async def adjust() -> None:
        async with db.transaction(shop.scope()):
            await points.adjust(shop.scope(), customer_id=gone.id, points=5, reason="x", idempotency_key="k")

    assert await refused(adjust()) == Code.ACCOUNT_CLOSED
    assert await refused(give(shop, gone, 5, "x")) == Code.ACCOUNT_CLOSED
    assert await shop.balance(gone.id) == (0, 0)
