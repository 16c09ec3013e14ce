"""Whoever works on a redemption holds it for as long as that takes; whoever stands still loses it, and does nothing twice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import httpx2
import pytest

import workers.rewards
from domain import db
from domain.rewards import RewardKind, settling
from domain.rewards.settling import CREDIT_LEASE, LEASE
from domain.scope import Scope
from integrations.shopify import Shopify
from tests.rewards import definition, offer, redeem, state
from tests.stand_in import Beside, cancel, member, only
from tests.workers.test_within_a_minute import after
from workers.rewards import settle

Connection = asyncpg.Connection  # type: ignore[type-arg]
KINDS = [(RewardKind.AMOUNT_OFF, LEASE), (RewardKind.CASHBACK, CREDIT_LEASE)]


class Gate(httpx2.AsyncBaseTransport):
    """The way to a Shopify that does not answer before it is let."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request when the gate is open."""
        self.reached.set()
        await self.opened.wait()
        return await self._inner.handle_async_request(request)


@asynccontextmanager
async def gated(here: Beside) -> AsyncGenerator[tuple[Shopify, Gate], None]:
    gate = Gate(httpx2.ASGITransport(app=here.stand_in.app()))
    client = Shopify(http=httpx2.AsyncClient(transport=gate))
    try:
        yield client, gate
    finally:
        await client.close()


class Renewals:
    """What the renewals of a worker found; `seen` is set after the first that comes after it was cleared."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen = asyncio.Event()
        self.fails = False
        self._renew = settling.renew
        patch.setattr(settling, "renew", self)
        patch.setattr(workers.rewards, "RENEW_S", 0.01)

    async def __call__(self, scope: Scope, redemption_ids: list[UUID], since: datetime) -> set[UUID]:
        """Renew, and say so."""
        try:
            if self.fails:
                raise OSError("the database is away")
            return await self._renew(scope, redemption_ids, since)
        finally:
            self.seen.set()

    async def next(self) -> None:
        """Wait for the renewal after the one that may be under way."""
        for _ in range(2):
            self.seen.clear()
            await self.seen.wait()


async def claimed(scope: Scope) -> list[UUID]:
    async with db.transaction(scope):
        return [one.id for one in await settling.claim(scope, 10)]


@pytest.mark.parametrize(("kind", "lease"), KINDS)
async def test_what_is_renewed_is_held_and_what_is_not_is_lost(here: Beside, kind: RewardKind, lease: timedelta) -> None:
    taken = await redeem(here.shop, await member(here), await offer(here.shop, definition(kind)))
    first = here.shop.now()
    moment = timedelta(microseconds=1)
    assert await claimed(first) == [taken.id]
    later = after(first, lease - moment)
    assert await claimed(later) == []
    async with db.transaction(later):
        assert await settling.renew(later, [taken.id], first.at) == {taken.id}
        # It is not held since that instant any more.
        assert await settling.renew(later, [taken.id], first.at) == set()
    assert await claimed(after(later, lease - moment)) == []
    other = after(later, lease)
    assert await claimed(other) == [taken.id]
    async with db.transaction(other):
        assert await settling.renew(other, [taken.id], later.at) == set()
        assert await settling.renew(other, [taken.id], other.at) == {taken.id}


async def test_a_worker_that_waits_for_shopify_renews(here: Beside, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await redeem(here.shop, await member(here), await offer(here.shop))
    renewals = Renewals(monkeypatch)
    async with gated(here) as (client, gate):
        working = asyncio.create_task(settle(here.shop.now(), client))
        await gate.reached.wait()
        before = await due_at(owner, taken.id)
        await renewals.next()
        assert await due_at(owner, taken.id) > before
        gate.opened.set()
        await working
    assert (await state(here.shop, taken.id)).status == "issued"
    assert only(here).code == taken.code


async def test_who_has_lost_a_lease_gives_no_credit(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker stands still for longer than its lease: another has it by now, and what the first was about to do is let go."""
    taken = await redeem(here.shop, await member(here), await offer(here.shop, definition(RewardKind.CASHBACK)))
    async with gated(here) as (client, gate):
        began = here.shop.now()
        working = asyncio.create_task(settle(began, client))
        await gate.reached.wait()
        # Nothing was renewed so far: the worker stood still.
        await settle(after(began, CREDIT_LEASE + timedelta(seconds=1)), here.shopify)
        renewals = Renewals(monkeypatch)
        await renewals.seen.wait()
        await working
        gate.opened.set()
    assert [one["id"] for one in here.state.credits] == [(await state(here.shop, taken.id)).shopify_id]


async def test_who_cannot_renew_lets_go_when_the_lease_is_over(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = await redeem(here.shop, await member(here), await offer(here.shop, definition(RewardKind.CASHBACK)))
    renewals = Renewals(monkeypatch)
    renewals.fails = True
    async with gated(here) as (client, gate):
        working = asyncio.create_task(settle(here.shop.now(), client))
        await gate.reached.wait()
        await renewals.next()
        assert not working.done()
        monkeypatch.setattr(settling, "LEASE", timedelta())
        await working
        gate.opened.set()
    assert here.state.credits == []
    assert (await state(here.shop, taken.id)).status == "held"


async def test_who_takes_it_back_meanwhile_ends_what_is_being_made(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    Renewals(monkeypatch)
    async with gated(here) as (client, gate):
        working = asyncio.create_task(settle(here.shop.now(), client))
        await gate.reached.wait()
        await cancel(here, taken)
        await working
        gate.opened.set()
    await settle(here.shop.now(), here.shopify)
    assert (await state(here.shop, taken.id)).status == "cancelled"
    assert (here.state.discounts, (await here.shop.balance(customer.id))[0]) == ({}, 1000)


async def due_at(owner: Connection, redemption_id: UUID) -> datetime:
    return await owner.fetchval("select due_at from redemptions where id = $1", redemption_id)
