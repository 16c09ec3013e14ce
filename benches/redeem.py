"""How fast points become codes that work, and how much of what Shopify allows is used: `python -m benches.redeem [--quick]`.

With `--killed` it is measured instead how long it takes until all is settled that killed workers have left.

Workers, the stand-in for Shopify and this generator are processes of their own on the same cores. The stand-in answers every call
50 ms late, as a shop far away does.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import uvicorn

from benches import redeem_killed, report, shop
from benches.stand import free_port, program, stand, wait_until_open
from domain import db, installations, points, rewards, scope
from domain.merchants import Merchant
from domain.points import Entry, TransactionType
from domain.rewards import Definition, RewardKind
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify import oauth
from integrations.shopify.throttle import STARTING_POINTS
from local.shopify_stand_in.server import StandIn

LATENCY_MS = 50
AT_ONCE = 16
UNBOUNDED = {"maximum": 1e9, "rate": 1e9, "left": 1e9}
STANDARD = {"maximum": 2000, "rate": 100, "left": STARTING_POINTS}
"""The bucket of Shopify's standard plan, with what a shop is taken to have until it says more."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    burst: int
    steady_s: float


WHOLE, QUICK = Size(burst=400, steady_s=30), Size(burst=40, steady_s=5)


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benches.redeem", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: figures without meaning")
    parser.add_argument("--killed", action="store_true", help="kill 20 workers in the middle, and nothing else: about 2 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve)
        return
    port = free_port(9700)
    os.environ["LOYALNEST_SHOPIFY_URL"] = f"http://127.0.0.1:{port}/{{shop}}"
    with stand() as here:
        machine = asyncio.run(report.facts(here.database_url))
        report.show_facts(machine)
        with program("benches.redeem", "--serve", str(port)) as stand_in:
            wait_until_open(port, stand_in)
            figures = asyncio.run(_killed(port, given.quick) if given.killed else _measure(port, QUICK if given.quick else WHOLE))
    (redeem_killed.show if given.killed else _show)(figures)
    report.write(given.json, {"facts": machine, **figures})


def _serve(port: int) -> None:
    configured = settings()
    stand_in = StandIn(configured.shopify_client_id, configured.shopify_client_secret.get_secret_value())
    stand_in.faults.latency_ms = LATENCY_MS
    uvicorn.run(stand_in.app(), host="127.0.0.1", port=port, log_level="warning", access_log=False, loop="uvloop")


async def _killed(port: int, quick: bool) -> dict[str, Any]:
    await db.open_database(settings().database_url, AT_ONCE)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            kills = redeem_killed.KILLS_QUICK if quick else redeem_killed.KILLS
            return await redeem_killed.measure(http, partial(_open, bucket=UNBOUNDED), kills)
    finally:
        await db.close_database()


async def _measure(port: int, size: Size) -> dict[str, Any]:
    await db.open_database(settings().database_url, AT_ONCE)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            with program("workers"):
                figures = await _burst(http, size)
                return figures | await _steady(http, size)
    finally:
        await db.close_database()


async def _open(http: httpx2.AsyncClient, customers: int, bucket: Mapping[str, float]) -> tuple[Merchant, Scope, UUID]:
    """A shop with rich customers, who are known at both ends, and one reward. Returns also the reward's id."""
    merchant = await shop.open_shop(customers)
    within = scope.system(merchant.id)
    grant = await oauth.by_session_token(http, merchant.shop_domain, "bench", within.at)
    await installations.install(within, grant)
    for number in range(1, customers + 1):
        await http.post(f"/_control/{merchant.shop_domain}/customers", json={"number": number})
    entries = [
        Entry(shop.customer_uuid(number), TransactionType.ADJUST, 1000, 0, "bench", str(number), "adjust")
        for number in range(1, customers + 1)
    ]
    async with db.transaction(within):
        await points.post(within, entries)
        reward = await rewards.create(within, Definition(RewardKind.AMOUNT_OFF, {"en": "Five off"}, points=10, amount_minor=500))
    await http.post(f"/_control/{merchant.shop_domain}/bucket", json=bucket)
    return merchant, within, reward.id


async def _redeem(within: Scope, reward_id: UUID, number: int, customers: int) -> float:
    """Take the reward for one customer as a command does, its message to the workers included. Returns the seconds it took."""
    # The broker reads the settings when it is imported, which `stand` has to write first.
    from workers.relay import relay_outbox  # noqa: PLC0415 -- see above

    began = time.perf_counter()
    present = within.present()
    customer_id = shop.customer_uuid(number % customers + 1)
    async with db.transaction(present):
        await rewards.redeem(present, customer_id=customer_id, reward_id=reward_id, idempotency_key=str(number))
    taken = time.perf_counter() - began
    await asyncio.to_thread(relay_outbox.send, str(within.merchant_id))
    return taken


async def _take(within: Scope, reward_id: UUID, count: int, customers: int, first: int = 1) -> list[float]:
    """Take `count` rewards, so many at once."""
    numbers = iter(range(first, first + count))

    async def one_after_another() -> list[float]:
        return [await _redeem(within, reward_id, number, customers) for number in numbers]

    return [second for seconds in await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE))) for second in seconds]


