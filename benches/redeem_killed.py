"""How long it takes until all is settled when workers are killed in the middle: `python -m benches.redeem --killed`.

Each of 20 workers takes up one redemption and is killed (SIGKILL) while Shopify makes the discount. An ordinary worker runs
all the time, as one does beside a process that dies. What is measured is the time from the kill until there is a code that works
and the points are gone.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx2

from benches import report, shop
from benches.stand import ROOT, program
from domain import db, rewards
from domain.merchants import Merchant
from domain.rewards.settling import LEASE, SETTLED_WITHIN
from domain.scope import Scope, system
from domain.settings import settings

KILLS, KILLS_QUICK = 20, 5
LATE_MS = 1500
"""How late the answer is that the worker does not live to read. Every second one would say that nothing was done."""

Open = Callable[[httpx2.AsyncClient, int], Awaitable[tuple[Merchant, Scope, UUID]]]


async def measure(http: httpx2.AsyncClient, open_: Open, kills: int) -> dict[str, Any]:
    """Kill so many workers, each in the middle of a redemption of its own. open_: makes a shop with a customer and a reward.

    Each has a shop of its own as well: else a worker that is to die would take up what one before it has left.
    """
    waiting: list[asyncio.Task[float]] = []
    with program("workers"):
        for number in range(kills):
            merchant, within, reward_id = await open_(http, 1)
            redemption_id, died = await _kill_one(http, merchant, within, reward_id, number)
            waiting.append(asyncio.create_task(_settled(within, redemption_id, died)))
        settled = await asyncio.gather(*waiting)
    # What was settled before a lease can end was not the dead worker's.
    seconds = [one for one in settled if one > LEASE.total_seconds() - LATE_MS / 1000]
    assert seconds, "not one worker died in the middle"
    spread = {"median_s": report.percentile(seconds, 0.5), "worst_s": max(seconds)}
    return {"killed": {"kills": len(seconds), "limit_s": SETTLED_WITHIN.total_seconds(), **spread}}


def show(figures: dict[str, Any]) -> None:
    """Print what `measure` has found."""
    killed = figures["killed"]
    row = (f"{killed['kills']} workers", f"{killed['median_s']:.1f}", f"{killed['worst_s']:.1f}", f"{killed['limit_s']:.0f}")
    note = f"Shopify answers {LATE_MS} ms late; the kill comes in between."
    report.show("Killed while a discount is made", ("", "median s", "worst s", "limit s"), [row], note)


async def _kill_one(
    http: httpx2.AsyncClient, merchant: Merchant, within: Scope, reward_id: UUID, number: int
) -> tuple[UUID, float]:
    """Take a reward, and kill the worker that makes its discount. Returns the redemption, and when that was."""
    kind = "latency" if number % 2 else "unavailable"
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benches.redeem_killed",
        str(merchant.id),
        cwd=ROOT,
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    await worker.stdout.readline()
    await http.post("/_control/faults", json={"operation": "CodeBasic", "kind": kind, "latency_ms": LATE_MS})
    before = await _calls(http, merchant)
    present, customer_id = within.present(), shop.customer_uuid(1)
    async with db.transaction(present):
        kept = await rewards.redeem(present, customer_id=customer_id, reward_id=reward_id, idempotency_key=f"kill {number}")
    worker.stdin.write(b"go\n")
    while True:
        if await _calls(http, merchant) > before:
            break
        await asyncio.sleep(0.01)
    # Were the ordinary worker's sweep quicker, this one would have found nothing to do, and ended by itself.
    with suppress(ProcessLookupError):
        worker.kill()
    died = time.perf_counter()
    await worker.wait()
    return kept.id, died


async def _calls(http: httpx2.AsyncClient, merchant: Merchant) -> int:
    """How often the shop was asked to make a code. The stand-in counts a call when it comes."""
    return (await http.get(f"/_control/{merchant.shop_domain}")).json()["calls"].get("CodeBasic", 0)


async def _settled(within: Scope, redemption_id: UUID, died: float) -> float:
    """Wait until the redemption has its code. Returns the seconds since the worker died."""
    while True:
        found = await rewards.redemption(within, redemption_id)
        assert found is not None, "a redemption is never deleted"
        if found.status == "issued":
            return time.perf_counter() - died
        await asyncio.sleep(0.05)


async def _doomed(merchant_id: UUID) -> None:
    """A worker that is ready, waits for a word, and takes up what is due at a merchant: at once, and before any sweep."""
    # The broker reads the settings when it is imported.
    from workers.rewards import settle  # noqa: PLC0415 -- see above

    await db.open_database(settings().database_url, 2)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await settle(system(merchant_id))


if __name__ == "__main__":
    asyncio.run(_doomed(UUID(sys.argv[1])))
