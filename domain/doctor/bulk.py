"""An order of the GraphQL Admin API, in the shape that REST and webhooks give it."""

from pathlib import Path
from typing import Any

import msgspec

from domain import money
from domain.errors import DomainError
from domain.orders import InvalidOrder

QUERY = Path(__file__).with_name("bulk_orders.graphql")
"""What is asked of Shopify."""

CHILDREN = {"LineItem": "lineItems", "ShippingLine": "shippingLines"}
"""By the type in a child's id: the field of the order that it stands in. A bulk query gives children as lines of their own."""


class _Money(msgspec.Struct, rename="camel"):
    amount: str


class _Bag(msgspec.Struct, rename="camel"):
    shop_money: _Money


class _Currency(_Money, rename="camel"):
    currency_code: str


class _Total(msgspec.Struct, rename="camel"):
    """In both currencies: their ratio is the rate at which the order was paid."""

    shop_money: _Currency
    presentment_money: _Currency


class _Reference(msgspec.Struct):
    id: str


class _Tax(msgspec.Struct, rename="camel"):
    price_set: _Bag


class _Allocation(msgspec.Struct, rename="camel"):
    allocated_amount_set: _Bag


class _Line(msgspec.Struct, rename="camel"):
    id: str
    product: _Reference | None
    variant: _Reference | None
    quantity: int
    current_quantity: int
    is_gift_card: bool
    original_unit_price_set: _Bag
    tax_lines: list[_Tax]
    discount_allocations: list[_Allocation]


class _Shipping(msgspec.Struct, rename="camel"):
    id: str
    original_price_set: _Bag
    tax_lines: list[_Tax]
    discount_allocations: list[_Allocation]


class _Buyer(msgspec.Struct, rename="camel"):
    """A company, or a customer of whom the query asks nothing here."""

    company: _Reference | None = None


class _Address(msgspec.Struct, rename="camel"):
    country_code_v2: str | None = msgspec.field(name="countryCodeV2")


class _Refund(msgspec.Struct, rename="camel"):
    id: str
    created_at: str | None


class _Order(msgspec.Struct, rename="camel"):
    """Nothing on which points depend has a default: a query that leaves it out must not be taken for an order without it."""

    id: str
    created_at: str
    updated_at: str
    processed_at: str
    cancelled_at: str | None
    currency_code: str
    presentment_currency_code: str
    display_financial_status: str | None
    test: bool
    taxes_included: bool
    source_name: str | None
    tags: list[str]
    payment_gateway_names: list[str]
    customer: _Reference | None
    purchasing_entity: _Buyer | None
    shipping_address: _Address | None
    total_price_set: _Total
    total_tip_received_set: _Bag
    refunds: list[_Refund]
    # An order without any line, and one without shipping, have no line in the file.
    line_items: list[_Line] = []
    shipping_lines: list[_Shipping] = []


def as_rest(content: dict[str, Any]) -> dict[str, Any]:
    """The order in REST's shape. Raises InvalidOrder with the path of what is missing or wrong, and refusals of `money`."""
    try:
        order = msgspec.convert(content, _Order)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from error
    currency = order.currency_code
    money.require_currency(currency)
    buyer = order.purchasing_entity
    return {
        "id": _number(order.id, "Order"),
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "processed_at": order.processed_at,
        "cancelled_at": order.cancelled_at,
        "currency": currency,
        "presentment_currency": order.presentment_currency_code,
        "financial_status": (order.display_financial_status or "").lower() or None,
        "test": order.test,
        "taxes_included": order.taxes_included,
        "source_name": order.source_name,
        "tags": ", ".join(order.tags),
        "payment_gateway_names": order.payment_gateway_names,
        "customer": None if order.customer is None else {"id": _number(order.customer.id, "Customer")},
        "shipping_address": None if order.shipping_address is None else {"country_code": order.shipping_address.country_code_v2},
        "total_price": _amount(order.total_price_set.shop_money, currency),
        "total_price_set": {
            "shop_money": _money(order.total_price_set.shop_money),
            "presentment_money": _money(order.total_price_set.presentment_money),
        },
        "company": None if buyer is None or buyer.company is None else {"id": _number(buyer.company.id, "Company")},
        "total_tip_received": _amount(order.total_tip_received_set.shop_money, currency),
        "line_items": [_line(line, currency) for line in order.line_items],
        "shipping_lines": [
            {
                "id": _number(line.id, "ShippingLine"),
                "price": _amount(line.original_price_set.shop_money, currency),
                "tax_lines": _taxes(line.tax_lines, currency),
                "discount_allocations": _allocations(line.discount_allocations, currency),
            }
            for line in order.shipping_lines
        ],
        "refunds": [{"id": _number(refund.id, "Refund"), "created_at": refund.created_at} for refund in order.refunds],
    }


def _line(line: _Line, currency: str) -> dict[str, Any]:
    return {
        "id": _number(line.id, "LineItem"),
        "product_id": None if line.product is None else _number(line.product.id, "Product"),
        "variant_id": None if line.variant is None else _number(line.variant.id, "ProductVariant"),
        "price": _amount(line.original_unit_price_set.shop_money, currency),
        "quantity": line.quantity,
        "current_quantity": line.current_quantity,
        "gift_card": line.is_gift_card,
        "tax_lines": _taxes(line.tax_lines, currency),
        "discount_allocations": _allocations(line.discount_allocations, currency),
    }


def _taxes(taxes: list[_Tax], currency: str) -> list[dict[str, str]]:
    return [{"price": _amount(tax.price_set.shop_money, currency)} for tax in taxes]


def _allocations(allocations: list[_Allocation], currency: str) -> list[dict[str, str]]:
    return [{"amount": _amount(one.allocated_amount_set.shop_money, currency)} for one in allocations]


def _money(given: _Currency) -> dict[str, str]:
    return {"amount": _amount(given, given.currency_code), "currency_code": given.currency_code}


def _amount(given: _Money, currency: str) -> str:
    """GraphQL writes 25.0 where REST writes 25.00."""
    return money.render(money.parse(given.amount, currency), currency)


def _number(gid: str, kind: str) -> int:
    prefix = f"gid://shopify/{kind}/"
    # Some ids carry a query behind the number.
    number = gid.removeprefix(prefix).partition("?")[0]
    if not gid.startswith(prefix) or not number.isascii() or not number.isdigit() or len(number) > 19:
        raise DomainError(f"This is no id of the type {kind}.")
    return int(number)
