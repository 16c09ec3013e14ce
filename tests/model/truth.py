"""What must be true of a shop after each step, and at last."""

from collections import defaultdict
from datetime import timedelta

from domain import customers, inbox, orders, points
from domain.orders import Order
from domain.points.verify import Progress, verify
from domain.programs import Clawback
from tests.model.hands import Hands
from tests.model.ledger import ModelAccount, assert_moved, fold
from tests.model.people import ModelPerson, People
from tests.model.shop import ModelOrder


async def look(hands: Hands, people: People, touched: set[ModelPerson]) -> None:
    """Read on in every account and hold it against the fold of its entries. touched: those who were opened, closed or merged."""
    scope, moved = hands.shop.scope(), False
    found = await customers.by_ids(scope, [person.id for person in people.all])
    for person in people.all:
        row, account = found[person.id], hands.accounts[person]
        if person.into is None:
            assert row.merged_into is None
            assert row.state == ("open" if person.is_enabled else "disabled")
        else:
            assert (row.state, row.merged_into, row.balance, row.pending) == ("merged", person.stands.id, 0, 0)
        assert row.version >= len(account.entries)
        if row.version > len(account.entries):
            entries = await points.since(scope, person.id, len(account.entries), 100_000)
            for entry in entries:
                account.apply(entry)
                if person not in touched and not person.is_open:
                    assert entry.source not in {"order", "signup"}, "a closed account earns and loses nothing by orders"
                    assert entry.type != "redeem" or entry.points > 0
            moved |= any(entry.source == "merge" for entry in entries)
            lots = {lot.lot: (lot.remaining, lot.expires_at) for lot in await points.open_lots(scope, person.id, 10_000)}
            assert lots == account.open_lots()
        assert (row.balance, row.pending, row.version) == (account.balance, account.pending, len(account.entries))
    if moved:
        assert_moved(hands.accounts)
    acknowledged = {(source, name): amount for source, name, amount, _ in hands.acknowledged}
    booked = {cause: sum(each.values()) for cause, each in by_cause(hands.accounts).items() if cause[0] in OUR_OWN}
    assert booked == acknowledged


OUR_OWN = {"redemption", "adjustment"}


def by_cause(accounts: dict[ModelPerson, ModelAccount]) -> dict[tuple[str, str], dict[ModelPerson, int]]:
    """What was posted for each cause, in which account."""
    booked: dict[tuple[str, str], dict[ModelPerson, int]] = defaultdict(lambda: defaultdict(int))
    for person, account in accounts.items():
        for entry in account.entries:
            booked[entry.source, entry.external_id][person] += entry.points
    return booked


async def look_for_guests(hands: Hands, known: list[ModelOrder], people: People, could: set[ModelPerson]) -> None:
    """Guests' orders are those of who has proved the address. could: who might have claimed since it was looked at last."""
    by_number = people.by_number
    for order in known:
        if order.guest is None:
            continue
        person = by_number[order.customer]
        found = await orders.by_shopify_id(hands.shop.scope(), order.number)
        assert found is not None
        if order.is_claimed or (person.is_open and person.is_verified):
            assert found.claimed_by == person.number, "a claim stays, and who can claim has claimed"
        elif person not in could:
            assert found.claimed_by is None
        order.is_claimed = found.claimed_by is not None


async def settle(hands: Hands, people: People, told: list[ModelOrder], rule: tuple[int, int, Clawback]) -> None:
    """At last, when all is told and all accounts are open: each order is worth what the shop kept of it, and every chain holds.

    rule: points for each unit, days of hold, what becomes of points that were spent.
    """
    scope, (rate, hold_days, policy) = hands.shop.scope(), rule
    booked = by_cause(hands.accounts)
    earned: dict[ModelPerson, int] = defaultdict(int)
    for order in told:
        found = await orders.by_shopify_id(scope, order.number)
        assert found is not None
        owner = people.by_number[order.customer].stands if order.guest is None or order.is_claimed else None
        assert found.customer_id == (owner.id if owner else None)
        assert found.deserved == (order.worth(rate, 1) if owner else 0), order
        assert not found.waiting
        _stands(found, order, hold_days, policy, hands)
        posted = sum(booked["order", str(order.number)].values())
        if not order.was_returned:
            assert posted == found.posted_points, order
        if owner:
            earned[owner] += posted
    _adds_up(hands, people, earned, booked)
    for person in people.all:
        entries = await points.since(scope, person.id, 0, 100_000)
        assert fold(entries) == hands.accounts[person], "nothing was rewritten"
    assert [drift async for page in orders.replay(scope) for drift in page.drifts] == []
    stuck = await inbox.page(scope, 10, None, status=None, topic=None)
    assert {delivery.status for delivery in stuck} <= {"done"}
    assert await verify(scope, Progress()) is None


def _stands(found: Order, order: ModelOrder, hold_days: int, policy: Clawback, hands: Hands) -> None:
    assert found.posted_points + found.posted_pending == (found.deserved + found.absorbed + found.forgiven + found.seized)
    if policy is Clawback.UNLIMITED:
        assert (found.forgiven, found.seized) == (0, 0)
    if order.paid_at is not None and order.paid_at + timedelta(days=hold_days) <= hands.shop.at:
        assert found.posted_pending == 0
    else:
        assert found.posted_points == found.absorbed == 0


def _adds_up(
    hands: Hands,
    people: People,
    earned: dict[ModelPerson, int],
    booked: dict[tuple[str, str], dict[ModelPerson, int]],
) -> None:
    """A balance is what orders gave, what we were told was done, what joining gave, less what expired: of all who are one.

    Where a merge was undone, what was spent in between may have been of either; then it holds of both together, and so of all.
    """

    def of(person: ModelPerson) -> ModelPerson:
        return people.all[0] if hands.was_undone else person.stands

    expected: dict[ModelPerson, int] = defaultdict(int)
    balances: dict[ModelPerson, int] = defaultdict(int)
    signups: dict[ModelPerson, list[int]] = defaultdict(list)
    for person, amount in earned.items():
        expected[of(person)] += amount
    for _, _, amount, person in hands.acknowledged:
        expected[of(person)] += amount
    for (source, _), each in booked.items():
        for person, amount in each.items():
            if source in {"expiry", "signup"}:
                expected[of(person)] += amount
            if source == "signup":
                signups[of(person)].append(amount)
    for person, account in hands.accounts.items():
        balances[of(person)] += account.balance
        for entry in account.entries:
            if "taken:signup" in entry.purpose:
                expected[of(person)] += entry.points
                signups[of(person)].append(entry.points)
    assert dict(balances) == {person: expected[person] for person in balances}
    assert all(sum(amounts) >= 0 for amounts in signups.values())
