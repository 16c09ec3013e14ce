"""What customers did besides ordering follows them when they become one, is given once, and goes back with them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import actions, db, identity, points
from domain.actions import Kind, Movement, Outcome, TillEntry
from domain.errors import Code
from domain.programs import Actions, BirthdayRule, EventRule, FollowRule, Goal, Network, ReviewRule
from tests.domain.test_birthdays import give as give_birthdays
from tests.domain.test_birthdays import tell as tell_birthday
from tests.domain.test_merges import GONE, KEPT, THIRD, merge, refused, two, undo
from tests.domain.test_reviews import arrive, told
from tests.domain.test_reviews import tell as tell_review
from tests.ledger import converge, later, lots, rows, spend
from tests.shop import NOON, Shop, order, rate
from workers.actions import settle

DAY = timedelta(days=1)
FOLLOW = FollowRule(Network.INSTAGRAM, 20, "https://i.example")


def program(**rules: Any) -> Any:
    # An order gives one for a million, so that only the points of claims are seen.
    return rate(1, 1_000_000, actions=Actions(**rules))


async def follow(shop: Shop, customer_id: UUID) -> actions.Claim:
    async with db.transaction(shop.scope()):
        return await actions.claim_follow(shop.scope(), customer_id=customer_id, network=Network.INSTAGRAM)


async def record(shop: Shop, customer_id: UUID, event_id: str = "1") -> actions.Claim:
    async with db.transaction(shop.scope()):
        return await actions.record_event(
            shop.scope(), name="quiz", customer_id=customer_id, occurred_at=NOON, event_id=event_id, properties=None
        )


async def sync(shop: Shop, *entries: TillEntry) -> list[tuple[Outcome, str | None]]:
    async with db.transaction(shop.scope()):
        answers = await actions.sync(shop.scope(), entries)
    return [(one.outcome, one.refusal and one.refusal.code) for one in answers]


def sale(client_id: str, customer_id: UUID, amount: str = "10.00") -> TillEntry:
    return TillEntry(client_id, Movement.SALE, NOON, amount, "USD", customer_id, None)


def refund(client_id: str, sale_id: str, amount: str) -> TillEntry:
    return TillEntry(client_id, Movement.REFUND, NOON, amount, "USD", None, sale_id)


async def mature(shop: Shop, at: datetime) -> int:
    async with db.transaction(shop.scope(at)):
        return await actions.mature(shop.scope(at), 10)


async def claims(shop: Shop, customer_id: UUID, kind: Kind) -> list[tuple[int, str | None]]:
    found = await actions.page(shop.scope(), 100, None, customer_id, kind)
    return sorted(((one.deserved, one.reason) for one in found), reverse=True)


async def disable(shop: Shop, number: int) -> None:
    async with db.transaction(shop.scope()):
        await identity.disable(shop.scope(), number, NOON)


async def enable(shop: Shop, number: int, at: datetime) -> None:
    async with db.transaction(shop.scope(at)):
        await identity.enable(shop.scope(at), number, at)


async def test_pending_points_of_claims_move_and_are_confirmed_where_they_are(shop: Shop) -> None:
    await shop.publish(program(events=(EventRule("quiz", 15, hold_days=2),)))
    kept, gone = await two(shop)
    await record(shop, gone.id)
    await merge(shop)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 15), (0, 0))
    assert await mature(shop, NOON + 2 * DAY) == 1
    assert await mature(shop, NOON + 2 * DAY) == 0
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((15, 0), (0, 0))
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (15, 0))


async def test_what_is_told_of_the_old_id_is_the_kept_ones_and_goes_back_with_it(shop: Shop) -> None:
    await shop.publish(program(events=(EventRule("quiz", 15),)))
    kept, gone = await two(shop)
    await merge(shop)
    assert (await record(shop, gone.id)).customer_id == kept.id
    assert (await record(shop, gone.id)).customer_id == kept.id
    assert await shop.balance(kept.id) == (15, 0)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (15, 0))
    assert (await record(shop, gone.id)).customer_id == gone.id


async def test_a_follow_given_twice_is_taken_back_once_and_not_given_again(shop: Shop) -> None:
    await shop.publish(program(follows=(FOLLOW,)))
    kept, gone = await two(shop)
    third = await shop.customer(THIRD)
    for one in (kept, gone):
        await follow(shop, one.id)
    await spend(shop, gone.id, 20)
    await merge(shop)
    # What was spent of the one that is taken back is a debt, which the other's points pay.
    assert await shop.balance(kept.id) == (0, 0)
    assert await claims(shop, kept.id, Kind.FOLLOW) == [(20, None), (0, "GIVEN_TWICE")]
    assert (await follow(shop, kept.id)).deserved == 20
    await merge(shop, THIRD, KEPT)
    assert (await follow(shop, third.id)).deserved == 20
    assert await shop.balance(third.id) == (0, 0)
    await undo(shop, kept.id)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((20, 0), (0, 0))
    assert [await claims(shop, one.id, Kind.FOLLOW) for one in (kept, gone)] == [[(20, None)], [(20, None)]]
    assert (await follow(shop, third.id)).customer_id == third.id


async def test_who_has_not_followed_is_taken_by_the_word_of_who_is_gone(shop: Shop) -> None:
    await shop.publish(program(follows=(FOLLOW,)))
    kept, gone = await two(shop)
    await follow(shop, gone.id)
    await merge(shop)
    await follow(shop, kept.id)
    assert await shop.balance(kept.id) == (20, 0)
    await undo(shop, gone.id)
    await follow(shop, kept.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((20, 0), (20, 0))


async def test_two_reach_a_goal_together_and_lose_it_apart(shop: Shop) -> None:
    await shop.publish(program(goals=(Goal("big", points=200, spend="150.00", currency="USD"),)))
    kept, gone = await two(shop)
    await converge(shop, order(1, customer=KEPT), order(2, customer=GONE))
    await merge(shop)
    assert await shop.balance(kept.id) == (200, 0)
    await spend(shop, kept.id, 50)
    assert await refused(undo(shop, gone.id)) == Code.MERGE_SPENT
    assert await shop.balance(kept.id) == (150, 0)
    await converge(shop, order(3, customer=KEPT))
    # Now it is reached without the other, and nothing has to go back.
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((150, 0), (0, 0))


async def test_a_goal_is_given_as_often_as_both_reach_it(shop: Shop) -> None:
    await shop.publish(program(goals=(Goal("big", points=200, spend="100.00", currency="USD", times=3),)))
    kept, gone = await two(shop)
    await converge(shop, order(1, customer=KEPT, price="250.00"), order(2, customer=GONE, price="260.00"))
    await merge(shop)
    assert await shop.balance(kept.id) == (600, 0)
    assert await claims(shop, kept.id, Kind.GOAL) == [(200, None)] * 3 + [(0, "GIVEN_TWICE")]
    # A refund takes back as much as the sum loses, and a later order gives it again.
    await converge(shop, order(2, customer=GONE, price="260.00", cancelled_at=later(1), updated_at=later(1)))
    assert await shop.balance(kept.id) == (400, 0)
    await converge(shop, order(3, customer=GONE, price="60.00"))
    assert await shop.balance(kept.id) == (600, 0)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((400, 0), (0, 0))


async def test_birthdays_within_a_year_are_given_once(shop: Shop) -> None:
    await shop.publish(program(birthday=BirthdayRule(30)))
    kept, gone = await two(shop)
    await tell_birthday(shop, kept.id, 5, 17)
    await tell_birthday(shop, gone.id, 8, 1)
    await give_birthdays(shop, datetime(2026, 9, 1, tzinfo=UTC))
    shop.at = datetime(2026, 9, 2, tzinfo=UTC)
    before = [await actions.birthday(shop.scope(), one.id) for one in (kept, gone)]
    await merge(shop)
    assert await shop.balance(kept.id) == (30, 0)
    assert await claims(shop, kept.id, Kind.BIRTHDAY) == [(30, None), (0, "GIVEN_TWICE")]
    for one in (kept, gone):
        found = await actions.birthday(shop.scope(), one.id)
        assert found is not None
        assert (found.customer_id, found.month, found.due_at.date()) == (kept.id, 5, date(2027, 5, 17))
    await undo(shop, gone.id)
    assert [await actions.birthday(shop.scope(), one.id) for one in (kept, gone)] == before
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((30, 0), (30, 0))
    await give_birthdays(shop, datetime(2027, 9, 1, tzinfo=UTC))
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((60, 0), (60, 0))


async def test_the_next_gift_is_a_year_behind_the_others(shop: Shop) -> None:
    await shop.publish(program(birthday=BirthdayRule(30)))
    kept, gone = await two(shop)
    await tell_birthday(shop, kept.id, 8, 1)
    await tell_birthday(shop, gone.id, 5, 17)
    shop.at = datetime(2026, 6, 1, tzinfo=UTC)
    await give_birthdays(shop, shop.at)
    await merge(shop)
    found = await actions.birthday(shop.scope(), kept.id)
    assert found is not None
    assert (found.month, found.due_at.date()) == (8, date(2027, 8, 1))
    await give_birthdays(shop, datetime(2027, 7, 1, tzinfo=UTC))
    assert await shop.balance(kept.id) == (30, 0)
    await give_birthdays(shop, datetime(2027, 8, 1, tzinfo=UTC))
    assert await shop.balance(kept.id) == (60, 0)


async def test_a_birthday_that_only_one_has_moves_and_goes_back_with_its_gifts(shop: Shop) -> None:
    await shop.publish(program(birthday=BirthdayRule(30)))
    kept, gone = await two(shop)
    await tell_birthday(shop, gone.id, 5, 17, 1990)
    await merge(shop)
    found = await actions.birthday(shop.scope(), kept.id)
    assert found is not None
    assert (found.customer_id, found.month, found.year, found.due_at.date()) == (kept.id, 5, 1990, date(2026, 5, 17))
    await give_birthdays(shop, datetime(2026, 6, 1, tzinfo=UTC))
    assert await shop.balance(kept.id) == (30, 0)
    await undo(shop, gone.id)
    assert await actions.birthday(shop.scope(), kept.id) is None
    back = await actions.birthday(shop.scope(), gone.id)
    assert back is not None
    assert (back.customer_id, back.day, back.due_at.date()) == (gone.id, 17, date(2027, 5, 17))
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (30, 0))


async def test_a_sale_and_its_late_refund_find_the_kept_customer(shop: Shop) -> None:
    await shop.publish(rate(1))
    kept, gone = await two(shop)
    await sync(shop, sale("a", gone.id, "80.00"))
    await merge(shop)
    assert await sync(shop, sale("b", gone.id, "30.00"), refund("r", "a", "50.00")) == [(Outcome.ACCEPTED, None)] * 2
    assert await lots(shop, kept.id) == [(1, 30), (2, 30)]
    # The same entry again, by the old id or by that of who stands for it.
    assert await sync(shop, sale("b", kept.id, "30.00"), sale("b", gone.id, "30.00")) == [(Outcome.DUPLICATE, None)] * 2
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (60, 0))
    assert await sync(shop, refund("s", "b", "30.00")) == [(Outcome.ACCEPTED, None)]
    assert await shop.balance(gone.id) == (30, 0)


async def test_what_expired_before_the_merge_is_not_taken_twice(shop: Shop) -> None:
    await shop.publish(rate(1))
    kept, gone = await two(shop)
    await sync(shop, sale("a", gone.id, "100.00"))
    async with db.transaction(shop.scope()):
        entry = points.Entry(gone.id, points.TransactionType.EXPIRE, -60, 0, "expiry", "x", "expire:60", lot=1, reverses=1)
        await points.post(shop.scope(), [entry])
    await merge(shop)
    await sync(shop, refund("r", "a", "100.00"))
    assert await shop.balance(kept.id) == (0, 0)
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (0, 0))


@pytest.mark.parametrize("close", ["disable", "delete", "redact"])
async def test_of_a_closed_customer_nothing_is_taken(shop: Shop, close: str) -> None:
    await shop.publish(program(follows=(FOLLOW,), events=(EventRule("quiz", 15),), birthday=BirthdayRule(30)))
    customer = await shop.customer(KEPT)
    async with db.transaction(shop.scope()):
        if close == "disable":
            await identity.disable(shop.scope(), KEPT, NOON)
        else:
            await getattr(identity, close)(shop.scope(), KEPT)
    assert await refused(record(shop, customer.id)) == Code.ACCOUNT_CLOSED
    assert await refused(follow(shop, customer.id)) == Code.ACCOUNT_CLOSED
    assert await refused(tell_birthday(shop, customer.id, 5, 17)) == Code.ACCOUNT_CLOSED
    assert await sync(shop, sale("a", customer.id)) == [(Outcome.REFUSED, Code.ACCOUNT_CLOSED)]
    assert await rows(shop, customer.id) == []


async def test_a_disabled_customer_waits_and_catches_up(shop: Shop) -> None:
    await shop.publish(
        program(
            events=(EventRule("quiz", 15, hold_days=2),),
            birthday=BirthdayRule(30),
            goals=(Goal("big", points=200, spend="150.00", currency="USD"),),
        )
    )
    customer = await shop.customer(KEPT)
    await record(shop, customer.id)
    await tell_birthday(shop, customer.id, 5, 17)
    await sync(shop, sale("a", customer.id, "100.00"))
    await disable(shop, KEPT)
    june = datetime(2026, 6, 1, tzinfo=UTC)
    shop.at = june
    assert await mature(shop, june) == 0
    await give_birthdays(shop, june)
    await converge(shop, order(1, customer=KEPT))
    assert await sync(shop, refund("r", "a", "10.00")) == [(Outcome.ACCEPTED, None)]
    assert await shop.balance(customer.id) == (0, 15)
    found = await actions.birthday(shop.scope(), customer.id)
    assert found is not None
    assert found.due_at.date() == date(2026, 5, 17)
    await enable(shop, KEPT, june)
    assert await mature(shop, june) == 1
    await give_birthdays(shop, june)
    assert await shop.balance(customer.id) == (245, 0)


async def test_reviews_of_a_closed_account_are_given_for_when_it_is_opened(shop: Shop) -> None:
    await shop.publish(program(review=ReviewRule(100)))
    customer_id = await arrive(shop, KEPT)
    await tell_review(shop, told("1"))
    await settle(shop.scope())
    await disable(shop, KEPT)
    await tell_review(shop, told("1", published=False, minutes=1), told("2"))
    # The job ends, though it gives nothing for the second, and what is lost is taken back.
    await settle(shop.scope())
    assert await shop.balance(customer_id) == (0, 0)
    await enable(shop, KEPT, NOON + DAY)
    await settle(shop.scope())
    assert await shop.balance(customer_id) == (100, 0)


async def test_a_review_of_who_is_gone_is_the_kept_ones_and_goes_back(shop: Shop) -> None:
    await shop.publish(program(review=ReviewRule(100)))
    kept = await shop.customer(KEPT)
    gone_id = await arrive(shop, GONE)
    await tell_review(shop, told("1"))
    await settle(shop.scope())
    await merge(shop)
    await tell_review(shop, told("2"))
    await settle(shop.scope())
    assert await shop.balance(kept.id) == (200, 0)
    await tell_review(shop, told("1", published=False, minutes=1))
    await settle(shop.scope())
    assert await shop.balance(kept.id) == (100, 0)
    await undo(shop, gone_id)
    assert (await shop.balance(kept.id), await shop.balance(gone_id)) == ((0, 0), (100, 0))


async def test_who_is_merged_into_a_closed_account_waits_with_it(shop: Shop) -> None:
    await shop.publish(program(events=(EventRule("quiz", 15, hold_days=2),), birthday=BirthdayRule(30)))
    kept, gone = await two(shop)
    await record(shop, gone.id)
    await tell_birthday(shop, gone.id, 5, 17)
    await disable(shop, KEPT)
    await merge(shop)
    june = datetime(2026, 6, 1, tzinfo=UTC)
    assert await mature(shop, june) == 0
    await give_birthdays(shop, june)
    assert await shop.balance(kept.id) == (0, 15)
    assert await refused(record(shop, gone.id, "2")) == Code.ACCOUNT_CLOSED
    await enable(shop, KEPT, june)
    assert await mature(shop, june) == 1
    await give_birthdays(shop, june)
    assert await shop.balance(kept.id) == (45, 0)


async def quiz(shop: Shop, customer_id: UUID, event_id: str, at: datetime = NOON) -> tuple[int, str | None]:
    """What another event of the same name gives."""
    async with db.transaction(shop.scope()):
        claim = await actions.record_event(
            shop.scope(), name="quiz", customer_id=customer_id, occurred_at=at, event_id=event_id, properties=None
        )
    return claim.deserved, claim.reason


async def test_events_are_given_for_as_often_as_one_customer_is(shop: Shop) -> None:
    await shop.publish(program(events=(EventRule("quiz", 15, per_life=3, per_day=2), EventRule("other", 1))))
    kept, gone = await two(shop)
    shop.at = NOON + DAY
    await quiz(shop, kept.id, "k1")
    for number, at in enumerate((NOON, NOON + timedelta(hours=1), NOON + DAY)):
        assert await quiz(shop, gone.id, f"g{number}", at) == (15, None)
    await merge(shop)
    # On the first day both together have three, of which two are given for; with the second day's that is as often as ever.
    assert await claims(shop, kept.id, Kind.EVENT) == [(15, None)] * 3 + [(0, "GIVEN_TWICE")]
    assert await shop.balance(kept.id) == (45, 0)
    assert await quiz(shop, kept.id, "k2", NOON + DAY) == (0, "LIFETIME_CAP")
    assert await quiz(shop, gone.id, "g1", NOON + timedelta(hours=1)) == (0, "GIVEN_TWICE")
    await undo(shop, gone.id)
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((15, 0), (45, 0))
    assert await claims(shop, gone.id, Kind.EVENT) == [(15, None)] * 3


async def test_reviews_are_given_for_as_often_as_one_customer_is(shop: Shop) -> None:
    """However many providers tell of them. What is spent of one that is taken back is owed."""
    await shop.publish(program(review=ReviewRule(100, per_life=1)))
    kept, gone = await two(shop)
    for number, customer in ((KEPT, kept), (GONE, gone)):
        await arrive(shop, number, f"{number}@example.com")
        await tell_review(shop, told(f"r{number}", email=f"{number}@example.com"))
        await settle(shop.scope())
        assert await shop.balance(customer.id) == (100, 0)
    await spend(shop, gone.id, 30)
    await merge(shop)
    assert await shop.balance(kept.id) == (70, 0)
    assert await claims(shop, kept.id, Kind.REVIEW) == [(100, None), (0, "GIVEN_TWICE")]
    # It is hidden meanwhile: back with who wrote it, it is not given for.
    await tell_review(shop, told(f"r{GONE}", email=f"{GONE}@example.com", published=False, minutes=1))
    await settle(shop.scope())
    assert await claims(shop, kept.id, Kind.REVIEW) == [(100, None), (0, "GIVEN_TWICE")]
    await undo(shop, gone.id)
    await settle(shop.scope())
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((100, 0), (-30, 0))
