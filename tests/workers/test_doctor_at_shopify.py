"""The order doctor asks Shopify itself: of a shop that missed deliveries it finds and books what is missing."""

import io
import sys
from typing import Any

import pytest

from domain import db, doctor
from integrations.shopify import Shopify, bulk
from integrations.shopify.errors import Refused, Unanswered
from local import orders_doctor
from local.errors import LocalError
from local.shopify_stand_in import admin, checkout
from local.shopify_stand_in import bulk as their_bulk
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.faults import Fault
from tests.shop import rate
from tests.stand_in import COAT, GIFT_CARD, MUG, SCARF, Beside, buy

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
