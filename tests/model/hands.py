"""What is done to a shop, by eight at once, and what each of them was answered."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from domain import customers, db, identity, inbox, orders, points
from domain.errors import Code, DomainError
from domain.inbox import Kind
from domain.points import AccountClosed, Entry, InsufficientPoints, TransactionType
from tests.ledger import give_back
from tests.model.ledger import ModelAccount
from tests.model.people import ModelPerson, Telling
from tests.shop import Shop
from workers.job import in_transaction

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
    """The shop, all accounts as they were found last, and everything that was acknowledged: cause, name, points, whose."""

    shop: Shop
    random: random.Random
    accounts: dict[ModelPerson, ModelAccount]
    acknowledged: list[tuple[str, str, int, ModelPerson]] = field(default_factory=list[tuple[str, str, int, ModelPerson]])
    spendings: list[Spending] = field(default_factory=list[Spending])
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

    async def pass_time(self) -> None:
        """Holds end and lots expire, worked off by two workers at once."""
        await asyncio.gather(self.expire(), self.expire(), self.mature(), self.mature())
        await self.expire()

    async def mature(self) -> None:
        """Confirm what was held long enough."""
        scope = self.shop.scope()
        await in_transaction(scope, lambda: orders.mature(scope, 100))

    async def expire(self) -> None:
        """Take what has expired."""
        scope = self.shop.scope()
        await in_transaction(scope, lambda: points.expire(scope, 100))

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

    async def wait(self, days: int) -> None:
        """Time passes."""
        self.shop.at += timedelta(days=days)
        await self.pass_time()


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
