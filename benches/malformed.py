"""Ten thousand of every kind of junk: `python -m benches.malformed [--quick]`. benches/README.md says what is held."""

import argparse
import asyncio
import base64
import hmac
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from api.auth import staff_token
from benches import report
from benches.shop import open_shop
from benches.stand import free_port, program, stand, wait_until_open
from domain import db
from domain.merchants import Merchant
from domain.scope import now
from domain.settings import settings
from tests.e2e.malformed import AT_ONCE, MEMORY_MAX, PER_SOCKET, Target, documents, frames, resident_bytes, webhooks

COUNT, QUICK = 10_000, 1_000
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
    report.show(
        "Junk that a server was sent",
        ["", "sent", "seconds", "answers", "memory MiB"],
        rows,
        f"None was answered as a fault of the server. Memory is what it grew by, {MEMORY_MAX // MIB} at most.",
    )


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
