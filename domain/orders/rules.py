"""An order's snapshot: what is kept of Shopify's object, and how it reads as the core's order."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from domain import money
from domain.errors import Code, DomainError


class InvalidOrder(DomainError):
    """The payload is no order that we can read; the message says where it breaks."""

    code = Code.ORDER_INVALID


Amount = str | int | float
"""Shopify sends amounts as text; some fields of refunds are JSON numbers."""


class Taxed(msgspec.Struct, frozen=True):
    """One tax on a line."""

    price: Amount = "0"


class Allocation(msgspec.Struct, frozen=True):
    """The part of a discount that falls on a line, in the shop's currency, for the line's whole quantity."""

    amount: Amount


class Line(msgspec.Struct, frozen=True):
    """A line of an order; `price` is for one piece."""

    id: int
    price: Amount
    quantity: int
    product_id: int | None = None
    gift_card: bool = False
    tax_lines: list[Taxed] = []
    discount_allocations: list[Allocation] = []


class Shipping(msgspec.Struct, frozen=True):
    """A shipping line."""

    price: Amount = "0"
    discount_allocations: list[Allocation] = []
    tax_lines: list[Taxed] = []


class CustomerReference(msgspec.Struct, frozen=True):
    """Who ordered; guests of old orders have none."""

    id: int


class Destination(msgspec.Struct, frozen=True):
    """Where the order goes; of the address only the country is kept."""

    country_code: str | None = None


class OrderSnapshot(msgspec.Struct, frozen=True):
    """A state of an order, in Shopify's own field names. `currency` is the shop's, and all amounts are in it."""

    id: int
    created_at: datetime
    updated_at: datetime
    currency: str
    line_items: list[Line]
    customer: CustomerReference | None = None
    shipping_address: Destination | None = None
    financial_status: str | None = None
    test: bool = False
    taxes_included: bool = False
    total_tip_received: Amount = "0"
    shipping_lines: list[Shipping] = []

    @property
    def is_paid(self) -> bool:
        """Whether the whole amount has been received at some time; a refund does not undo the payment."""
        return self.financial_status in PAID


PAID = frozenset({"paid", "partially_refunded", "refunded"})
PROGRESS = ("pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided")
"""The order in which payment advances: it decides between two snapshots of the same second."""

_MONEY_SET = {"shop_money": {"amount": True, "currency_code": True}}
_TAXES = {"price": True, "rate": True}
_ALLOCATIONS = {"amount": True, "discount_application_index": True}
KEPT: dict[str, Any] = {
    "id": True,
    "created_at": True,
    "updated_at": True,
    "processed_at": True,
    "cancelled_at": True,
    "currency": True,
    "presentment_currency": True,
    "financial_status": True,
    "test": True,
    "taxes_included": True,
    "source_name": True,
    "location_id": True,
    "total_price": True,
    "total_price_set": {**_MONEY_SET, "presentment_money": {"amount": True, "currency_code": True}},
    "total_tip_received": True,
    "payment_gateway_names": True,
    "customer": {"id": True},
    "shipping_address": {"country_code": True},
    "discount_codes": {"code": True, "amount": True, "type": True},
    "line_items": {
        "id": True,
        "product_id": True,
        "variant_id": True,
        "price": True,
        "quantity": True,
        "current_quantity": True,
        "gift_card": True,
        "tax_lines": _TAXES,
        "discount_allocations": _ALLOCATIONS,
    },
    "shipping_lines": {"id": True, "price": True, "tax_lines": _TAXES, "discount_allocations": _ALLOCATIONS},
    "refunds": {
        "id": True,
        "created_at": True,
        "processed_at": True,
        "refund_line_items": {
            "id": True,
            "line_item_id": True,
            "quantity": True,
            "subtotal_set": _MONEY_SET,
            "total_tax_set": _MONEY_SET,
        },
        "order_adjustments": {"id": True, "kind": True, "amount_set": _MONEY_SET},
        "transactions": {"id": True, "kind": True, "status": True, "amount": True, "currency": True, "gateway": True},
    },
}
"""What is kept of an order: all that points depend on, nothing personal. All else is dropped at the door."""


def keep(payload: dict[str, Any]) -> dict[str, Any]:
    """The part of a webhook's body that is stored."""
    return _kept(payload, KEPT)


