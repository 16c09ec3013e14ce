"""Unique words and secrets through every door, and then a search of every store: who finds one in clear has found a leak."""

import base64
from pathlib import Path

import asyncpg

from domain.settings import settings
from tests.conftest import ROOT
from tests.e2e.canaries import TOKEN, Canaries, Log, columns, forms, keys, listening, word
from tests.e2e.canary_drive import (
    Drive,
    the_houses_secrets,
    through_a_redemption,
    through_admins,
    through_graphql,
    through_reviews,
    through_tokens,
    through_webhooks,
)
from tests.e2e.test_redemption import beside, until
from tests.shop import Shop, rate

Connection = asyncpg.Connection  # type: ignore[type-arg]

ALLOWED = {
    # A reason is staff's word to the customer, who are told to name nobody; it is hashed into the chain.
    "reason": {"points_transactions.reason"},
    # A code is shown to its customer and to staff, and looked up when it comes back in an order.
    # And a command that is asked twice answers it twice.
    "coupon code": {"coupons.code", "redemptions.code", "idempotency_keys.result"},
    "discount code": {"redemptions.code", "idempotency_keys.result"},
    # What stands in the place of an id, an amount or an instant is kept as it came, so that staff see why a delivery failed.
    **{f"{place} that is none": {"inbox.payload"} for place in ("currency", "instant", "price", "id", "customer")},
    "status that is none": {"orders.snapshot"},
    # Whom staff trust with a key is their own affair, and no customer.
    "key's name": {"api_keys.name", "audit_entries.after"},
}
"""Where a canary may lie in clear, and why. Everywhere else it may lie in no form at all."""


async def settled(drive: Drive, owner: Connection) -> None:
    """Wait until nothing is due: what is spoilt has been set aside by then."""
    merchant_id = drive.shop.merchant.id

    async def holds() -> bool:
        await owner.execute(f"set app.merchant = '{merchant_id}'")
        rows = await owner.fetch("select status, attempts from inbox where merchant_id = $1", merchant_id)
        waiting = [row for row in rows if row["status"] == "pending" and row["attempts"] == 0]
        return (
            len(rows) >= 10
            and not waiting
            and not await owner.fetchval("select count(*) from outbox where merchant_id = $1", merchant_id)
        )

    await until(holds)


def written(folder: Path, server_log: Log) -> dict[str, bytes]:
    """What the processes and PostgreSQL have logged; of a server of somebody else's the log cannot be read."""
    logs = {path.name: path.read_bytes() for path in folder.glob("*.log")}
    return logs | ({"postgres.log": server_log.content()} if server_log.path.exists() else {})


async def test_nothing_lies_in_clear_where_it_may_not(shop: Shop, owner: Connection, tmp_path: Path) -> None:
    canaries = Canaries()
    server_log = Log.here(ROOT / ".loyalnest" / "test" / "logs" / "postgres.log")
    await shop.publish(rate(10))
    async with beside(shop) as (processes, stand_in, there), listening(settings().redis_url) as heard:
        processes.logs = tmp_path
        for module in ("api", "workers"):
            processes.start(module)
        await processes.ready()
        drive = Drive(shop, processes, stand_in, there, canaries)
        number = await through_webhooks(drive)
        await settled(drive, owner)
        await through_reviews(drive)
        await through_tokens(drive)
        await through_admins(drive)
        await through_graphql(drive, number)
        await through_a_redemption(drive)
        await the_houses_secrets(drive)
        await settled(drive, owner)
        in_redis = await keys(settings().redis_url)
    leaks: set[tuple[str, str]] = set()
    allowed: set[tuple[str, str]] = set()
    read = 0
    async for column, content in columns(owner):
        read += 1
        for name in canaries.found(content):
            (allowed if column in ALLOWED.get(name, ()) else leaks).add((name, column))
    logs = written(tmp_path, server_log)
    stores = {**logs, "Redis's commands": b"\n".join(heard), **{f"Redis {key}": value for key, value in in_redis.items()}}
    for place, content in (*stores.items(), *(("a refusal", one) for one in drive.refusals)):
        leaks |= {(name, place) for name in canaries.found(content)}
        leaks |= {("a token", place) for _ in TOKEN.findall(content)}
    assert leaks == set()
    # All that may lie somewhere was found there, so that the search finds what there is.
    assert {name for name, _ in allowed} == set(ALLOWED)
    assert (len(canaries.values) > 100, read > 250, len(heard) > 100, len(drive.refusals) > 10) == (True, True, True, True)
    assert all(content.count(b"\n") > 5 for name, content in logs.items() if name != "postgres.log")


def test_the_search_finds_every_form() -> None:
    canaries = Canaries()
    text = canaries.text("it")
    raw = text.encode()
    for lead in range(4):
        for tail in (b"", b"z", b"zz"):
            whole = b"x" * lead + raw + tail
            for content in (whole, whole.upper(), whole.hex().encode(), base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
                assert canaries.found(b"{" + content + b"}") == {"it"}
    assert canaries.found(word().encode() + base64.b64encode(b"other")) == set()
    assert min(len(form) for form in forms(raw)) >= 16


async def test_a_column_that_leaks_is_found(shop: Shop, owner: Connection) -> None:
    """The control: bytes in a column are searched like any others."""
    canaries = Canaries()
    customer = await shop.customer()
    await owner.execute(f"set app.merchant = '{shop.merchant.id}'")
    planted = canaries.text("planted").encode()
    spread = b"\x01\x02" + planted + b"\x03"
    await owner.execute("update customers set profile = $2 where id = $1", customer.id, spread)
    await owner.execute("update customer_terms set term = $2 where customer_id = $1", customer.id, spread)
    found = {column async for column, content in columns(owner) if canaries.found(content)}
    assert found == {"customers.profile", "customer_terms.term"}
