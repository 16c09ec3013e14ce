"""What is left of an order after refunds, edits and cancellation, as the core's order: points are a function of it alone.

Lines count with the quantity that was kept, and discounts and taxes of a line with their share of it. Money that was given back
beyond what the returned pieces and the refunded shipping were worth takes its share of the whole order (`refunded`). So it makes
no difference into how many refunds the same return is split, and an order that is returned wholly is worth nothing.
"""

from typing import Any

import msgspec
from loyalty_native import share_floor

from domain import money
from domain.orders.facts import LOST_DISPUTE, NOTHING, Facts
from domain.orders.rules import Amount, Line, MoneySet, OrderSnapshot, Payment, Refund, Shipping

SHIPPING_REFUND = "shipping_refund"
DRAFT_SOURCE = "shopify_draft_order"
_GATEWAYS = {"gift_card": "gift_card", "shopify_store_credit": "store_credit", "store_credit": "store_credit"}


class History(msgspec.Struct, frozen=True):
    """What was before an order: when the customer joined (seconds since 1970), how many orders, the points of its day."""

    signed_up_at: int | None = None
    orders_before: int = 0
    points_today: int = 0


def void_reason(snapshot: OrderSnapshot, facts: Facts, *, b2b: bool, drafts: bool, staff: bool) -> str | None:
    """Why an order counts for nothing whatever is in it, or None.

    b2b, drafts, staff: whether the program lets orders of companies, from drafts and of the shop's own people earn.
    """
    reasons = (
        ("ORDER_DELETED", facts.deleted),
        ("ORDER_CANCELLED", snapshot.cancelled_at is not None),
        ("PAYMENT_VOIDED", snapshot.financial_status == "voided"),
        ("ORDER_REFUNDED", snapshot.financial_status == "refunded"),
        ("B2B_ORDER", snapshot.company is not None and not b2b),
        ("DRAFT_ORDER", snapshot.source_name == DRAFT_SOURCE and not drafts),
        # Of the tags those are kept that mark such an order, and no others.
        ("STAFF_ORDER", bool(snapshot.tags) and not staff),
    )
    return next((reason for reason, holds in reasons if holds), None)


def core_order(snapshot: OrderSnapshot, history: History | None, facts: Facts, *, void: bool) -> bytes:
    """The kept order as native/order.schema.json has it; when void, nothing was kept.

    Raises UnknownCurrency or InvalidAmount.
    """
    currency = snapshot.currency
    money.require_currency(currency)
    refunds = list({**{refund.id: refund for refund in snapshot.refunds}, **facts.refunds}.values())
    lines: list[dict[str, Any]] = []
    returned = 0
    for line in snapshot.line_items:
        kept, worth = _kept_line(line, refunds, snapshot, void=void)
        lines.append(kept)
        returned += worth
    shipping, shipping_tax = _shipping(snapshot)
    back, tax_back = _shipping_refunded(refunds, currency)
    back, tax_back = (shipping, shipping_tax) if void else (min(back, shipping), min(tax_back, shipping_tax))
    returned += back + (0 if snapshot.taxes_included else tax_back)
    given_back = 0 if void else _given_back(snapshot, refunds, facts)
    order: dict[str, Any] = {
        "currency": currency,
        "at": int(snapshot.created_at.timestamp()),
        "test": snapshot.test,
        "customer": None if snapshot.customer is None else msgspec.to_builtins(history or History()),
        "taxes_included": snapshot.taxes_included,
        "lines": lines,
        "shipping": money.render(shipping - back, currency),
        "shipping_tax": money.render(shipping_tax - tax_back, currency),
        "tip": "0" if void else _text(snapshot.total_tip_received),
    }
    if given_back > returned:
        order["refunded"] = money.render(given_back - returned, currency)
    if facts.payments and not void:
        order["tenders"] = _tenders(snapshot, refunds, facts)
    if snapshot.shipping_address is not None and snapshot.shipping_address.country_code:
        order["country"] = snapshot.shipping_address.country_code
    return msgspec.json.encode(order)


def _kept_line(line: Line, refunds: list[Refund], order: OrderSnapshot, *, void: bool) -> tuple[dict[str, Any], int]:
    """A line as the core reads it, and what the pieces were worth that refunds took back, tax on top included."""
    currency, quantity = order.currency, line.quantity
    discount = _discounts(line, currency)
    tax = _taxes(line, currency)
    left = quantity
    for refund in refunds:
        left -= sum(one.quantity for one in refund.refund_line_items if one.line_item_id == line.id)
    left = max(0, left)
    # An edit takes pieces off that nobody paid for; the refunds may know of returns that the snapshot does not.
    kept = 0 if void else left if line.current_quantity is None else min(left, line.current_quantity)
    core: dict[str, Any] = {
        "id": str(line.id),
        "quantity": kept,
        "unit_price": _text(line.price),
        "discount": money.render(share(discount, kept, quantity), currency),
        "tax": money.render(share(tax, kept, quantity), currency),
        "gift_card": line.gift_card,
    }
    if line.product_id is not None:
        core["product_id"] = str(line.product_id)
    if left == quantity:
        return core, 0
    worth = _minor(line.price, currency) * (quantity - left) - (discount - share(discount, left, quantity))
    if not order.taxes_included:
        worth += tax - share(tax, left, quantity)
    return core, worth


