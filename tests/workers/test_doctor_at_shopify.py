"""The order doctor asks Shopify itself: of a shop that missed deliveries it finds and books what is missing."""

import io
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import db, doctor
from integrations.shopify import Shopify, bulk
from integrations.shopify.errors import Refused, Unanswered
from local import orders_doctor
from local.errors import LocalError
from local.shopify_stand_in import admin, checkout
from local.shopify_stand_in import bulk as their_bulk
from local.shopify_stand_in import orders as their_orders
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.faults import Fault
from local.shopify_stand_in.shop import Json
from tests.rewards import offer, redeem, state
from tests.shop import rate
from tests.stand_in import COAT, GIFT_CARD, MUG, SCARF, Beside, buy, member, work

BUYERS = (71, 72, 73)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls without a pause."""
    monkeypatch.setattr(bulk, "POLL_S", 0.0)


@pytest.fixture
def _in_this_process(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command uses the stand-in of this process, and the database that is open."""

    async def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr(orders_doctor, "Shopify", lambda: Shopify(http=here.shopify.http))
    monkeypatch.setattr(db, "open_database", nothing)
    monkeypatch.setattr(db, "close_database", nothing)
    monkeypatch.setattr(here.shopify.http, "aclose", nothing)


async def run(here: Beside, *, book: bool = False) -> int:
    return await orders_doctor.run(None, here.shop.merchant.shop_domain, book=book, from_line=1)


