"""An order of the GraphQL Admin API, and a refund, in the shape that REST and webhooks give them."""

from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from domain import money
from domain.errors import DomainError
from domain.orders import InvalidOrder

T = TypeVar("T")

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


class _Application(msgspec.Struct):
    """Which of the order's discounts; the title is told of automatic ones, the code of those that have one."""

    index: int
    title: str | None = None
    code: str | None = None


class _Allocation(msgspec.Struct, rename="camel"):
    allocated_amount_set: _Bag


class _Applied(_Allocation, rename="camel"):
    discount_application: _Application


class _Line(msgspec.Struct, rename="camel"):
    id: str
    product: _Reference | None
    variant: _Reference | None
    quantity: int
    current_quantity: int
    is_gift_card: bool
    original_unit_price_set: _Bag
    tax_lines: list[_Tax]
    discount_allocations: list[_Applied]


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


class _Attribute(msgspec.Struct):
    key: str
    value: str | None


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
    discount_codes: list[str]
    custom_attributes: list[_Attribute]
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
    applications = _applications(order.line_items)
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
        "discount_codes": [{"code": code} for code in order.discount_codes],
        "discount_applications": [*applications.values()],
        "note_attributes": [{"name": one.key, "value": one.value} for one in order.custom_attributes],
        "line_items": [_line(line, [*applications], currency) for line in order.line_items],
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


class _Returned(msgspec.Struct, rename="camel"):
    quantity: int
    line_item: _Reference


class _ShippingBack(msgspec.Struct, rename="camel"):
    subtotal_amount_set: _Bag
    tax_amount_set: _Bag


class _Transaction(msgspec.Struct, rename="camel"):
    id: str
    kind: str
    status: str
    gateway: str | None
    amount_set: _Bag


class _Page(msgspec.Struct, Generic[T]):
    nodes: list[T]


class _WholeRefund(msgspec.Struct, rename="camel"):
    id: str
    refund_line_items: _Page[_Returned]
    refund_shipping_lines: _Page[_ShippingBack]
    transactions: _Page[_Transaction]


def refund_as_rest(content: dict[str, Any], currency: str) -> dict[str, Any]:
    """A refund in REST's shape, as one that Shopify was asked for by itself. Raises InvalidOrder as `as_rest` does."""
    try:
        refund = msgspec.convert(content, _WholeRefund)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from error
    money.require_currency(currency)

    def bag(given: _Bag) -> dict[str, Any]:
        return {"shop_money": {"amount": _amount(given.shop_money, currency), "currency_code": currency}}

    return {
        "id": _number(refund.id, "Refund"),
        "refund_line_items": [
            {"line_item_id": _number(one.line_item.id, "LineItem"), "quantity": one.quantity}
            for one in refund.refund_line_items.nodes
        ],
        "refund_shipping_lines": [
            {"subtotal_amount_set": bag(one.subtotal_amount_set), "tax_amount_set": bag(one.tax_amount_set)}
            for one in refund.refund_shipping_lines.nodes
        ],
        "transactions": [
            {
                "id": _number(one.id, "OrderTransaction"),
                "kind": one.kind.lower(),
                "status": one.status.lower(),
                "gateway": one.gateway,
                "amount_set": bag(one.amount_set),
            }
            for one in refund.transactions.nodes
        ],
    }


def _line(line: _Line, applications: list[int], currency: str) -> dict[str, Any]:
    return {
        "id": _number(line.id, "LineItem"),
        "product_id": None if line.product is None else _number(line.product.id, "Product"),
        "variant_id": None if line.variant is None else _number(line.variant.id, "ProductVariant"),
        "price": _amount(line.original_unit_price_set.shop_money, currency),
        "quantity": line.quantity,
        "current_quantity": line.current_quantity,
        "gift_card": line.is_gift_card,
        "tax_lines": _taxes(line.tax_lines, currency),
        "discount_allocations": [
            {
                "amount": _amount(one.allocated_amount_set.shop_money, currency),
                "discount_application_index": applications.index(one.discount_application.index),
            }
            for one in line.discount_allocations
        ],
    }


def _applications(lines: list[_Line]) -> dict[int, dict[str, str]]:
    """The discounts that an order's lines name, by Shopify's index."""
    named = {one.discount_application.index: one.discount_application for line in lines for one in line.discount_allocations}
    return {index: _application(one) for index, one in sorted(named.items())}


def _application(one: _Application) -> dict[str, str]:
    if one.title is not None:
        return {"type": "automatic", "title": one.title}
    # Neither is told of a discount by hand or by a script, which nobody here asks for.
    return {} if one.code is None else {"type": "discount_code", "code": one.code}


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