def _kept(value: Any, wanted: Any) -> Any:
    if wanted is True:
        return value
    if isinstance(value, list):
        return [_kept(item, wanted) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {name: _kept(value[name], inner) for name, inner in wanted.items() if name in value}
    # Where an object is wanted and something else stands, nothing says that it is not personal.
    return None


_decoder = msgspec.json.Decoder(OrderSnapshot)


def parse(text: str) -> OrderSnapshot:
    """A stored snapshot. Raises InvalidOrder with the path of what is wrong."""
    try:
        snapshot = _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from error
    if snapshot.created_at.tzinfo is None or snapshot.updated_at.tzinfo is None:
        raise InvalidOrder("created_at and updated_at need a time zone")
    return snapshot


def is_newer(candidate: OrderSnapshot, text: str, than: OrderSnapshot, than_text: str) -> bool:
    """Whether `candidate` is the later state: by `updated_at`, then by how far payment is, then by its text.

    The order is total, so that whatever order deliveries arrive in, the same one stays.
    """
    return _age(candidate, text) > _age(than, than_text)


def _age(snapshot: OrderSnapshot, text: str) -> tuple[datetime, int, str]:
    status = snapshot.financial_status
    return snapshot.updated_at, PROGRESS.index(status) if status in PROGRESS else -1, text


class History(msgspec.Struct, frozen=True):
    """What was before an order: when the customer joined (seconds since 1970), how many orders, the points of its day."""

    signed_up_at: int | None = None
    orders_before: int = 0
    points_today: int = 0


def core_order(snapshot: OrderSnapshot, history: History | None = None) -> bytes:
    """The snapshot as the core's order (native/order.schema.json). Raises UnknownCurrency or InvalidAmount."""
    currency = snapshot.currency
    money.require_currency(currency)
    shipping = money.render(
        sum(_minor(line.price, currency) - _total(line.discount_allocations, currency) for line in snapshot.shipping_lines),
        currency,
    )
    order: dict[str, Any] = {
        "currency": currency,
        "at": int(snapshot.created_at.timestamp()),
        "test": snapshot.test,
        "customer": None if snapshot.customer is None else msgspec.to_builtins(history or History()),
        "taxes_included": snapshot.taxes_included,
        "lines": [_core_line(line, currency) for line in snapshot.line_items],
        "shipping": shipping,
        "shipping_tax": _taxes((tax for line in snapshot.shipping_lines for tax in line.tax_lines), currency),
        "tip": _text(snapshot.total_tip_received),
    }
    if snapshot.shipping_address is not None and snapshot.shipping_address.country_code:
        order["country"] = snapshot.shipping_address.country_code
    return msgspec.json.encode(order)


def _core_line(line: Line, currency: str) -> dict[str, Any]:
    core: dict[str, Any] = {
        "id": str(line.id),
        "quantity": line.quantity,
        "unit_price": _text(line.price),
        "discount": money.render(_total(line.discount_allocations, currency), currency),
        "tax": _taxes(line.tax_lines, currency),
        "gift_card": line.gift_card,
    }
    if line.product_id is not None:
        core["product_id"] = str(line.product_id)
    return core


def _taxes(taxes: Iterable[Taxed], currency: str) -> str:
    return money.render(sum(_minor(tax.price, currency) for tax in taxes), currency)


def _total(allocations: Iterable[Allocation], currency: str) -> int:
    return sum(_minor(allocation.amount, currency) for allocation in allocations)


def _minor(amount: Amount, currency: str) -> int:
    return money.parse(_text(amount), currency)


def _text(amount: Amount) -> str:
    return amount if isinstance(amount, str) else repr(amount)
