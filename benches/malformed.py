"""Ten thousand of every kind of junk: `python -m benches.malformed [--quick]`. benches/README.md says what is held."""

import argparse
import asyncio
import base64
import hmac
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median

import httpx

from api.auth import staff_token
from benches import report
from benches.shop import open_shop
from benches.stand import free_port, program, stand, wait_until_open
from domain import db
from domain.merchants import Merchant
from domain.scope import now
from domain.settings import settings
from tests.e2e.malformed import (
    AT_ONCE,
    MEMORY_MAX,
    PATIENCE_S,
    PER_SOCKET,
    SEED,
    Target,
    documents,
    frames,
    resident_bytes,
    webhook,
    webhooks,
)

COUNT, QUICK = 10_000, 1_000
JUNK_PER_S, GOOD_PER_S = 100, 20
"""How much comes at once from all the world, and of it from a busy shop, while the time of the answers is taken."""
ROUNDS, QUICK_ROUNDS = 5, 1
ROUND_S = 20
P99_GOAL_MS = 50
LASTS = timedelta(hours=2)
MIB = 1024 * 1024
ORDER = {
    "id": 1,
    "created_at": "2026-03-02T12:00:00-05:00",
    "updated_at": "2026-03-02T12:00:00-05:00",
    "currency": "USD",
    "financial_status": "paid",
    "customer": {"id": 7},
    "line_items": [{"id": 1, "price": "10.00", "quantity": 1, "product_id": 1}],
}
GOOD_ALONE, GOOD_BESIDE, JUNK = "good, alone", "good, beside junk", "junk"
Send = Callable[[Target, int], Awaitable[Counter[int] | Counter[str]]]


def main() -> None:
    """Send, and fail at the first answer that is a fault of ours, or when the memory grows."""
    parser = argparse.ArgumentParser(prog="python -m benches.malformed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    given = parser.parse_args()
    count = QUICK if given.quick else COUNT
    kinds: dict[str, tuple[Send, int]] = {
        "documents over HTTP": (documents, count),
        "sockets": (frames, -(-count // PER_SOCKET)),
        "webhooks": (webhooks, count),
    }
    rows: list[list[str]] = []
    with stand() as here:
        merchant = asyncio.run(_open_shop(here.database_url))
        port = free_port(8400)
        with program("api", port=port) as process:
            wait_until_open(port, process)
            target = _target(merchant, port, process.pid)
            for name, (send, number) in kinds.items():
                rows.append([name, *asyncio.run(_measured(target, send, number))])
            times = asyncio.run(_timed(target, QUICK_ROUNDS if given.quick else ROUNDS))
    report.show(
        "Junk that a server was sent",
        ["", "sent", "seconds", "answers", "memory MiB"],
        rows,
        f"None was answered as a fault of the server. Memory is what it grew by, {MEMORY_MAX // MIB} at most.",
    )
    _show(times)


async def _measured(target: Target, send: Send, count: int) -> list[str]:
    begun = time.monotonic()
    # The caches fill first.
    await send(target, _even(count // 5))
    before = resident_bytes(target.pid)
    answers = await send(target, _even(count))
    grown = resident_bytes(target.pid) - before
    if grown > MEMORY_MAX:
        raise RuntimeError(f"the server grew by {grown:,} bytes")
    told = ", ".join(f"{kind}: {number}" for kind, number in sorted(answers.items()))
    return [f"{_even(count):,}", f"{time.monotonic() - begun:.0f}", told, f"{grown / MIB:.1f}"]


async def _timed(target: Target, rounds: int) -> dict[str, list[list[float]]]:
    """How long answers take, in ms, round by round: to good webhooks alone, to good ones while junk comes, and to the junk."""
    found: dict[str, list[list[float]]] = {GOOD_ALONE: [], GOOD_BESIDE: [], JUNK: []}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    chance = random.Random(SEED)
    async with httpx.AsyncClient(base_url=target.url, timeout=PATIENCE_S, limits=limits) as client:

        async def good() -> None:
            body = target.delivery.encode()
            response = await client.post("/webhooks/shopify", content=body, headers=target.signed(body))
            if response.json() != {"status": "accepted"}:
                raise RuntimeError(f"a good webhook was answered {response.status_code}")

        async def junk() -> None:
            await webhook(client, target, chance)

        await _paced(good, GOOD_PER_S, ROUND_S // 10)
        for _ in range(rounds):
            found[GOOD_ALONE].append(await _paced(good, GOOD_PER_S, ROUND_S))
            beside, junks = await asyncio.gather(_paced(good, GOOD_PER_S, ROUND_S), _paced(junk, JUNK_PER_S, ROUND_S))
            found[GOOD_BESIDE].append(beside)
            found[JUNK].append(junks)
    return found


async def _paced(send: Callable[[], Awaitable[None]], per_s: int, seconds: int) -> list[float]:
    """Send so many a second, whatever has been answered. Each is timed from when it was due, so that waiting counts."""

    async def one(due: float) -> float:
        await send()
        return (time.perf_counter() - due) * 1000

    begun, under_way = time.perf_counter(), list[asyncio.Task[float]]()
    for number in range(per_s * seconds):
        due = begun + number / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        under_way.append(asyncio.create_task(one(due)))
    return list(await asyncio.gather(*under_way))


def _show(times: dict[str, list[list[float]]]) -> None:
    rows = [
        [
            name,
            f"{sum(map(len, rounds)):,}",
            f"{median(report.percentile(one, 0.5) for one in rounds):.1f}",
            f"{median(report.percentile(one, 0.99) for one in rounds):.1f}",
            report.spread([report.percentile(one, 0.99) for one in rounds]),
            f"{max(map(max, rounds)):.0f}",
        ]
        for name, rounds in times.items()
    ]
    report.show(
        "How long webhooks wait for their answers",
        ["", "sent", "p50 ms", "p99 ms", "spread", "slowest"],
        rows,
        f"Medians of {len(times[JUNK])} rounds of {ROUND_S} s: {GOOD_PER_S} good ones a second, and {JUNK_PER_S} of junk beside "
        f"them. The goal for p99 of junk is {P99_GOAL_MS} ms.",
    )


def _even(count: int) -> int:
    """As many as can be shared out among the senders, and no fewer."""
    return -(-count // AT_ONCE) * AT_ONCE


async def _open_shop(database_url: str) -> Merchant:
    await db.open_database(database_url, 1)
    try:
        return await open_shop(10)
    finally:
        await db.close_database()


def _target(merchant: Merchant, port: int, pid: int) -> Target:
    secret = settings().shopify_client_secrets[0].encode()

    def signed(body: bytes) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "x-shopify-topic": "orders/create",
            "x-shopify-hmac-sha256": base64.b64encode(hmac.digest(secret, body, "sha256")).decode(),
            "x-shopify-shop-domain": merchant.shop_domain,
            "x-shopify-webhook-id": secrets.token_hex(16),
            "x-shopify-triggered-at": "2026-03-02T12:00:00.000000000Z",
        }

    token = staff_token(merchant.shop_domain, "1", now(), LASTS)
    return Target(f"http://127.0.0.1:{port}", pid, token, json.dumps(ORDER), signed)


if __name__ == "__main__":
    main()