def share(total: int, part: int, whole: int) -> int:
    """A part's share of a total, rounded down; of the whole, or of more, all of it."""
    return total if part >= whole else share_floor(total, part, whole)


def _shipping(order: OrderSnapshot) -> tuple[int, int]:
    """(shipping after discounts, its tax), in minor units."""
    amount = tax = 0
    for line in order.shipping_lines:
        amount += _minor(line.price, order.currency) - _discounts(line, order.currency)
        tax += _taxes(line, order.currency)
    return amount, tax


def _shipping_refunded(refunds: list[Refund], currency: str) -> tuple[int, int]:
    """(shipping, its tax) that refunds gave back. A refund tells it in one of two places, or in both."""
    amount = tax = 0
    for refund in refunds:
        adjustments = [one for one in refund.order_adjustments if one.kind == SHIPPING_REFUND]
        lines = refund.refund_shipping_lines
        amount += max(
            sum(abs(_shop(one.amount_set, currency)) for one in adjustments),
            sum(abs(_shop(one.subtotal_amount_set, currency)) for one in lines),
        )
        tax += max(
            sum(abs(_shop(one.tax_amount_set, currency)) for one in adjustments),
            sum(abs(_shop(one.tax_amount_set, currency)) for one in lines),
        )
    return amount, tax


def _given_back(order: OrderSnapshot, refunds: list[Refund], facts: Facts) -> int:
    """All money that went back, to whatever tender, store credit too; disputes that were lost are money that went back."""
    if not refunds and facts == NOTHING:
        return 0
    payments = {payment.id: payment for refund in refunds for payment in refund.transactions}
    payments |= {number: payment for number, payment in facts.payments.items() if payment.kind == "refund"}
    total = sum(_paid(payment, order) for payment in payments.values() if payment.kind == "refund" and _happened(payment))
    lost = (dispute for dispute in facts.disputes.values() if dispute.status in LOST_DISPUTE)
    return total + sum(_in_shop_currency(dispute.amount, dispute.currency, order) for dispute in lost)


def _tenders(order: OrderSnapshot, refunds: list[Refund], facts: Facts) -> list[dict[str, str]]:
    """What was paid with what, less what went back to it. Known once the order's payments have been told."""
    payments = {payment.id: payment for refund in refunds for payment in refund.transactions} | facts.payments
    totals: dict[str, int] = {}
    for payment in payments.values():
        if not _happened(payment) or payment.kind not in ("sale", "capture", "refund"):
            continue
        kind = _GATEWAYS.get(payment.gateway or "", "other")
        amount = _paid(payment, order)
        totals[kind] = totals.get(kind, 0) + (-amount if payment.kind == "refund" else amount)
    return [{"kind": kind, "amount": money.render(max(0, total), order.currency)} for kind, total in sorted(totals.items())]


def _happened(payment: Payment) -> bool:
    return payment.status == "success"


def _paid(payment: Payment, order: OrderSnapshot) -> int:
    if payment.amount_set is not None and payment.amount_set.shop_money is not None:
        return abs(_shop(payment.amount_set, order.currency))
    return abs(_in_shop_currency(payment.amount, payment.currency, order))


def _in_shop_currency(amount: Amount, currency: str | None, order: OrderSnapshot) -> int:
    """An amount in the shop's currency, by the rate that the order itself keeps: the two amounts of its total."""
    if currency is None or currency == order.currency:
        return _minor(amount, order.currency)
    given = _minor(amount, currency)
    total = order.total_price_set
    if total is None or total.shop_money is None or total.presentment_money is None:
        return 0
    whole = _minor(total.presentment_money.amount, currency)
    return share_floor(given, _minor(total.shop_money.amount, order.currency), whole) if whole > 0 else 0


def _shop(amounts: MoneySet | None, currency: str) -> int:
    return 0 if amounts is None or amounts.shop_money is None else _minor(amounts.shop_money.amount, currency)


# Loops and no generators: most lines have one tax and one discount, and this runs for every line of every order.
def _discounts(line: Line | Shipping, currency: str) -> int:
    total = 0
    for one in line.discount_allocations:
        total += _minor(one.amount, currency)
    return total


def _taxes(line: Line | Shipping, currency: str) -> int:
    total = 0
    for one in line.tax_lines:
        total += _minor(one.price, currency)
    return total


def _minor(amount: Amount, currency: str) -> int:
    return money.parse(_text(amount), currency)


def _text(amount: Amount) -> str:
    return amount if isinstance(amount, str) else repr(amount)
