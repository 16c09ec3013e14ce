"""How long it takes until all is settled when workers are killed in the middle: `python -m benches.redeem --killed`.

Each of 20 workers takes up one redemption and is killed (SIGKILL): before its call to Shopify leaves, while Shopify makes the
discount, and when the answer is there and nothing is booked, in turn. An ordinary worker runs all the time, as one does
beside a process that dies. What is measured is the time from the kill until there is a code that works and the points are gone.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx2

from benches import report, shop
from benches.stand import ROOT, program
from domain import db, rewards
from domain.merchants import Merchant
from domain.scope import Scope, system
from domain.settings import settings
from integrations.shopify import Shopify
from integrations.shopify.client import TIMEOUT

KILLS, KILLS_QUICK = 20, 4
LIMIT_S = 60

BEFORE, MAKING, ANSWERED = "before the call", "while it is made", "before it is booked"
MOMENTS = (BEFORE, MAKING, ANSWERED)

Open = Callable[[httpx2.AsyncClient, int], Awaitable[tuple[Merchant, Scope, UUID]]]


async def measure(http: httpx2.AsyncClient, open_: Open, kills: int) -> dict[str, Any]:
    """Kill so many workers, each in the middle of a redemption of its own. open_: makes a shop with a customer and a reward.

    Each has a shop of its own as well: else a worker that is to die would take up what one before it has left.
    """
    waiting: list[asyncio.Task[float]] = []
    moments: list[str] = []
    # A sweep can come before the worker that is to die, and then it is the ordinary one that has the redemption.
    too_late = 0
    with program("workers"):
        while len(waiting) < kills:
            moment = MOMENTS[len(waiting) % len(MOMENTS)]
            merchant, within, reward_id = await open_(http, 1)
            redemption_id, died = await _kill_one(http, merchant, within, reward_id, moment)
            if died is None:
                too_late += 1
                continue
            moments.append(moment)
            waiting.append(asyncio.create_task(_settled(within, redemption_id, died)))
        seconds = await asyncio.gather(*waiting)
    by_moment = {moment: sorted(one for one, at in zip(seconds, moments, strict=True) if at == moment) for moment in MOMENTS}
    spread = {"median_s": report.percentile(seconds, 0.5), "worst_s": max(seconds)}
    return {"killed": {"kills": kills, "too_late": too_late, "limit_s": LIMIT_S, **spread, "seconds": by_moment}}


def show(figures: dict[str, Any]) -> None:
    """Print what `measure` has found."""
    killed = figures["killed"]
    rows = [
        (moment, str(len(seconds)), f"{report.percentile(seconds, 0.5):.1f}", " ".join(f"{one:.1f}" for one in seconds))
        for moment, seconds in killed["seconds"].items()
    ]
    rows.append(("all", str(killed["kills"]), f"{killed['median_s']:.1f}", f"worst {killed['worst_s']:.1f}"))
    note = (
        f"Until the code works; the limit is {killed['limit_s']} s. {killed['too_late']} more workers were not killed and do not "
        "count: the ordinary worker's sweep had come before them."
    )
    report.show("Killed while a discount is made", ("", "kills", "median s", "seconds"), rows, note)


async def _kill_one(
    http: httpx2.AsyncClient, merchant: Merchant, within: Scope, reward_id: UUID, moment: str
) -> tuple[UUID, float | None]:
    """Take a reward, and kill the worker that makes its discount. Returns the redemption, and when that was.

    None when the worker found nothing to do and ended by itself.
    """
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benches.redeem_killed",
        str(merchant.id),
        moment,
        cwd=ROOT,
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    await worker.stdout.readline()
    present, customer_id = within.present(), shop.customer_uuid(1)
    async with db.transaction(present):
        kept = await rewards.redeem(present, customer_id=customer_id, reward_id=reward_id, idempotency_key="killed")
    worker.stdin.write(b"go\n")
    if not await worker.stdout.readline():
        await worker.wait()
        return kept.id, None
    while moment == MAKING:
        if await _calls(http, merchant):
            break
        await asyncio.sleep(0.01)
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


async def _doomed(merchant_id: UUID, moment: str) -> None:
    """A worker that is ready, waits for a word, and takes up what is due at a merchant: at once, and before any sweep.

    It says when the moment has come at which it is to die, and does nothing any more.
    """
    # The broker reads the settings when it is imported.
    from workers.rewards import settle  # noqa: PLC0415 -- see above

    def tell() -> None:
        sys.stdout.write("now\n")
        sys.stdout.flush()

    async def sending(_: object) -> None:
        if moment != ANSWERED:
            tell()
        if moment == BEFORE:
            sys.stdin.readline()

    async def answered(_: object) -> None:
        if moment == ANSWERED:
            tell()
        sys.stdin.readline()

    await db.open_database(settings().database_url, 2)
    http = httpx2.AsyncClient(timeout=TIMEOUT, event_hooks={"request": [sending], "response": [answered]})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await settle(system(merchant_id), Shopify(http=http))


if __name__ == "__main__":
    asyncio.run(_doomed(UUID(sys.argv[1]), sys.argv[2]))