async def _delays(within: Scope) -> list[float]:
    """The seconds from taking to a code that works, of each redemption that has one."""
    async with db.connection(within) as connection:
        rows = await connection.fetch(
            "select extract(epoch from updated_at - created_at)::float8 from redemptions "
            "where merchant_id = $1 and status = 'issued'",
            within.merchant_id,
        )
    return [row[0] for row in rows]


async def _until_issued(within: Scope, count: int) -> list[float]:
    """Wait for the workers, who are processes of their own."""
    while True:
        delays = await _delays(within)
        if len(delays) >= count:
            return delays
        await asyncio.sleep(0.05)


async def _burst(http: httpx2.AsyncClient, size: Size) -> dict[str, Any]:
    """All at once, at a shop whose plan sets no bound."""
    customers = min(size.burst, 200)
    _, within, reward_id = await _open(http, customers, UNBOUNDED)
    await _take(within, reward_id, 1, customers)
    await _until_issued(within, 1)
    began = time.perf_counter()
    commands = await _take(within, reward_id, size.burst, customers, first=2)
    committed = time.perf_counter() - began
    delays = await _until_issued(within, size.burst + 1)
    worked = time.perf_counter() - began
    return {
        "commands": {"per_s": size.burst / committed, **_milliseconds(commands)},
        "codes": {"per_s": size.burst / worked, **_milliseconds(delays)},
    }


async def _steady(http: httpx2.AsyncClient, size: Size) -> dict[str, Any]:
    """More than a standard plan allows, for a while: how much of the allowance is used, and how often Shopify said no."""
    customers, count = 200, int((size.steady_s + 30) * STANDARD["rate"] / 10)
    merchant, within, reward_id = await _open(http, customers, STANDARD)
    state = f"/_control/{merchant.shop_domain}"
    await _take(within, reward_id, count, customers)
    # What has gathered while the rewards were taken goes first.
    await asyncio.sleep(size.steady_s / 3)
    before, began, issued = await _bucket(http, state), time.perf_counter(), len(await _delays(within))
    await asyncio.sleep(size.steady_s)
    after, passed = await _bucket(http, state), time.perf_counter() - began
    allowed = STANDARD["rate"] * passed + max(0, before["left"] - after["left"])
    return {
        "steady": {
            "seconds": passed,
            "used": (after["spent"] - before["spent"]) / allowed,
            "throttled": after["throttled"] - before["throttled"],
            "throttled_before": before["throttled"],
            "codes_per_s": (len(await _delays(within)) - issued) / passed,
            "left_to_do": count - len(await _delays(within)),
            "bucket_before": before["left"],
            "bucket_after": after["left"],
        }
    }


async def _bucket(http: httpx2.AsyncClient, state: str) -> dict[str, float]:
    """The shop's bucket at this moment; the stand-in fills it when it is asked to change nothing."""
    return (await http.post(f"{state}/bucket", json={})).json()


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    return {f"p{round(share * 100)}_ms": report.percentile(seconds, share) * 1000 for share in (0.5, 0.99)}


def _show(figures: dict[str, Any]) -> None:
    rows = [
        (name, f"{one['per_s']:.0f}", f"{one['p50_ms']:.0f}", f"{one['p99_ms']:.0f}")
        for name, one in (("taken: the points are gone", figures["commands"]), ("issued: the code works", figures["codes"]))
    ]
    note = f"{AT_ONCE} at once, in one shop whose plan sets no bound; Shopify answers {LATENCY_MS} ms late."
    report.show("A burst of redemptions", ("", "per s", "p50 ms", "p99 ms"), rows, note)
    steady = figures["steady"]
    told = (
        f"{steady['used'] * 100:.1f} %",
        f"{steady['throttled']:.0f} ({steady['throttled_before']:.0f} before)",
        f"{steady['codes_per_s']:.1f}",
        str(steady["left_to_do"]),
        f"{steady['bucket_before']:.0f} to {steady['bucket_after']:.0f}",
    )
    columns = ("", "of the allowance", "THROTTLED", "codes per s", "left to do", "bucket")
    report.show("Steady load on a standard plan (100 points/s)", columns, [("more than it allows", *told)])


if __name__ == "__main__":
    main()
