"""The order doctor on a shop that missed deliveries: it finds them, proposes what booking does, and then finds nothing more."""

import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain import customers, db, inbox, orders
from domain.doctor import Cause, Drift, Movement
from domain.inbox.handlers import HANDLERS
from domain.inbox.kinds import Kind
from tests.domain.test_doctor import in_bulk, lines
from tests.house.source import ROOT
from tests.house.test_catalog import TENANT_TABLES, contents
from tests.shop import NOON, Shop, line, rate
from tests.shop import order as fresh_order
from workers import doctor

BUYERS = range(1, 30)


def order(number: int, *, customer: int | None = None, price: str = "100.00", **changes: Any) -> dict[str, Any]:
    """An order whose line is the same each time that it is told of."""
    return fresh_order(number, customer=customer, **{"line_items": [line(id=number, price=price)], **changes})


async def examined(shop: Shop, file: list[bytes], *, book: bool = False, from_line: int = 1) -> list[Drift]:
    progress = doctor.Progress()
    return [drift async for drift in doctor.examine(shop.scope(), file, progress, book=book, from_line=from_line)]


def at(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def day(chosen: random.Random, size: int) -> list[list[tuple[str, dict[str, Any]]]]:
    """A day of a shop: of each order its deliveries, the last of which tells the state that Shopify has."""
    made: list[list[tuple[str, dict[str, Any]]]] = []
    for number in range(1, size + 1):
        buyer = chosen.choice([*BUYERS, None])
        created = order(number, customer=buyer, price=f"{chosen.randrange(1, 30_000) / 100:.2f}", created_at=at(number))
        created |= {"financial_status": "pending", "updated_at": at(number)}
        told = [("orders/create", created)]
        if chosen.random() < 0.8:
            told.append(("orders/paid", created | {"financial_status": "paid", "updated_at": at(number + 1)}))
        if chosen.random() < 0.3:
            told.append(("orders/updated", told[-1][1] | {"updated_at": at(number + 2), "line_items": []}))
        made.append(told)
    return made


async def deliver(shop: Shop, deliveries: list[tuple[str, dict[str, Any]]]) -> None:
    for topic, payload in deliveries:
        await shop.deliver(topic, payload)
    await shop.work()


async def balances(shop: Shop) -> dict[int, tuple[int, int]]:
    found = await customers.page(shop.scope(), 1_000, None, None)
    # One look checks the whole shop's chain.
    await shop.balance(found[0].id)
    return {one.shopify_id: (one.balance, one.pending) for one in found}


@pytest.mark.parametrize("source", ["rest", "bulk"])
async def test_a_day_of_which_one_delivery_in_twenty_was_lost(
    shop: Shop, other_shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]", source: str
) -> None:
    chosen = random.Random(20)
    made = day(chosen, 300)
    every = [one for told in made for one in told]
    chosen.shuffle(every)
    lost = chosen.sample(every, len(every) // 20)
    for one in (shop, other_shop):
        await one.publish(rate(3, 2))
    await deliver(other_shop, every)
    await deliver(shop, [one for one in every if one not in lost])
    states = [told[-1][1] for told in made]
    chosen.shuffle(states)
    file = lines(*states) if source == "rest" else [line for state in states for line in lines(*in_bulk(state))]

    before = {table: await contents(owner, table, shop.merchant.id) for table in TENANT_TABLES}
    proposed = await examined(shop, file)
    assert {table: await contents(owner, table, shop.merchant.id) for table in TENANT_TABLES} == before
    drifting = {told[-1][1]["id"]: "older snapshot" for told in made if told[-1] in lost}
    drifting |= {told[-1][1]["id"]: "missing" for told in made if all(one in lost for one in told)}
    assert {drift.shopify_id: str(drift.cause) for drift in proposed} == drifting
    assert len(drifting) > 12
    assert {"missing", "older snapshot"} == set(drifting.values())

    assert await balances(shop) != await balances(other_shop)
    booked = await examined(shop, file, book=True)
    assert booked == proposed
    assert sum(len(drift.movements) for drift in booked) > 8
    assert await balances(shop) == await balances(other_shop)
    assert await examined(shop, file) == []
    settled = {table: await contents(owner, table, shop.merchant.id) for table in TENANT_TABLES}
    assert await examined(shop, file, book=True) == []
    assert {table: await contents(owner, table, shop.merchant.id) for table in TENANT_TABLES} == settled


async def test_what_is_proposed_and_why(shop: Shop) -> None:
    await shop.publish(rate(10))
    await shop.deliver("orders/create", order(1, customer=7, financial_status="pending", updated_at=at(1)))
    await shop.deliver("orders/create", order(3, customer=8))
    await shop.work()
    now = order(1, customer=7, price="40.00", updated_at=at(2))
    drifts = await examined(shop, lines(now, order(2, customer=9, price="1.00"), order(3, customer=8)))
    assert [(drift.shopify_id, drift.cause, drift.why, drift.movements) for drift in drifts] == [
        (
            1,
            Cause.OLDER,
            "the ledger has that of 2026-03-02 12:01:00Z; changed since: financial_status, line_items[0].price",
            (Movement(7, 0, -600, "reversed:2"), Movement(7, 400, -400, "confirmed:3")),
        ),
        (
            2,
            Cause.MISSING,
            "placed 2026-03-02 12:00:00Z, and no delivery of it was booked",
            (Movement(9, 10, 0, "confirmed:1"),),
        ),
    ]
    assert await customers.by_shopify_id(shop.scope(), 9) is None


async def test_a_run_that_was_stopped_goes_on_where_it_was(shop: Shop) -> None:
    await shop.publish(rate(1))
    file = lines(*(order(number, customer=1) for number in range(1, 501)))
    progress = doctor.Progress()
    run = doctor.examine(shop.scope(), file, progress, book=True)
    async for drift in run:
        if drift.shopify_id == 250:
            break
    await run.aclose()
    # The second batch was committed before it was told, and is not counted as told yet.
    assert progress.line == 201
    rest = await examined(shop, file, book=True, from_line=progress.line)
    assert [drift.shopify_id for drift in rest] == list(range(401, 501))
    assert await examined(shop, file) == []
    assert await balances(shop) == {1: (500 * 100, 0)}


async def test_an_order_that_shopify_has_not_is_listed_and_left_alone(shop: Shop) -> None:
    await shop.publish(rate(1))
    for number, minutes in ((1, 0), (2, 5), (3, 10), (4, 20)):
        await shop.deliver("orders/create", order(number, customer=1, created_at=at(minutes)))
    await shop.work()
    file = lines(order(3, customer=1, created_at=at(10)), order(1, customer=1, created_at=at(0)))
    # The fourth was placed after the file was made.
    for book in (False, True):
        drifts = await examined(shop, file, book=book)
        assert [(drift.shopify_id, drift.cause, drift.movements) for drift in drifts] == [(2, Cause.NOT_IN_SHOPIFY, ())]
    assert [drift.shopify_id for drift in await examined(shop, file, from_line=2)] == [2]
    # A line that cannot be booked is still an order that Shopify has.
    broken = order(2, customer=1, line_items=None)
    found = [(drift.shopify_id, drift.cause) for drift in await examined(shop, [*file, *lines(broken)])]
    assert found == [(2, Cause.UNREADABLE)]


async def test_what_cannot_be_evaluated_holds_up_nobody(shop: Shop) -> None:
    await shop.publish(rate(1))
    bad = order(2, customer=1, price="1.005")
    file = [*lines(order(1, customer=1), bad), b"canary", *lines(order(3, customer=1), order(3, customer=1))]
    for book in (False, True):
        drifts = await examined(shop, file, book=book)
        assert sorted((drift.shopify_id, str(drift.cause), len(drift.movements)) for drift in drifts) == [
            (0, "unreadable", 0),
            (1, "missing", 1),
            (2, "unreadable", 0),
            (3, "missing", 1),
        ]
        assert "canary" not in repr(drifts)
    assert await balances(shop) == {1: (200, 0)}


async def test_what_was_parked_for_an_order_wakes_when_the_doctor_books_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[str | None] = []

    async def handle(_: object, waiting: list[inbox.Waiting]) -> set[str]:
        handled.extend(one.parent for one in waiting)
        return set()

    monkeypatch.setitem(HANDLERS, Kind.REFUNDS, handle)
    await shop.deliver("refunds/create", {"id": 1, "order_id": 5})
    await shop.work()
    file = lines(order(5, customer=1))
    await examined(shop, file)
    await shop.work()
    assert handled == []
    await examined(shop, file, book=True)
    await shop.work()
    assert handled == ["order/5"]


async def test_books_that_do_not_add_up_are_shown_and_not_booked(shop: Shop) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", order(1, customer=1))
    await shop.work()
    async with db.connection(shop.scope()) as connection:
        await connection.execute("update orders set posted_points = 70")
    [drift] = await examined(shop, lines(order(1, customer=1)), book=True)
    assert (drift.cause, drift.movements) == (Cause.LEDGER_DIFFERS, ())
    assert drift.why == (
        "its row says that 70 points and 0 pending were posted, its entries sum up to 100 points and 0 pending; "
        "./dev.sh verify looks closer"
    )


async def test_another_shops_orders_are_not_compared(shop: Shop, other_shop: Shop) -> None:
    for one in (shop, other_shop):
        await one.publish(rate(1))
    await other_shop.deliver("orders/create", order(1, customer=1))
    await other_shop.work()
    [drift] = await examined(shop, lines(order(1, customer=1)), book=True)
    assert drift.cause is Cause.MISSING
    assert await orders.by_shopify_id(shop.scope(), 1) is not None
    assert await balances(other_shop) == {1: (100, 0)}


def command(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-m", "local.orders_doctor", *arguments]
    return subprocess.run(program, check=False, cwd=ROOT, input=given, capture_output=True, env=os.environ.copy(), timeout=60)


async def test_the_command_shows_books_and_then_finds_nothing(shop: Shop, tmp_path: Path) -> None:
    await shop.publish(rate(10))
    file = tmp_path / "orders.jsonl"
    file.write_bytes(b"\n".join(lines(order(1, customer=7), order(2))))
    options = (str(file), "--shop", shop.merchant.shop_domain)
    shown = command(*options)
    assert shown.returncode == 1
    assert shown.stdout.decode() == (
        "order 1  missing: placed 2026-03-02 12:00:00Z, and no delivery of it was booked\n"
        "    +1,000 points, +0 pending, customer 7 (confirmed:1)\n"
        "order 2  missing: placed 2026-03-02 12:00:00Z, and no delivery of it was booked\n"
        "    no points move\n"
        f"2 orders of {shop.merchant.shop_domain} compared; 2 missing. "
        "To be booked: +1,000 points and +0 pending in one entry. The same command with --book books them.\n"
    )
    booked = command(*options, "--book")
    assert booked.returncode == 0
    assert booked.stdout.endswith(b"2 missing. Booked: +1,000 points and +0 pending in one entry.\n")
    assert await balances(shop) == {7: (1000, 0)}
    agreed = command("-", *options[1:], given=file.read_bytes())
    assert agreed.returncode == 0
    assert agreed.stdout.decode() == f"2 orders of {shop.merchant.shop_domain} compared: Shopify and the ledger agree.\n"


def test_the_command_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    nowhere = command(str(tmp_path / "none.jsonl"), "--shop", "nobody.myshopify.com")
    assert nowhere.returncode == 1
    assert nowhere.stderr.endswith(b"\nThere is no shop nobody.myshopify.com.\n")
    assert command().stderr.startswith(b"usage: ./dev.sh orders-doctor")
