"""What is done to a shop, by eight at once, and what each of them was answered."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from domain import actions, balances, customers, db, identity, inbox, points
from domain.actions import Movement, Outcome, TillEntry
from domain.errors import Code, DomainError
from domain.inbox import Kind
from domain.points import AccountClosed, Entry, InsufficientPoints, TransactionType
from tests.ledger import give_back
from tests.model.ledger import ModelAccount
from tests.model.people import ModelPerson, Telling
from tests.model.shop import ModelSale
from tests.shop import Shop
from workers.job import in_transaction
from workers.points import daily

EVENT = "visit"

CLIENTS = 8
numbers = itertools.count(880_000_000)
R = TypeVar("R")


@dataclass
class Spending:
    """A redemption that was acknowledged, and what of it has not been given back."""

    person: ModelPerson
    position: int
    out: int


@dataclass
class Hands:
    """The shop, all accounts as they were found last, and everything that was acknowledged: cause, name, points, whose.

    events: by their ids, whose they are. sales: by their keys. queue: what the till has not been told is taken over.
    """

    shop: Shop
    random: random.Random
    accounts: dict[ModelPerson, ModelAccount]
    acknowledged: list[tuple[str, str, int, ModelPerson]] = field(default_factory=list[tuple[str, str, int, ModelPerson]])
    spendings: list[Spending] = field(default_factory=list[Spending])
    events: dict[str, ModelPerson] = field(default_factory=dict[str, ModelPerson])
    sales: dict[str, ModelSale] = field(default_factory=dict[str, ModelSale])
    queue: list[TillEntry] = field(default_factory=list[TillEntry])
    was_undone: bool = False

    async def adjust(self, person: ModelPerson, amount: int) -> None:
        """Staff give or take. Only who was merged away is not adjusted, and nobody below nothing."""
        scope, key = self.shop.scope(), f"a{next(numbers)}"
        refusals: set[Code] = set()
        if amount < 0 and self.accounts[person].balance + amount < 0:
            refusals.add(Code.INSUFFICIENT_POINTS)
        if person.into is not None:
            refusals.add(Code.ACCOUNT_CLOSED)
        code = await refusal(
            in_transaction(
                scope,
                lambda: points.adjust(scope, customer_id=person.id, points=amount, reason="model", idempotency_key=key),
            )
        )
        assert code in (refusals or {None})
        if code is None:
            self.acknowledged.append(("adjustment", key, amount, person))

    async def redeem(self, person: ModelPerson, amount: int, clients: int) -> None:
        """As many clients at once spend the same amount of one balance, and exactly those are answered yes who can be."""
        done = await asyncio.gather(*(self.spend(person, amount) for _ in range(clients)))
        assert sum(done) == (min(clients, max(0, self.accounts[person].balance) // amount) if person.is_open else 0)

    async def spend(self, person: ModelPerson, amount: int) -> bool:
        """One redemption. Returns whether it was acknowledged."""
        scope, name = self.shop.scope(), f"r{next(numbers)}"
        entry = Entry(person.id, TransactionType.REDEEM, -amount, 0, "redemption", name, "hold", floor=0)
        try:
            [posted] = await in_transaction(scope, lambda: points.post(scope, [entry]))
        except (InsufficientPoints, AccountClosed):
            return False
        self.acknowledged.append(("redemption", name, -amount, person))
        self.spendings.append(Spending(person, posted.position, amount))
        return True

    async def restore(self, spending: Spending, amount: int) -> None:
        """A part of what was spent comes back, told by two at once and once more. More than is out is refused."""
        name = f"b{next(numbers)}"

        async def once() -> bool | Code:
            try:
                return bool(await again(lambda: give_back(self.shop, spending.person.id, spending.position, amount, name)))
            except DomainError as refused:
                return refused.code

        answers = [*await asyncio.gather(once(), once()), await once()]
        if amount > spending.out:
            assert answers == [Code.NOTHING_TO_RESTORE] * 3
            return
        assert sorted(answers, key=str) == [False, False, True]
        spending.out -= amount
        self.acknowledged.append(("redemption", name, amount, spending.person))

    async def undo(self, person: ModelPerson) -> Code | None:
        """Two of the staff take a merge apart at once, and one of them is too late. Returns why it was refused, or None."""
        scope = self.shop.scope()
        codes = await asyncio.gather(
            *(refusal(in_transaction(scope, lambda: identity.undo(scope, customer_id=person.id))) for _ in range(2))
        )
        first, second = sorted(codes, key=str)
        if Code.NOT_FOUND in codes:
            assert codes != [Code.NOT_FOUND] * 2
            return None
        assert first == second
        return first

    async def merge_of(self, person: ModelPerson) -> customers.Merge:
        """The merge by which somebody has gone."""
        [merge] = [one for one in await customers.merges_of(self.shop.scope(), person.id) if one.undone_at is None]
        return merge

    async def tell(self, person: ModelPerson) -> str:
        """A partner tells of an event, twice at once and once more; who is closed earns nothing by it."""
        scope, key = self.shop.scope(), f"e{next(numbers)}"

        async def once() -> Code | None:
            record = partial(
                actions.record_event,
                scope,
                name=EVENT,
                customer_id=person.id,
                occurred_at=scope.at,
                event_id=key,
                properties=None,
            )
            return await refusal(again(lambda: in_transaction(scope, record)))

        codes = {*await asyncio.gather(once(), once()), await once()}
        owner = person.stands
        if owner.is_open or owner.is_surely_closed:
            assert codes == {None if owner.is_open else Code.ACCOUNT_CLOSED}
        if None in codes:
            self.events[key] = person
        return key

    async def sync(self, entries: Sequence[TillEntry]) -> None:
        """A till sends a part of its queue, and keeps what was refused."""
        scope = self.shop.scope()
        for answer in await again(lambda: in_transaction(scope, lambda: actions.sync(scope, entries))):
            entry = next(one for one in entries if one.client_id == answer.client_id)
            if answer.refusal is not None:
                assert (answer.outcome, answer.refusal.code) == (Outcome.REFUSED, Code.ACCOUNT_CLOSED)
                continue
            sale = self.sales[entry.sale_id or entry.client_id]
            if entry in self.queue:
                self.queue.remove(entry)
                if entry.movement is Movement.SALE:
                    sale.is_known = True
                else:
                    sale.returned_cents += int(entry.amount.replace(".", ""))

    async def sync_all(self) -> None:
        """The till sends what it has, in any order, by two at once, and some of it twice."""
        calls = [self.random.sample(self.queue, len(self.queue)) for _ in range(2)]
        calls[1] = calls[1][: len(calls[1]) // 2]
        await asyncio.gather(*(self.sync(one) for one in calls if one))

    async def pass_time(self) -> None:
        """Holds end and points expire, worked off by two workers at once; then nothing is left of what had to expire by now."""
        await asyncio.gather(self.sweep(), self.sweep())
        await self.sweep()
        for person in self.accounts:
            for lot in await points.open_lots(self.shop.scope(), person.id, 10_000):
                assert lot.expires_at is None or lot.expires_at > self.shop.at, "its time has come, and it is still there"

    async def foretell(self, at: datetime) -> dict[ModelPerson, tuple[int, int]]:
        """(balance, pending) of each account as they will be at an instant if nobody does anything."""
        told = {person: await balances.as_of(self.shop.scope(), person.id, at) for person in self.accounts}
        return {person: (one.balance, one.pending) for person, one in told.items() if one is not None}

    async def sweep(self) -> None:
        """What workers do from time to time."""
        await daily(self.shop.scope())

    async def deliver(self, arriving: Iterable[Telling], beside: Iterable[Awaitable[object]] = ()) -> None:
        """Deliveries come and are taken in by eight workers at once, while others do something else beside them."""
        await asyncio.gather(*(self.shop.deliver(topic, payload) for topic, payload in arriving))
        await asyncio.gather(*(self.work() for _ in range(CLIENTS)), *beside)
        # What one of them woke while the others had finished.
        await self.work()

    async def work(self) -> None:
        """Work off the inbox as a worker does, a few deliveries at a time."""
        scope = self.shop.scope()

        async def act(kind: Kind) -> int:
            waiting = await inbox.claim(scope, kind, self.random.randint(1, 4))
            await inbox.work_off(scope, kind, waiting)
            return len(waiting)

        while kinds := await inbox.due(scope):
            # A job that collides too often is sent again.
            worked = [await again(lambda kind=kind: in_transaction(scope, lambda: act(kind))) for kind in kinds]
            if not any(worked):
                break


async def refusal(work: Awaitable[object]) -> Code | None:
    """The code of a refusal, or None."""
    try:
        await work
    except DomainError as refused:
        return refused.code
    return None


async def again(act: Callable[[], Awaitable[R]]) -> R:
    """Do something that opens its own transaction, and again while it collides with somebody."""
    while True:
        try:
            return await act()
        except db.COLLISIONS:
            continue
