"""A machine that does to a shop what shops do, eight at a time, and asks after each step whether the ledger tells the truth.

The ledger's own order is the history: the model folds it and refuses an entry that could not have happened. What the shop's
orders are worth is computed apart from it, and the two must meet.
"""

import asyncio
import itertools
import random
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from domain import customers, db, inbox, orders, points
from domain.errors import Code, DomainError
from domain.inbox import Kind
from domain.points import Entry, TransactionType
from domain.points.verify import Progress, verify
from domain.programs import Clawback, Period, Unit
from tests.ledger import give_back
from tests.model.ledger import fold
from tests.model.shop import ModelLine, ModelOrder
from tests.shop import Shop, open_shop, rate
from workers.job import in_transaction

CLIENTS = 8
CUSTOMERS = 3
_numbers = itertools.count(880_000_000)


class Machine(RuleBasedStateMachine):
    """One shop, three customers. Work is gathered and then done by eight clients at once, shuffled and partly repeated."""

    application: ClassVar[object]
    loop: ClassVar[asyncio.AbstractEventLoop]

    placed = Bundle("placed")
    redeemed = Bundle("redeemed")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run on the loop that owns the pool."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    @initialize(
        points_=st.integers(1, 13),
        hold_days=st.sampled_from([0, 0, 7]),
        expiry=st.sampled_from([None, Period(20, Unit.DAYS), Period(1, Unit.MONTHS)]),
        policy=st.sampled_from(list(Clawback)),
        grace=st.sampled_from([0, 5]),
        seed=st.integers(0, 2**32),
    )
    def open(self, points_: int, hold_days: int, expiry: Period | None, policy: Clawback, grace: int, seed: int) -> None:
        """A shop with a program."""
        self.random = random.Random(seed)
        self.points, self.hold_days = points_, hold_days
        self.policy = policy
        self.orders: dict[int, ModelOrder] = {}
        self.paid_at: dict[int, datetime] = {}
        self.waiting: list[tuple[str, dict[str, Any]]] = []
        self.adjusted = [0] * CUSTOMERS
        self.acknowledged: list[tuple[str, str, int]] = []
        self.shop: Shop = self.run(self._open(points_, hold_days, expiry, policy, grace))

    async def _open(self, points_: int, hold_days: int, expiry: Period | None, policy: Clawback, grace: int) -> Shop:
        shop = await open_shop(self.application)
        await shop.publish(
            rate(points_, hold_days=hold_days, points_expire_after=expiry, clawback=policy, restore_grace_days=grace)
        )
        self.customers = [await shop.customer() for _ in range(CUSTOMERS)]
        return shop

    def tell(self, order: ModelOrder) -> None:
        """The order as it is now will be delivered at some time."""
        payload = order.payload()
        self.waiting.append(("orders/updated", payload))
        if order.status == "paid":
            instant = datetime.fromisoformat(payload["updated_at"])
            self.paid_at[order.number] = min(instant, self.paid_at.get(order.number, instant))

    @rule(
        target=placed,
        customer=st.integers(0, CUSTOMERS - 1),
        lines=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 4)), min_size=1, max_size=3),
        paid=st.booleans(),
    )
    def place(self, customer: int, lines: list[tuple[int, int]], paid: bool) -> int:
        """An order."""
        number = next(_numbers)
        order = ModelOrder(
            number,
            self.customers[customer].shopify_id,
            self.shop.at,
            [ModelLine(number * 10 + index, cents, quantity) for index, (cents, quantity) in enumerate(lines)],
            "paid" if paid else "pending",
        )
        self.orders[number] = order
        self.tell(order)
        return number

    @rule(number=placed)
    def pay(self, number: int) -> None:
        """Payment comes."""
        order = self.orders[number]
        if order.status == "pending" and not order.cancelled:
            order.status = "paid"
            self.tell(order)

    @rule(number=placed, data=st.data(), by_itself=st.booleans())
    def refund(self, number: int, data: st.DataObject, by_itself: bool) -> None:
        """Pieces or money go back, and the shop tells it by the order, or by the refund too."""
        order = self.orders[number]
        if order.status == "pending" or order.cancelled:
            return
        pieces = [(line, data.draw(st.integers(0, line.kept))) for line in order.lines]
        goodwill = data.draw(st.integers(0, 3) | st.integers(0, 5_000))
        refund = order.refund([(line, count) for line, count in pieces if count], goodwill)
        if by_itself:
            self.waiting.append(("refunds/create", refund))
        self.tell(order)

    @rule(number=placed, data=st.data())
    def edit(self, number: int, data: st.DataObject) -> None:
        """The shop takes pieces off an order, or adds some."""
        order = self.orders[number]
        line = data.draw(st.sampled_from(order.lines))
        if order.status != "pending" or order.cancelled:
            return
        if data.draw(st.booleans()):
            line.removed += data.draw(st.integers(0, line.kept))
        else:
            line.quantity += data.draw(st.integers(1, 3))
        self.tell(order)

    @rule(number=placed)
    def cancel(self, number: int) -> None:
        """The order is cancelled."""
        order = self.orders[number]
        if not order.cancelled:
            order.cancelled = True
            self.tell(order)

    @rule(customer=st.integers(0, CUSTOMERS - 1), amount=st.integers(-300, 2_000).filter(bool))
    def adjust(self, customer: int, amount: int) -> None:
        """Staff give or take."""
        self.run(self._adjust(customer, amount, f"a{next(_numbers)}"))

    async def _adjust(self, customer: int, amount: int, key: str) -> None:
        scope = self.shop.scope()
        try:
            async with db.transaction(scope):
                await points.adjust(
                    scope, customer_id=self.customers[customer].id, points=amount, reason="model", idempotency_key=key
                )
        except DomainError as refusal:
            if refusal.code is not Code.INSUFFICIENT_POINTS or amount > 0:
                raise
        else:
            self.adjusted[customer] += amount

    @rule(target=redeemed, customer=st.integers(0, CUSTOMERS - 1), amount=st.integers(1, 1_500), clients=st.integers(1, CLIENTS))
    def redeem(self, customer: int, amount: int, clients: int) -> list[tuple[int, int, int]]:
        """As many clients at once spend the same amount of one balance."""
        return self.run(self._redeem(customer, amount, clients))

    async def _redeem(self, customer: int, amount: int, clients: int) -> list[tuple[int, int, int]]:
        wanted = self.customers[customer].id
        before = await customers.by_id(self.shop.scope(), wanted)
        assert before is not None
        names = [f"r{next(_numbers)}" for _ in range(clients)]
        positions = await asyncio.gather(*(self._spend(wanted, amount, name) for name in names))
        done = [(customer, position, amount) for position in positions if position is not None]
        assert len(done) == min(clients, max(0, before.balance) // amount)
        return done

    async def _spend(self, customer_id: UUID, amount: int, name: str) -> int | None:
        scope = self.shop.scope()
        entry = Entry(customer_id, TransactionType.REDEEM, -amount, 0, "redemption", name, "hold", floor=0)
        try:
            async with db.transaction(scope):
                [posted] = await points.post(scope, [entry])
        except DomainError as refusal:
            if refusal.code is not Code.INSUFFICIENT_POINTS:
                raise
            return None
        self.acknowledged.append(("redemption", name, -amount))
        return posted.position

    @rule(redemptions=redeemed, data=st.data())
    def restore(self, redemptions: list[tuple[int, int, int]], data: st.DataObject) -> None:
        """A part of what was spent comes back, told twice."""
        for customer, position, amount in redemptions:
            part, name = data.draw(st.integers(1, amount)), f"b{next(_numbers)}"
            self.run(self._restore(customer, position, part, name))

    async def _restore(self, customer: int, position: int, part: int, name: str) -> None:
        try:
            await give_back(self.shop, self.customers[customer].id, position, part, name)
        except DomainError as refusal:
            if refusal.code is not Code.NOTHING_TO_RESTORE:
                raise
            return
        self.acknowledged.append(("redemption", name, part))
        assert await give_back(self.shop, self.customers[customer].id, position, part, name) == []

    @rule(days=st.integers(1, 25))
    def wait(self, days: int) -> None:
        """Time passes; holds end and lots expire, worked off by two workers at once."""
        self.shop.at += timedelta(days=days)
        self.run(self._wait())

    async def _wait(self) -> None:
        await asyncio.gather(self._expire(), self._expire(), self._mature(), self._mature())
        await self._expire()

    async def _mature(self) -> None:
        async with db.transaction(self.shop.scope()):
            await orders.mature(self.shop.scope(), 100)

    async def _expire(self) -> None:
        async with db.transaction(self.shop.scope()):
            await points.expire(self.shop.scope(), 100)

    @rule(share=st.integers(1, 100))
    def deliver(self, share: int) -> None:
        """A share of what was told arrives, shuffled, some of it twice; eight workers take it in at once."""
        self.random.shuffle(self.waiting)
        count = (len(self.waiting) * share + 99) // 100
        arriving, self.waiting = self.waiting[:count], self.waiting[count:]
        arriving += self.random.sample(arriving, len(arriving) // 3)
        self.run(self._deliver(arriving))

    async def _deliver(self, arriving: list[tuple[str, dict[str, Any]]]) -> None:
        await asyncio.gather(*(self.shop.deliver(topic, payload) for topic, payload in arriving))
        await asyncio.gather(*(self._work() for _ in range(CLIENTS)))
        # What one of them woke while the others had finished.
        await self._work()

    async def _work(self) -> None:
        scope = self.shop.scope()

        async def act(kind: Kind) -> int:
            waiting = await inbox.claim(scope, kind, self.random.randint(1, 4))
            await inbox.work_off(scope, kind, waiting)
            return len(waiting)

        while kinds := await inbox.due(scope):
            worked = [await in_transaction(scope, lambda kind=kind: act(kind)) for kind in kinds]
            if not any(worked):
                break

    @invariant()
    def the_ledger_tells_the_truth(self) -> None:
        """Every account is the fold of its entries, by a model that shares no code with it; every effect is there once."""
        if hasattr(self, "shop"):
            self.run(self._check())

    async def _check(self) -> None:
        scope = self.shop.scope()
        booked: dict[tuple[str, str], int] = {}
        for customer in self.customers:
            entries = await points.since(scope, customer.id, 0, 100_000)
            account = await customers.by_id(scope, customer.id)
            assert account is not None
            model = fold(entries)
            assert (account.balance, account.pending, account.version) == (model.balance, model.pending, len(entries))
            lots = {lot.lot: lot.remaining for lot in await points.open_lots(scope, customer.id, 10_000)}
            assert lots == {lot.number: lot.remaining for lot in model.lots.values() if lot.remaining}
            for entry in entries:
                cause = entry.source, entry.external_id
                booked[cause] = booked.get(cause, 0) + entry.points
        for source, name, amount in self.acknowledged:
            assert booked[source, name] == amount
        assert sum(source == "redemption" for source, _ in booked) == len(self.acknowledged)

    def teardown(self) -> None:
        """At last everything arrives: each order is worth what the shop kept of it, and the chain holds."""
        if hasattr(self, "shop"):
            self.deliver(100)
            assert self.waiting == []
            self.run(self._settled())

    async def _settled(self) -> None:
        scope = self.shop.scope()
        await self._wait()
        await self._check()
        for order in self.orders.values():
            found = await orders.by_shopify_id(scope, order.number)
            assert found is not None
            per_hundred = order.worth(self.points, 1)
            assert found.deserved == per_hundred, order
            assert found.posted_points + found.posted_pending == (found.deserved + found.absorbed + found.forgiven + found.seized)
            if self.policy is Clawback.UNLIMITED:
                assert (found.forgiven, found.seized) == (0, 0)
            paid_at = self.paid_at.get(order.number)
            if paid_at is not None and paid_at + timedelta(days=self.hold_days) <= self.shop.at:
                assert found.posted_pending == 0
            else:
                assert found.posted_points == found.absorbed == 0
        assert [drift async for page in orders.replay(scope) for drift in page.drifts] == []
        stuck = await inbox.page(scope, 10, None, status=None, topic=None)
        assert {delivery.status for delivery in stuck} <= {"done"}
        assert await verify(scope, Progress()) is None


async def test_a_shop_of_eight_hands_and_its_ledger(application: object) -> None:
    Machine.application, Machine.loop = application, asyncio.get_running_loop()
    wanted = settings(
        max_examples=20,
        stateful_step_count=30,
        deadline=None,
        # A failure prints its steps; making them fewer would take longer than reading them.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=wanted)
