"""How long it takes until what a dead worker has left is settled: told by the clock that is handed in, and not by waiting."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.db import DISPATCHER_ROLE, Connection
from domain.rewards import RewardKind
from domain.rewards.reservations import LEAVING
from domain.rewards.settling import CREDIT_LEASE, LEASE, SETTLED_WITHIN
from domain.scope import Scope
from integrations.shopify.client import TIMEOUT
from tests.stand_in import Beside, member
from tests.workers.test_reservations import open_till, reserve
from tests.workers.test_reward_kills import BEGINNING, CASES, Fate, Killed, is_right, mortal
from workers.due import DUE, merchants_with
from workers.rewards import RENEW_S, end, end_reservations, settle, settle_redemptions
from workers.sweeper import PERIOD_S

PERIOD = timedelta(seconds=PERIOD_S)
WITHOUT_FAULTS = [name for name, (_, _, fault, *_) in CASES.items() if fault is None]


def after(scope: Scope, passed: timedelta) -> Scope:
    """The same scope when so much time has passed: jobs ask it for the present."""
    return replace(scope, at=scope.at + passed, clock_offset=passed)


async def is_due(owner: Connection, job: object, scope: Scope) -> bool:
    """Whether the sweeper, looking at this instant, sends the job for the merchant."""
    await owner.execute(f"set role {DISPATCHER_ROLE}")
    for due in DUE:
        if due.job is job and scope.merchant_id in await merchants_with(owner, due, scope.at, {}):
            return True
    return False


def test_the_intervals_add_up_to_less() -> None:
    """The dead worker's lease, the sweeper's next look, and as long as Shopify may take to look for a code and to make it."""
    assert TIMEOUT.read is not None
    step = timedelta(seconds=2 * TIMEOUT.read)
    assert LEASE + PERIOD + step <= SETTLED_WITHIN <= timedelta(minutes=1) - timedelta(seconds=20)
    # Store credit waits until the request of the dead worker is dead too.
    assert CREDIT_LEASE + PERIOD + step < timedelta(minutes=1)
    assert timedelta(seconds=TIMEOUT.read + RENEW_S) < CREDIT_LEASE
    # One renewal that fails loses nothing.
    assert timedelta(seconds=3 * RENEW_S) < LEASE


@pytest.mark.parametrize("case", WITHOUT_FAULTS)
async def test_whatever_step_a_worker_dies_at_a_sweep_within_the_minute_settles_it(
    here: Beside, owner: Connection, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    begin, kind, _, end_status, least = CASES[case]
    worst, lease = timedelta(), CREDIT_LEASE if kind is RewardKind.CASHBACK else LEASE
    for at in range(1, least + 1):
        here.state.credits.clear()
        customer = await member(here, BEGINNING)
        taken = await begin(here, customer, kind)
        died = here.shop.now()
        async with mortal(here, Fate(at), monkeypatch) as client:
            with pytest.raises(Killed):
                await settle(died, client)
        passed = timedelta()
        while True:
            try:
                status = await is_right(here, taken, customer)
            except AssertionError:
                status = ""
            if status == end_status:
                break
            passed += PERIOD
            assert passed <= lease + PERIOD, (at, status)
            swept = after(died, passed)
            if await is_due(owner, settle_redemptions, swept):
                await settle(swept, here.shopify)
        worst = max(worst, passed)
    # Not less either: the sweeper leaves alone what a living worker may still hold.
    assert lease <= worst <= lease + PERIOD


async def test_a_reservation_is_ended_by_the_first_sweep_after_its_time_whoever_dies(
    here: Beside, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody leases it: what a worker that died had done is undone, and the next sweep begins anew."""
    await open_till(here)
    customer = await member(here, BEGINNING)
    began = here.shop.now()
    held = await reserve(here, customer, 400, at=began.at)
    expires = held.expires_at - began.at
    for status, lasts in (("leaving", expires), ("released", expires + PERIOD + LEAVING)):
        assert not await is_due(owner, end_reservations, after(began, lasts - PERIOD))
        swept = after(began, lasts + PERIOD)
        assert await is_due(owner, end_reservations, swept)
        async with mortal(here, Fate(1), monkeypatch):
            with pytest.raises(Killed):
                await end(swept)
        assert await is_due(owner, end_reservations, swept)
        await end(swept)
        data = await here.shop.data(
            "query ($id: ID!) { node(id: $id) { ... on PointsReservation { status } } }",
            id=f"gid://loyalnest/PointsReservation/{held.id}",
        )
        assert data["node"] == {"status": status}
    assert await here.shop.balance(customer.id) == (BEGINNING, 0)
