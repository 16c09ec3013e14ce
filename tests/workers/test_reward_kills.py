"""A worker dies at every step that it takes: before and after each call to Shopify, before and after each commit."""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import httpx2
import pytest

import workers.rewards
from domain.customers import Customer
from domain.rewards import Redemption, RewardKind
from domain.scope import Scope
from integrations.shopify import Shopify
from local.shopify_stand_in.faults import Fault
from tests.rewards import definition, offer, redeem, state
from tests.stand_in import Beside, cancel, later, member, work
from workers.rewards import settle

Connection = asyncpg.Connection  # type: ignore[type-arg]
R = TypeVar("R")
COST = 500
BEGINNING = 1000


class Killed(BaseException):
    """The process is gone: no handler of an error runs."""


@dataclass
class Fate:
    """Kills at the step with this number; `steps` says what was done until then."""

    at: int
    steps: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        """One step more."""
        if len(self.steps) < self.at:
            self.steps.append(name)
        if len(self.steps) >= self.at:
            raise Killed(name)


class Mortal(httpx2.AsyncBaseTransport):
    """The way to Shopify of a process that may die before a request leaves, and before its answer is read."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request."""
        self._fate.step("before a call")
        response = await self._inner.handle_async_request(request)
        await response.aread()
        self._fate.step("after a call")
        return response


@asynccontextmanager
async def mortal(here: Beside, fate: Fate, patch: pytest.MonkeyPatch) -> AsyncGenerator[Shopify, None]:
    """A worker's process whose fate is set."""
    whole = workers.rewards.in_transaction

    async def in_transaction(within: Scope, act: Callable[[], Awaitable[R]]) -> R:
        async def booked() -> R:
            done = await act()
            fate.step("before a commit")
            return done

        done = await whole(within, booked)
        fate.step("after a commit")
        return done

    http = httpx2.AsyncClient(transport=Mortal(httpx2.ASGITransport(app=here.stand_in.app()), fate))
    client = Shopify(http=http)
    with patch.context() as patched:
        patched.setattr(workers.rewards, "in_transaction", in_transaction)
        yield client
    await client.close()


async def is_right(here: Beside, taken: Redemption, customer: Customer) -> str:
    """Check that there is a working discount and the points are gone, or neither; returns the status."""
    now = await state(here.shop, taken.id)
    codes = [one for one in here.state.discounts.values() if one.code == taken.code]
    balance = (await here.shop.balance(customer.id))[0]
    if now.status == "issued":
        assert [(one.id, one.active, one.used) for one in codes] == [(now.shopify_id, True, 0)]
        assert balance == BEGINNING - COST
    elif now.status == "used":
        assert [one["id"] for one in here.state.credits] == [now.shopify_id]
        assert balance == BEGINNING - COST
    else:
        assert now.status in ("failed", "cancelled", "expired")
        assert (codes, here.state.credits) == ([], [])
        assert balance == BEGINNING
    return now.status


async def settled(here: Beside, owner: Connection) -> None:
    """What the next processes do when leases are over, until nothing is left to do."""
    for _ in range(20):
        await later(here, owner)
        await settle(here.shop.now(), here.shopify)
        # A code that works is due when it runs out.
        if not await owner.fetchval("select count(*) from redemptions where due_at is not null and status <> 'issued'"):
            return
    raise AssertionError("something is never settled")


async def to_take(here: Beside, customer: Customer, kind: RewardKind) -> Redemption:
    return await redeem(here.shop, customer, await offer(here.shop, definition(kind)))


async def to_cancel(here: Beside, customer: Customer, kind: RewardKind) -> Redemption:
    taken = await to_take(here, customer, kind)
    await work(here)
    await cancel(here, taken)
    return taken


async def to_expire(here: Beside, customer: Customer, kind: RewardKind) -> Redemption:
    month_ago = datetime.now(UTC) - timedelta(days=31)
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(kind, valid_days=30)), at=month_ago)
    await settle(here.shop.scope(month_ago), here.shopify)
    return taken


