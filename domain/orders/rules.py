"""An order as Shopify tells it, and which of two tellings is the later."""

from datetime import datetime
from typing import Annotated

import msgspec

from domain import calendar
from domain.errors import Code, DomainError


class InvalidOrder(DomainError):
    """The payload is no order that we can read; the message says where it breaks."""

    code = Code.ORDER_INVALID


Amount = str | int | float
"""Shopify sends amounts as text; some fields of refunds are JSON numbers."""

Count = Annotated[int, msgspec.Meta(ge=0)]


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
    quantity: Count
    current_quantity: Count | None = None
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


class ShopMoney(msgspec.Struct, frozen=True):
    """One of the two amounts of a `MoneySet`."""

    amount: Amount = "0"


class MoneySet(msgspec.Struct, frozen=True):
    """An amount as Shopify gives it twice: in the shop's currency and in the buyer's."""

    shop_money: ShopMoney | None = None
    presentment_money: ShopMoney | None = None


class Returned(msgspec.Struct, frozen=True):
    """How many pieces of a line a refund took back."""

    line_item_id: int
    quantity: Count = 0


class Adjustment(msgspec.Struct, frozen=True):
    """What a refund gave back besides lines, below zero: of shipping, or a difference."""

    kind: str | None = None
    amount_set: MoneySet | None = None
    tax_amount_set: MoneySet | None = None


class RefundedShipping(msgspec.Struct, frozen=True):
    """What a refund gave back of a shipping line."""

    subtotal_amount_set: MoneySet | None = None
    tax_amount_set: MoneySet | None = None


class Payment(msgspec.Struct, frozen=True):
    """A movement of money for an order; `currency` may be the buyer's."""

    id: int
    kind: str
    status: str | None = None
    amount: Amount = "0"
    currency: str | None = None
    gateway: str | None = None
    amount_set: MoneySet | None = None


class Refund(msgspec.Struct, frozen=True):
    """A refund, of an order's own list or told by itself."""

    id: int
    refund_line_items: list[Returned] = []
    order_adjustments: list[Adjustment] = []
    refund_shipping_lines: list[RefundedShipping] = []
    transactions: list[Payment] = []


class Company(msgspec.Struct, frozen=True):
    """The company for which an order was placed."""

    id: int | None = None


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
    cancelled_at: datetime | None = None
    refunds: list[Refund] = []
    total_price_set: MoneySet | None = None
    source_name: str | None = None
    tags: str = ""
    """Of the shop's tags only those that mark an order of its own people."""
    company: Company | None = None
    email_term: str | None = None
    """Of a guest's order: the keyed hash of its e-mail address, in hex. It is kept beside the stored snapshot, never in it."""

    @property
    def is_paid(self) -> bool:
        """Whether the whole amount has been received at some time; a refund does not undo the payment."""
        return self.financial_status in PAID


PAID = frozenset({"paid", "partially_refunded", "refunded"})
PROGRESS = ("pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided")
"""The order in which payment advances: it decides between two snapshots of the same second."""


_decoder = msgspec.json.Decoder(OrderSnapshot)


def parse(text: str) -> OrderSnapshot:
    """A stored snapshot. Raises InvalidOrder with the path of what is wrong."""
    try:
        snapshot = _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from error
    for name, told in (("created_at", snapshot.created_at), ("updated_at", snapshot.updated_at)):
        if not calendar.is_usable(told):
            raise InvalidOrder(f"{name} needs a time zone, and a year from 1900 to 2999", field=(name,))
    return snapshot


def is_newer(candidate: OrderSnapshot, text: str, than: OrderSnapshot, than_text: str) -> bool:
    """Whether `candidate` is the later state: by `updated_at`, then by how far payment is, then by its text.

    The order is total, so that whatever order deliveries arrive in, the same one stays.
    """
    return _age(candidate, text) > _age(than, than_text)


def _age(snapshot: OrderSnapshot, text: str) -> tuple[datetime, int, str]:
    status = snapshot.financial_status
    return snapshot.updated_at, PROGRESS.index(status) if status in PROGRESS else -1, text