@pytest.mark.usefixtures("_in_this_process")
async def test_dropped_deliveries_are_found_booked_and_then_gone(here: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    await here.shop.publish(rate(10))
    members = [await here.shop.customer(number) for number in BUYERS]
    for one in members:
        here.state.add_customer(one.shopify_id)
    # Delivered, cancelled without a word, and never told at all.
    told = await buy(here, members[0], (COAT, 1), (GIFT_CARD, 1))
    cancelled = await buy(here, members[1], (SCARF, 2))
    checkout.cancel(here.state, cancelled["id"])
    dropped = [checkout.check_out(here.state, Basket(members[2].shopify_id, [(MUG, 1), (SCARF, 1)])) for _ in range(2)]
    before = [await here.shop.balance(one.id) for one in members]
    assert before[1][0] > 0
    assert before[2] == (0, 0)

    assert await run(here) == 1
    shown = capsys.readouterr()
    for order in dropped:
        assert f"order {order['id']}  missing" in shown.out
    assert f"order {cancelled['id']}  older snapshot" in shown.out
    assert str(told["id"]) not in shown.out
    assert "4 orders of" in shown.out
    assert "Shopify: completed, 15 objects …" in shown.err
    assert [await here.shop.balance(one.id) for one in members] == before

    assert await run(here, book=True) == 0
    assert "Booked:" in capsys.readouterr().out
    each = 10 * (1250 + 2500) // 100
    assert [await here.shop.balance(one.id) for one in members] == [before[0], (0, 0), (2 * each, 0)]
    assert await run(here) == 0
    assert "4 orders of" in (agreed := capsys.readouterr().out)
    assert agreed.endswith("Shopify and the ledger agree.\n")


def refund(here: Beside, order: Json, pieces: int, *, payments: int = 1) -> None:
    """Refund single pieces of an order's first line at the stand-in, each as a line of its own, and tell nobody."""
    first, at = order["line_items"][0], (datetime.fromisoformat(order["updated_at"]) + timedelta(seconds=1)).isoformat()
    amount = Decimal(first["price"]) * pieces
    paid = {"kind": "refund", "status": "success", "gateway": "bogus", "amount": str(amount / payments)}
    back = {
        "id": next(here.state.numbers),
        "created_at": at,
        "refund_line_items": [{"line_item_id": first["id"], "quantity": 1}] * pieces,
        "transactions": [paid | {"id": next(here.state.numbers)} for _ in range(payments)],
    }
    here.state.orders[order["id"]] |= {
        "refunds": [*order["refunds"], back],
        "updated_at": at,
        "financial_status": "partially_refunded",
    }


@pytest.mark.usefixtures("_in_this_process")
async def test_refunds_of_orders_that_drift_are_asked_for_line_by_line(here: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    await here.shop.publish(rate(10))
    customer = await here.shop.customer(71)
    here.state.add_customer(71)
    # 130 mugs at 12.50, of which more come back than one page tells, and then three of a scarf at 25.00 that nobody told of.
    told = await buy(here, customer, (MUG, 130))
    refund(here, told, 120)
    dropped = checkout.check_out(here.state, Basket(71, [(SCARF, 3)]))
    refund(here, dropped, 1)
    assert await here.shop.balance(customer.id) == (16_250, 0)
    assert await run(here) == 1
    shown = capsys.readouterr().out
    assert f"order {told['id']}  older snapshot" in shown
    assert "-15,000 points" in shown
    assert f"order {dropped['id']}  missing" in shown
    assert await here.shop.balance(customer.id) == (16_250, 0)
    assert await run(here, book=True) == 0
    assert await here.shop.balance(customer.id) == (10 * 125 + 2 * 250, 0)
    assert await run(here) == 0


@pytest.mark.usefixtures("_in_this_process")
async def test_a_refund_that_is_told_in_part_is_not_booked(
    here: Beside, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.shop.publish(rate(10))
    customer = await here.shop.customer(71)
    here.state.add_customer(71)
    many, gone = await buy(here, customer, (MUG, 1)), await buy(here, customer, (MUG, 2))
    refund(here, many, 1, payments=51)
    refund(here, gone, 1)
    know = their_orders.refund_as_graphql

    def forgetful(rest: Json, currency: str) -> Json | None:
        return know(rest, currency) if len(rest["transactions"]) > 1 else None

    monkeypatch.setattr(their_orders, "refund_as_graphql", forgetful)
    assert await run(here, book=True) == 1
    shown = capsys.readouterr().out
    assert "more payments or shipping lines than are read" in shown
    assert "Shopify does not know the refund" in shown
    assert shown.count("needs the whole order") == 3
    assert await here.shop.balance(customer.id) == (375, 0)


@pytest.mark.usefixtures("_in_this_process")
async def test_a_shopify_that_falls_silent_at_a_refund_ends_the_run(here: Beside) -> None:
    await here.shop.publish(rate(10))
    here.state.add_customer(71)
    refund(here, checkout.check_out(here.state, Basket(71, [(MUG, 2)])), 1)
    here.stand_in.faults.coming.append(Fault("RefundRead", "lost", times=10))
    with pytest.raises(LocalError, match="Shopify gives no orders of"):
        await run(here, book=True)
    here.stand_in.faults.coming.clear()
    assert await run(here, book=True) == 0


@pytest.mark.usefixtures("_in_this_process")
async def test_a_code_that_a_dropped_order_used_is_used(here: Beside) -> None:
    customer = await member(here)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    issued = await state(here.shop, taken.id)
    assert (issued.status, issued.code is None) == ("issued", False)
    order = checkout.check_out(here.state, Basket(customer.shopify_id, [(COAT, 1)], codes=[str(issued.code).lower()]))
    assert order["total_discounts"] == "5.00"
    assert await run(here) == 1
    assert (await state(here.shop, taken.id)).status == "issued"
    assert await run(here, book=True) == 0
    used = await state(here.shop, taken.id)
    assert (used.status, used.order_id) == ("used", order["id"])


@pytest.mark.usefixtures("_in_this_process")
async def test_a_shop_without_orders_agrees(here: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(here) == 0
    assert capsys.readouterr().out.endswith("0 orders of " + here.shop.merchant.shop_domain + " compared: " + AGREE)


AGREE = "Shopify and the ledger agree.\n"


def quiet(*_: object) -> None:
    """Nobody watches."""


async def fetched(here: Beside, query: str | None = None) -> bytes:
    file = io.BytesIO()
    await bulk.fetch(here.shopify, here.shop.now(), query or doctor.QUERY.read_text(), file, quiet)
    return file.getvalue()


async def test_a_download_that_breaks_off_is_begun_anew_and_never_taken_for_the_whole(here: Beside) -> None:
    here.state.add_customer(71)
    checkout.check_out(here.state, Basket(71, [(COAT, 1)]))
    whole = await fetched(here)
    assert whole.count(b"\n") == 3
    here.stand_in.faults.coming.append(Fault("bulk", "lost"))
    assert await fetched(here) == whole
    here.stand_in.faults.coming.append(Fault("bulk", "lost", times=10))
    with pytest.raises(Unanswered, match=rf"^{len(whole) - 1} of {len(whole)} bytes came$"):
        await fetched(here)


async def test_calls_that_are_not_answered_are_made_again(here: Beside) -> None:
    here.state.add_customer(71)
    checkout.check_out(here.state, Basket(71, [(COAT, 1)]))
    whole = await fetched(here)
    for operation in ("BulkRun", "BulkStatus"):
        here.stand_in.faults.coming.append(Fault(operation, "lost"))
        assert await fetched(here) == whole


async def test_a_query_that_shopify_does_not_take_is_refused(here: Beside) -> None:
    for query in ("{ orders { edges { node { nothing } } } }", "{"):
        with pytest.raises(Refused, match="INVALID"):
            await fetched(here, query)


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize("status", ["FAILED", "CANCELED", "EXPIRED"])
async def test_an_operation_that_is_given_up_is_told_and_nothing_is_compared(
    here: Beside, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    here.state.add_customer(71)
    checkout.check_out(here.state, Basket(71, [(COAT, 1)]))
    look = their_bulk.Operation.look

    def given_up(operation: their_bulk.Operation, address: str) -> Any:
        return look(operation, address) | {"status": status, "url": None}

    monkeypatch.setattr(their_bulk.Operation, "look", given_up)
    with pytest.raises(LocalError, match=status):
        await run(here, book=True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [([], "name a file, or with --shop"), (["--shop", "a.myshopify.com", "--from-line", "3"], "--from-line goes on with a file")],
)
def test_what_the_command_needs(
    arguments: list[str], why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["orders-doctor", *arguments])
    with pytest.raises(SystemExit):
        orders_doctor.main()
    assert why in capsys.readouterr().err


def test_the_stand_in_takes_only_what_shopifys_schema_has() -> None:
    refused = their_bulk.run(admin.schema(), object(), "{ orders { edges { node { nothing } } } }")  # type: ignore[arg-type]
    assert refused == "Cannot query field 'nothing' on type 'Order'."