CASES: dict[str, tuple[Any, RewardKind, Fault | None, str, int]] = {
    "a code": (to_take, RewardKind.AMOUNT_OFF, None, "issued", 6),
    "a code of the function": (to_take, RewardKind.FREE_PRODUCT, None, "issued", 6),
    "a code whose answer is lost": (to_take, RewardKind.AMOUNT_OFF, Fault("CodeBasic", "lost"), "issued", 10),
    "a code that is refused": (to_take, RewardKind.AMOUNT_OFF, Fault("CodeBasic", "refused"), "failed", 6),
    "store credit": (to_take, RewardKind.CASHBACK, None, "used", 6),
    "store credit whose answer is lost": (to_take, RewardKind.CASHBACK, Fault("StoreCredit", "lost"), "used", 6),
    "taking a code back": (to_cancel, RewardKind.AMOUNT_OFF, None, "cancelled", 12),
    "taking a code back, with a lost answer": (to_cancel, RewardKind.AMOUNT_OFF, Fault("CodeDelete", "lost"), "cancelled", 14),
    "a code that runs out": (to_expire, RewardKind.PERCENTAGE, None, "expired", 12),
}
"""By name: what is to be done, for which kind, what goes wrong besides, how it ends, and how many steps it has at least."""


@pytest.mark.parametrize("case", CASES)
async def test_a_worker_that_dies_at_any_step_costs_nobody_anything(
    here: Beside, owner: Connection, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    begin, kind, fault, end, least = CASES[case]
    at = 0
    while True:
        at += 1
        here.state.credits.clear()
        customer = await member(here, BEGINNING)
        taken = await begin(here, customer, kind)
        if fault is not None:
            here.stand_in.faults.coming.append(replace(fault))
        fate = Fate(at)
        async with mortal(here, fate, monkeypatch) as client:
            died = True
            try:
                await settle(here.shop.now(), client)
                died = False
            except Killed:
                pass
        await settled(here, owner)
        status = await is_right(here, taken, customer)
        assert here.stand_in.faults.coming == [] or here.stand_in.faults.coming[-1].times == 0
        # What is refused once is not refused to the next process.
        assert status == end or (fault is not None and fault.kind == "refused" and status == "issued"), fate.steps
        if not died:
            assert len(fate.steps) >= least
            return


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_faults_and_deaths_leaves_every_redemption_right(
    here: Beside, owner: Connection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Ten customers take, some take back, while calls are lost, refused for a while, throttled and late, and workers die."""
    dice = random.Random(seed)
    reward = await offer(here.shop)
    everybody = [await member(here, BEGINNING) for _ in range(10)]
    kinds = ("unavailable", "lost", "garbled", "throttled", "too_many")
    operations = ("CodeBasic", "CodeFind", "CodeDeactivate", "CodeDelete", "*")
    open_ones = list(everybody)
    everything: list[tuple[Redemption, Customer]] = []
    for _ in range(10):
        for _ in range(dice.randrange(3)):
            here.stand_in.faults.coming.append(Fault(dice.choice(operations), dice.choice(kinds), times=dice.randrange(1, 6)))
        for _ in range(min(2, len(open_ones))):
            customer = open_ones.pop()
            everything.append((await redeem(here.shop, customer, reward), customer))
        taken, _ = dice.choice(everything)
        if dice.random() < 0.4 and (await state(here.shop, taken.id)).status in ("held", "issued"):
            await cancel(here, taken)
        async with mortal(here, Fate(dice.randrange(1, 40)), monkeypatch) as client:
            try:
                await settle(here.shop.now(), client)
            except Killed:
                await later(here, owner)
    here.stand_in.faults.coming.clear()
    await settled(here, owner)
    found = [await is_right(here, taken, customer) for taken, customer in everything]
    assert len(found) == 10
    assert "issued" in found
    ours = {one.code for one in here.state.discounts.values()}
    assert len(ours) == len(here.state.discounts) == found.count("issued")


async def test_the_storm_can_fail(here: Beside, owner: Connection) -> None:
    """The check itself: a discount without its points, and points without their discount, are both found."""
    customer = await member(here, BEGINNING)
    taken = await to_take(here, customer, RewardKind.AMOUNT_OFF)
    await settled(here, owner)
    here.state.discounts.clear()
    with pytest.raises(AssertionError):
        await is_right(here, taken, customer)
    await owner.execute("update redemptions set status = 'failed' where id = $1", taken.id)
    with pytest.raises(AssertionError):
        await is_right(here, taken, customer)
