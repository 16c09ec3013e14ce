"""What must be true of a shop after each step, and at last."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from domain import actions, customers, inbox, orders, points
from domain.actions import Claim, Kind
from domain.orders import Order
from domain.points.verify import Progress, verify
from domain.programs import Clawback
from tests.model.hands import Hands
from tests.model.ledger import LedgerEntry, ModelAccount, assert_moved, assert_shared, fold
from tests.model.people import ModelPerson, People
from tests.model.shop import ModelOrder, ModelProgram
from tests.shop import NOON

EARNED = {"order", "signup", "sale", "event", "goal"}
OUR_OWN = {"redemption", "adjustment"}
Dates = dict[tuple[str, str], datetime]
"""When what a cause gave could be spent: since then it lasts as long as the program says."""


async def look(hands: Hands, people: People, touched: set[ModelPerson], program: ModelProgram, dates: Dates) -> None:
    """Read on in every account and hold it against the fold of its entries. touched: those who were opened, closed or merged."""
    scope, moved = hands.shop.scope(), False
    found = await customers.by_ids(scope, [person.id for person in people.all])
    for person in people.all:
        row, account = found[person.id], hands.accounts[person]
        if person.is_erased:
            assert row.state == "redacted"
        elif person.into is None:
            assert row.merged_into is None
            assert row.state == ("open" if person.is_enabled else "disabled")
        else:
            assert (row.state, row.merged_into, row.balance, row.pending) == ("merged", person.stands.id, 0, 0)
        assert row.version >= len(account.entries)
        if row.version > len(account.entries):
            entries = await points.since(scope, person.id, len(account.entries), 100_000)
            for entry in entries:
                account.apply(entry)
                assert_dated(entry, program, dates)
                if entry.source == "inactivity":
                    assert deadline(account, program) <= entry.occurred_at, "it comes too early"
                if person not in touched and not person.is_open:
                    assert_closed(entry)
            assert_shared(account)
            moved |= any(entry.source == "merge" for entry in entries)
            lots = {lot.lot: (lot.remaining, lot.expires_at) for lot in await points.open_lots(scope, person.id, 10_000)}
            assert lots == account.open_lots()
        assert (row.balance, row.pending, row.version) == (account.balance, account.pending, len(account.entries))
    for person in (one for one in people.all if one.into is not None):
        kept, gone = hands.accounts[person.stands], hands.accounts[person].active_at
        kept.active_at = max(filter(None, (kept.active_at, gone)), default=None)
    if moved:
        assert_moved(hands.accounts)
    acknowledged = {(source, name): amount for source, name, amount, _ in hands.acknowledged}
    booked = {cause: sum(each.values()) for cause, each in by_cause(hands.accounts).items() if cause[0] in OUR_OWN}
    assert booked == acknowledged


def deadline(account: ModelAccount, program: ModelProgram) -> datetime:
    """When all expires of an account, unless it is active before: counted from when the program was published at the earliest."""
    return program.inactive_at(max(NOON, account.active_at or NOON))


def assert_expired(accounts: Iterable[ModelAccount], program: ModelProgram, at: datetime) -> None:
    """When the workers have made up for all, nobody has points left of before a deadline that is past."""
    for account in accounts if program.inactivity_days is not None else ():
        ends = deadline(account, program)
        came_later = any(entry.points > 0 and entry.occurred_at >= ends for entry in account.entries)
        assert ends > at or came_later or account.balance <= 0, "somebody was inactive for too long"


def assert_closed(entry: LedgerEntry) -> None:
    """What enters a closed account: orders and joining wait, and nothing else is earned or spent either."""
    assert entry.source not in {"order", "signup"}, "a closed account earns and loses nothing by orders"
    assert entry.source not in EARNED or entry.points + entry.pending <= 0, "a closed account earns nothing"
    assert entry.type != "redeem" or entry.points > 0, "a closed account spends nothing"


def assert_dated(entry: LedgerEntry, program: ModelProgram, dates: Dates) -> None:
    """What was earned lasts as long as the program says; what staff gave lasts for ever."""
    if entry.points <= 0 or entry.source not in EARNED | {"adjustment"}:
        return
    since = dates.get((entry.source, entry.external_id))
    if since is not None:
        assert entry.expires_at == program.expires_at(since), f"entry {entry.position} lasts another time"
    elif entry.source == "adjustment":
        assert entry.expires_at is None


def by_cause(accounts: dict[ModelPerson, ModelAccount]) -> dict[tuple[str, str], dict[ModelPerson, int]]:
    """The points that were posted for each cause, in which account."""
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


async def settle(hands: Hands, people: People, told: list[ModelOrder], program: ModelProgram) -> None:
    """At last, when all is told and all accounts are open: each order is worth what was kept of it, and every chain holds."""
    scope = hands.shop.scope()
    booked = by_cause(hands.accounts)
    earned: dict[ModelPerson, int] = defaultdict(int)
    spent: dict[ModelPerson, int] = defaultdict(int)
    for order in told:
        found = await orders.by_shopify_id(scope, order.number)
        assert found is not None
        owner = people.by_number[order.customer].stands if order.guest is None or order.is_claimed else None
        posted = sum(booked["order", str(order.number)].values())
        if owner:
            earned[owner] += posted
            spent[owner] += order.kept_cents if order.paid_at else 0
        if owner and owner.is_erased:
            # Of who is forgotten nothing is booked any more.
            continue
        assert found.customer_id == (owner.id if owner else None)
        assert found.deserved == (order.worth(program.rate) if owner else 0), order
        assert not found.waiting
        _stands(found, order, program, hands)
        if not order.was_returned:
            assert posted == found.posted_points, order
    await _claims(hands, people, program, booked, earned, spent)
    _adds_up(hands, people, earned, booked)
    for person in people.all:
        entries = await points.since(scope, person.id, 0, 100_000)
        assert fold(entries, timedelta(program.grace_days)) == hands.accounts[person], "nothing was rewritten"
    assert [drift async for page in orders.replay(scope) for drift in page.drifts] == []
    stuck = await inbox.page(scope, 10, None, status=None, topic=None)
    assert {delivery.status for delivery in stuck} <= {"done"}
    assert await verify(scope, Progress()) is None


def _stands(found: Order, order: ModelOrder, program: ModelProgram, hands: Hands) -> None:
    assert found.posted_points + found.posted_pending == (found.deserved + found.absorbed + found.forgiven + found.seized)
    if program.policy is Clawback.UNLIMITED:
        assert (found.forgiven, found.seized) == (0, 0)
    if program.expire_after is None and program.inactivity_days is None:
        assert found.absorbed == 0, "what has never expired is taken back, or owed"
    if order.paid_at is None or order.paid_at + timedelta(days=program.hold_days) > hands.shop.at:
        assert found.posted_points == found.absorbed == 0
    elif not order.is_disputed:
        assert found.posted_pending == 0


async def _claims(
    hands: Hands,
    people: People,
    program: ModelProgram,
    booked: dict[tuple[str, str], dict[ModelPerson, int]],
    earned: dict[ModelPerson, int],
    spent: dict[ModelPerson, int],
) -> None:
    """Sales and events are worth what the program says, and a goal is given as often as all that was spent reaches it."""
    found = {(one.kind, one.key): one for one in await actions.page(hands.shop.scope(), 100_000, None, None, None)}
    by_id = {person.id: person for person in people.all}
    for sale in (one for one in hands.sales.values() if one.is_known):
        owner = people.by_number[sale.customer].stands
        spent[owner] += sale.kept_cents
        if not owner.is_erased:
            assert found["sale", sale.key].deserved == sale.kept_cents * program.rate // 100, sale
    assert {key for kind, key in found if kind == Kind.SALE} <= {key for key, sale in hands.sales.items() if sale.is_known}
    assert {key for kind, key in found if kind == Kind.EVENT} == set(hands.events)
    goals: dict[ModelPerson, int] = defaultdict(int)
    for (kind, key), claim in found.items():
        owner = by_id[claim.told_of].stands
        assert claim.customer_id == owner.id
        posted = sum(booked[kind, key].values())
        earned[owner] += posted
        goals[owner] += claim.deserved if kind == Kind.GOAL else 0
        assert claim.posted_points + claim.posted_pending == claim.deserved + claim.absorbed + claim.forgiven, claim
        if kind == Kind.EVENT:
            assert claim.deserved == program.event_points
        if kind != Kind.GOAL and not hands.was_undone:
            assert claim.posted_points == posted, claim
        if not owner.is_erased:
            _matured(claim, hands.shop.at)
    for person in people.all:
        if person.into is None and not person.is_erased and program.goal_points:
            times = min(program.goal_times, spent[person] // program.goal_cents)
            assert goals[person] == times * program.goal_points, (spent[person], times)


def _matured(claim: Claim, at: datetime) -> None:
    if claim.spendable_at <= at:
        assert claim.posted_pending == 0, claim
    else:
        assert claim.posted_points == claim.absorbed == 0, claim


def _adds_up(
    hands: Hands,
    people: People,
    earned: dict[ModelPerson, int],
    booked: dict[tuple[str, str], dict[ModelPerson, int]],
) -> None:
    """A balance is what was earned, what we were told was done, what joining gave, less what expired: of all who are one.

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
            if source in {"expiry", "inactivity", "signup"}:
                expected[of(person)] += amount
            if source == "signup":
                signups[of(person)].append(amount)
    for person, account in hands.accounts.items():
        balances[of(person)] += account.balance
        for entry in account.entries:
            if "taken:" in entry.purpose:
                expected[of(person)] += entry.points
                if "taken:signup" in entry.purpose:
                    signups[of(person)].append(entry.points)
    assert dict(balances) == {person: expected[person] for person in balances}
    assert all(sum(amounts) >= 0 for amounts in signups.values())
