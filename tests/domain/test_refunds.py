"""What goes back: refunds, cancellation, disputes and deletion, in any order and any number, and what policy does then."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import db, orders, points
from domain.orders import Deletion, Dispute, Payment, Refund
from domain.orders.door import REFUND_KEPT
from domain.programs import Clawback
from tests.ledger import converge, later, lots, rows, spend
from tests.shop import NOON, Shop, line, open_shop, order, rate

SAMPLES = Path(__file__).parent.parent / "samples"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def returned(line_id: int, quantity: int, paid: str, number: int = 1) -> dict[str, Any]:
    """A refund as Shopify writes it, with a JSON float among its amounts."""
    return {
        "id": number,
        "refund_line_items": [
            {"id": number, "line_item_id": line_id, "quantity": quantity, "subtotal": float(paid), "total_tax": 0.0}
        ],
        "transactions": [{"id": 70 + number, "kind": "refund", "status": "success", "amount": paid, "currency": "USD"}],
    }


async def test_a_partial_refund_takes_the_points_of_what_was_returned(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    two = [line(price="30.00"), line(price="20.00", quantity=2)]
    first = order(customer=customer.shopify_id, line_items=two)
    refund = returned(two[1]["id"], 1, "20.00")
    await converge(shop, first)
    await converge(shop, first | {"updated_at": later(1), "financial_status": "partially_refunded", "refunds": [refund]})
    assert await shop.balance(customer.id) == (500, 0)
    assert await rows(shop, customer.id) == [(700, 0, "confirmed:1", None), (-200, 0, "reversed:2", 1)]
    reversal = (await points.since(shop.scope(), customer.id, 1, 10))[0]
    assert reversal.program_version == 1
    assert json.loads(reversal.shares or "") == [[str(two[1]["id"]), 200]]
    assert await lots(shop, customer.id) == [(1, 500)]


async def test_shopifys_partly_refunded_order_with_discount_and_tax(shop: Shop) -> None:
    """Two of three pieces at 199.00 came back; 199.00 − 3.33 = 195.67 was kept. The 209.00 of money that went back is less than
    what the pieces were worth (2 × 199.00 − 3.34 − 3.33 + 2 × 3.98 = 399.29), so it takes nothing more."""
    await shop.publish(rate(10), at=LONG_AGO)
    sample = json.loads((SAMPLES / "order_usd_discount_tax_partial_refund.json").read_text())
    await converge(shop, sample)
    customer = await shop.customer(207119551)
    assert await shop.balance(customer.id) == (1956, 0)
    assert await rows(shop, customer.id) == [(1956, 0, "confirmed:1", None)]
    zero_line = json.loads((SAMPLES / "refund_zero_subtotal_line.json").read_text())
    # The last piece comes back for 0.00 and 41.94 of money: nothing was kept, and nothing is owed beyond it.
    refund = msgspec.convert(orders.keep(zero_line, REFUND_KEPT), Refund)
    assert await converge(shop, told=[(450789469, refund)]) == set()
    assert await shop.balance(customer.id) == (0, 0)
    assert await rows(shop, customer.id) == [(1956, 0, "confirmed:1", None), (-1956, 0, "reversed:2", 1)]


async def test_shopifys_cancelled_order_is_worth_nothing_whatever_its_total_says(shop: Shop) -> None:
    await shop.publish(rate(10), at=LONG_AGO)
    cancelled = json.loads((SAMPLES / "order_cancelled.json").read_text())
    assert cancelled["current_total_price"] == "199.65"
    before = cancelled | {"cancelled_at": None, "refunds": [], "updated_at": cancelled["created_at"]}
    before["line_items"] = [one | {"current_quantity": 1} for one in before["line_items"]]
    await converge(shop, before, cancelled)
    customer = await shop.customer(207119551)
    assert await rows(shop, customer.id) == []
    # One transaction saw both, so nothing was ever given; apart, what was given goes back.
    await converge(shop, before | {"id": 1})
    await converge(shop, cancelled | {"id": 1})
    assert [row[0] for row in await rows(shop, customer.id)] == [5870, -5870]
    found = await orders.by_shopify_id(shop.scope(), 1)
    assert found is not None
    assert (found.deserved, found.reason) == (0, "ORDER_CANCELLED")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cancelled_at": later(1)}, "ORDER_CANCELLED"),
        ({"financial_status": "refunded"}, "ORDER_REFUNDED"),
        ({"financial_status": "voided"}, "PAYMENT_VOIDED"),
        ({"company": {"id": 5}}, "B2B_ORDER"),
        ({"source_name": "shopify_draft_order"}, "DRAFT_ORDER"),
        ({"tags": "gift, Staff"}, "STAFF_ORDER"),
        ({"tags": "employee"}, "STAFF_ORDER"),
    ],
)
async def test_what_makes_a_whole_order_void_takes_everything_back(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await converge(shop, first | {"updated_at": later(1)} | changes)
    assert await shop.balance(customer.id) == (0, 0)
    found = await orders.by_shopify_id(shop.scope(), first["id"])
    assert found is not None
    assert (found.deserved, found.reason) == (0, reason)


async def test_companies_drafts_and_staff_earn_where_the_program_says_so(shop: Shop) -> None:
    await shop.publish(rate(10, b2b_orders=True, draft_orders=True, staff_orders=True))
    customer = await shop.customer()
    made = {"company": {"id": 5}, "source_name": "shopify_draft_order", "tags": "staff"}
    await converge(shop, order(customer=customer.shopify_id, price="1.00", **made))
    assert await shop.balance(customer.id) == (10, 0)


async def test_money_given_back_without_a_line_takes_its_share(shop: Shop) -> None:
    """5.00 of 100.00 back, in whatever currency the buyer paid: 95.00 was kept."""
    await shop.publish(rate(10))
    customer = await shop.customer()
    totals = {
        "total_price_set": {
            "shop_money": {"amount": "100.00", "currency_code": "USD"},
            "presentment_money": {"amount": "16000", "currency_code": "JPY"},
        }
    }
    for amount, currency in (("5.00", "USD"), ("800", "JPY")):
        first = order(customer=customer.shopify_id, **totals)
        await converge(shop, first)
        payment = {"id": 1, "kind": "refund", "status": "success", "amount": amount, "currency": currency}
        await converge(shop, first | {"updated_at": later(1), "refunds": [{"id": 1, "transactions": [payment]}]})
        found = await orders.by_shopify_id(shop.scope(), first["id"])
        assert found is not None
        assert found.deserved == 950
    assert await shop.balance(customer.id) == (1900, 0)


async def test_shipping_that_is_not_refunded_keeps_nothing(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    goods = line(price="50.00")
    first = order(customer=customer.shopify_id, line_items=[goods], shipping_lines=[{"id": 3, "price": "9.00"}])
    await converge(shop, first, first | {"updated_at": later(1), "refunds": [returned(goods["id"], 1, "50.00")]})
    assert await shop.balance(customer.id) == (0, 0)


async def test_a_refund_that_failed_is_no_refund(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    payment = {"id": 1, "kind": "refund", "status": "failure", "amount": "50.00", "currency": "USD"}
    await converge(shop, order(customer=customer.shopify_id, refunds=[{"id": 1, "transactions": [payment]}]))
    assert await shop.balance(customer.id) == (1000, 0)


async def test_pending_points_are_reversed_before_they_were_ever_given(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=14))
    customer = await shop.customer()
    goods = line(price="10.00", quantity=10)
    first = order(customer=customer.shopify_id, line_items=[goods])
    await converge(shop, first)
    await converge(shop, first | {"updated_at": later(1), "refunds": [returned(goods["id"], 4, "40.00")]})
    assert await rows(shop, customer.id) == [(0, 1000, "pending:1", None), (0, -400, "reversed:2", 1)]
    shop.at = NOON + timedelta(days=15)
    async with db.transaction(shop.scope()):
        assert await orders.mature(shop.scope(), 10) == 1
    assert await shop.balance(customer.id) == (600, 0)
    assert (await rows(shop, customer.id))[2:] == [(600, -600, "confirmed:3", None)]


POLICIES = [
    # The order gave 1000, of which 700 are spent; 200 more came from elsewhere; 300 of another order are pending.
    # (policy, balance and pending after the order is cancelled, what is forgiven)
    (Clawback.UNLIMITED, (-500, 300), 0),
    (Clawback.WITHIN_BALANCE, (0, 300), 500),
    (Clawback.PENDING_FIRST, (0, 0), 200),
    (Clawback.FORGIVE, (200, 300), 700),
]


@pytest.mark.parametrize(("policy", "after", "forgiven"), POLICIES)
async def test_what_was_spent_is_dealt_with_as_the_program_says(
    shop: Shop, policy: Clawback, after: tuple[int, int], forgiven: int
) -> None:
    await shop.publish(rate(10, clawback=policy))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await spend(shop, customer.id, 700)
    async with db.transaction(shop.scope()):
        await points.adjust(shop.scope(), customer_id=customer.id, points=200, reason="a gift", idempotency_key="g")
    await converge(shop, order(customer=customer.shopify_id, price="30.00", financial_status="pending"))
    assert await shop.balance(customer.id) == (500, 300)
    await converge(shop, first | {"updated_at": later(1), "cancelled_at": later(1)})
    assert await shop.balance(customer.id) == after
    found = await orders.by_shopify_id(shop.scope(), first["id"])
    assert found is not None
    assert found.forgiven == forgiven
    # And again, which changes nothing.
    await converge(shop, first | {"updated_at": later(2), "cancelled_at": later(1)})
    assert await shop.balance(customer.id) == after


async def test_later_earnings_pay_a_debt_first(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await spend(shop, customer.id, 1000)
    await converge(shop, first | {"updated_at": later(1), "cancelled_at": later(1)})
    assert await shop.balance(customer.id) == (-1000, 0)
    await converge(shop, order(customer=customer.shopify_id, price="120.00"))
    assert await shop.balance(customer.id) == (200, 0)
    assert await lots(shop, customer.id) == [(4, 200)]


@pytest.mark.parametrize(("status", "after"), [("won", 700), ("lost", -300), ("charge_refunded", -300), ("accepted", -300)])
async def test_a_dispute_holds_what_is_left_and_its_end_decides(shop: Shop, status: str, after: int) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first)
    await spend(shop, customer.id, 300)
    opened = Dispute(1, "needs_response", "100.00", "USD", "chargeback")
    await converge(shop, told=[(first["id"], opened)])
    assert await shop.balance(customer.id) == (0, 700)
    async with db.transaction(shop.scope()):
        assert await orders.mature(shop.scope(), 10) == 0
    await converge(shop, told=[(first["id"], msgspec.structs.replace(opened, status=status))])
    assert await shop.balance(customer.id) == (after, 0)
    # What was decided stays when the opening is told again.
    await converge(shop, told=[(first["id"], opened)])
    assert await shop.balance(customer.id) == (after, 0)


async def test_a_deleted_order_is_worth_nothing(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    await converge(shop, first, told=[(first["id"], Deletion(first["id"]))])
    found = await orders.by_shopify_id(shop.scope(), first["id"])
    assert found is not None
    assert (found.deserved, found.reason) == (0, "ORDER_DELETED")


async def test_facts_of_an_unknown_order_are_given_back_to_be_parked(shop: Shop) -> None:
    await shop.publish(rate(10))
    assert await converge(shop, told=[(77, Refund(1))]) == {77}
    assert await orders.by_shopify_id(shop.scope(), 77) is None


@pytest.mark.parametrize(
    ("gift_card", "store_credit", "expected"),
    [("0.00", "0.00", 1000), ("40.00", "0.00", 600), ("40.00", "60.00", 0), ("0.00", "25.50", 745)],
)
async def test_what_was_paid_by_gift_card_or_credit_earns_as_the_program_says(
    shop: Shop, gift_card: str, store_credit: str, expected: int
) -> None:
    await shop.publish(rate(10, earning={"base": {"tenders": {"gift_card": False, "store_credit": False}}}))
    customer = await shop.customer()
    first = order(customer=customer.shopify_id)
    payments = [
        Payment(1, "sale", "success", gift_card, "USD", "gift_card"),
        Payment(2, "sale", "success", store_credit, "USD", "shopify_store_credit"),
        Payment(3, "sale", "failure", "100.00", "USD", "gift_card"),
    ]
    await converge(shop, first, told=[(first["id"], payment) for payment in payments])
    assert await shop.balance(customer.id) == (expected, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_returning_everything_in_any_parts_and_order_leaves_nothing(application: object, data: st.DataObject) -> None:
    """The law of exact inversion: earn, then give everything back, as lines, as money, told by orders or by refunds: zero."""
    shop = await open_shop(application)
    await shop.publish(rate(data.draw(st.integers(1, 13)), data.draw(st.integers(1, 7))))
    customer = await shop.customer()
    goods = [
        line(price=f"{data.draw(st.integers(0, 9999)) / 100:.2f}", quantity=data.draw(st.integers(1, 4)))
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    first = order(customer=customer.shopify_id, line_items=goods)
    await converge(shop, first)
    earned = (await shop.balance(customer.id))[0]
    refunds: list[dict[str, Any]] = []
    for one in goods:
        left = one["quantity"]
        while left:
            part = data.draw(st.integers(1, left))
            left -= part
            cents = round(float(one["price"]) * 100) * part
            refunds.append(returned(one["id"], part, f"{cents / 100:.2f}", len(refunds) + 1))
    seen: list[int] = [earned]
    for count, refund in enumerate(data.draw(st.permutations(refunds)), start=1):
        if data.draw(st.booleans()):
            told = msgspec.convert(orders.keep(refund, REFUND_KEPT), Refund)
            await converge(shop, told=[(first["id"], told)])
        else:
            first = first | {"updated_at": later(count), "refunds": [*first.get("refunds", []), refund]}
            await converge(shop, first, first)
        seen.append((await shop.balance(customer.id))[0])
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0
    found = await orders.by_shopify_id(shop.scope(), first["id"])
    assert found is not None
    assert (found.deserved, found.absorbed, found.forgiven, found.seized) == (0, 0, 0, 0)
