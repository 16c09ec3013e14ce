"""Shops full of customers, and the orders and deliveries that reach them."""

import bisect
import itertools
import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain import db, inbox, merchants, orders, programs, scope
from domain.merchants import Merchant
from domain.points import Entry, TransactionType
from domain.programs import Definition

ZIPF_EXPONENT = 1.1
ORDER_MARK = 5_000_000_000_001
CUSTOMER_MARK = 6_000_000_000_002
"""What stands in the sample for the order's and the customer's number."""

SAMPLE_NUMBER = 5_000_000_000_000
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
CREATED_AT = "2026-03-02T12:00:00-05:00"

PROGRAM = Definition(earning={"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 1}}]})


def customer_uuid(number: int) -> UUID:
    """The id of a shop's customer with this number, which SQL can compute as well (`CUSTOMER_SQL`)."""
    return UUID(f"00000000-0000-7000-8000-{number:012x}")


CUSTOMER_SQL = "('00000000-0000-7000-8000-' || lpad(to_hex({number}::bigint), 12, '0'))::uuid"

_FILL = f"""
    with made as (
        insert into customers (merchant_id, id, shopify_id, created_at)
        select $1, {CUSTOMER_SQL.format(number="n")}, n, $3 from generate_series(1, $2::bigint) n
        returning id
    )
    insert into points_accounts (merchant_id, customer_id, last_hash)
    select $1, made.id, points_genesis($1, made.id) from made
"""


async def open_shop(customers: int) -> Merchant:
    """A shop with a program of ten points per dollar and customers number 1 to `customers`, whose Shopify ids are the same."""
    merchant = await merchants.register(f"bench-{secrets.token_hex(6)}.myshopify.com", "Bench", "USD", scope.now())
    within = scope.system(merchant.id)
    async with db.transaction(within):
        await programs.draft_update(within, PROGRAM)
        await programs.publish(within, effective_from=BEGINNING)
    async with db.transaction(within) as connection:
        await connection.execute(_FILL, merchant.id, customers, scope.now())
    return merchant


def customer_numbers(kind: str, customers: int, seed: int) -> Iterator[int]:
    """Numbers of customers for ever: `uniform`, or `zipf` with the exponent 1.1, where number 1 is the most frequent."""
    chosen = random.Random(seed)
    if kind == "uniform":
        while True:
            yield chosen.randint(1, customers)
    weights = list(itertools.accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, customers + 1)))
    while True:
        yield bisect.bisect_left(weights, chosen.random() * weights[-1]) + 1


def order_body(number: int, customer: int) -> bytes:
    """Shopify's `orders/create` for a paid order of two lines, with discount and taxes, as large as a real one of its kind."""
    return fill(_ORDER, number, customer).encode()


def stored_payload() -> str:
    """What the door keeps of such an order; `fill` puts the numbers in."""
    return inbox.delivery("bench", "orders/create", _ORDER.encode(), None).payload


def fill(payload: str, number: int, customer: int) -> str:
    """The text of an order, whole or as stored, for another number and customer."""
    return payload.replace(str(ORDER_MARK), str(number)).replace(str(CUSTOMER_MARK), str(customer))


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows, column by column, that the application wrote for one order of the shop."""

    order: dict[str, Any]
    entry: dict[str, Any]


async def booked_sample(merchant_id: UUID) -> Sample:
    """Book one order by the application itself: its rows show, byte for byte, what a peer has to write."""
    within = scope.system(merchant_id)
    payload = fill(stored_payload(), SAMPLE_NUMBER, 1)
    async with db.transaction(within):
        await orders.converge(within, [(orders.parse(payload), payload)])
    async with db.connection(within) as connection:
        order = await connection.fetchrow(
            "select * from orders where merchant_id = $1 and shopify_id = $2", merchant_id, SAMPLE_NUMBER
        )
        [entry] = await connection.fetch(
            "select * from points_transactions where merchant_id = $1 and source = 'order' and external_id = $2",
            merchant_id,
            str(SAMPLE_NUMBER),
        )
    assert order is not None, "the order was booked above"
    assert entry["points"] > 0, "the order is paid and has no hold"
    return Sample(dict(order), dict(entry))


def entry_of(sample: Sample, customer: int, number: int) -> Entry:
    """An entry as the first booking of the order with this number makes it."""
    return Entry(
        customer_id=customer_uuid(customer),
        type=TransactionType.EARN,
        points=sample.entry["points"],
        pending=0,
        source="order",
        external_id=str(number),
        purpose="confirmed:1",
        program_version=1,
        trace=sample.entry["trace"],
    )


def _amount(text: str) -> dict[str, object]:
    """An amount in the two currencies that Shopify states it in."""
    money = {"amount": text, "currency_code": "USD"}
    return {"shop_money": money, "presentment_money": money}


def _address() -> dict[str, object]:
    return {
        "first_name": "Casey",
        "last_name": "Example",
        "company": None,
        "address1": "123 Elm Street",
        "address2": "Apartment 4",
        "city": "Ottawa",
        "zip": "K2H7A8",
        "province": "Ontario",
        "province_code": "ON",
        "country": "Canada",
        "country_code": "CA",
        "phone": "+1 555 0100",
        "latitude": 45.41634,
        "longitude": -75.6868,
        "name": "Casey Example",
    }


def _line(number: int, title: str, price: str, quantity: int, tax: str, discount: str) -> dict[str, object]:
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/LineItem/{number}",
        "attributed_staffs": [],
        "current_quantity": quantity,
        "fulfillable_quantity": quantity,
        "fulfillment_service": "manual",
        "fulfillment_status": None,
        "gift_card": False,
        "grams": 567,
        "name": title,
        "price": price,
        "price_set": _amount(price),
        "product_exists": True,
        "product_id": number + 17,
        "properties": [],
        "quantity": quantity,
        "requires_shipping": True,
        "sku": f"SKU-{number}",
        "taxable": True,
        "title": title,
        "total_discount": "0.00",
        "total_discount_set": _amount("0.00"),
        "variant_id": number + 71,
        "variant_inventory_management": "shopify",
        "variant_title": "green",
        "vendor": "Cedar",
        "tax_lines": [{"channel_liable": False, "price": tax, "price_set": _amount(tax), "rate": 0.06, "title": "State Tax"}],
        "duties": [],
        "discount_allocations": [{"amount": discount, "amount_set": _amount(discount), "discount_application_index": 0}],
    }


def _totals() -> dict[str, Any]:
    """The order's sums, each as text and as Shopify's money in two currencies."""
    return {
        name: value
        for total, text in (
            ("subtotal_price", "54.87"),
            ("total_discounts", "5.00"),
            ("total_line_items_price", "59.87"),
            ("total_price", "63.16"),
            ("total_tax", "3.29"),
            ("current_subtotal_price", "54.87"),
            ("current_total_discounts", "5.00"),
            ("current_total_price", "63.16"),
            ("current_total_tax", "3.29"),
        )
        for name, value in ((total, text), (f"{total}_set", _amount(text)))
    }


def _order() -> str:
    """An order in Shopify's own fields. The two numbers that vary have as many digits as Shopify's own."""
    order: dict[str, Any] = {
        "id": ORDER_MARK,
        "admin_graphql_api_id": f"gid://shopify/Order/{ORDER_MARK}",
        "browser_ip": "203.0.113.7",
        "buyer_accepts_marketing": False,
        "cancelled_at": None,
        "cart_token": "68778783ad298f1c80c3bafcddeea02f",
        "confirmed": True,
        "contact_email": "casey@example.com",
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
        "processed_at": CREATED_AT,
        "currency": "USD",
        "presentment_currency": "USD",
        "customer_locale": "en",
        "discount_codes": [{"code": "WELCOME5", "amount": "5.00", "type": "fixed_amount"}],
        "email": "casey@example.com",
        "financial_status": "paid",
        "fulfillment_status": None,
        "landing_site": "https://shop.example.com/?source=abc",
        "name": "#1001",
        "note_attributes": [{"name": "custom name", "value": "custom value"}],
        "order_number": 1001,
        "order_status_url": "https://shop.example.com/690933842/orders/b1946ac92492d2347c6235b4d2611184/authenticate",
        "payment_gateway_names": ["bogus"],
        "phone": "+1 555 0100",
        "referring_site": "https://www.example.com",
        "source_name": "web",
        "tags": "imported, vip",
        "taxes_included": False,
        "test": False,
        "token": "b1946ac92492d2347c6235b4d2611184",
        "total_outstanding": "0.00",
        "total_tip_received": "0.00",
        **_totals(),
        "billing_address": _address(),
        "shipping_address": _address(),
        "customer": {
            "id": CUSTOMER_MARK,
            "email": "casey@example.com",
            "first_name": "Casey",
            "last_name": "Example",
            "state": "disabled",
            "currency": "USD",
            "default_address": _address(),
        },
        "line_items": [
            _line(466157049, "Cedar candle", "19.99", 2, "2.30", "3.34"),
            _line(518995019, "Sage soap", "19.89", 1, "0.99", "1.66"),
        ],
        "refunds": [],
        "shipping_lines": [
            {
                "id": 369256396,
                "price": "5.00",
                "price_set": _amount("5.00"),
                "title": "Standard",
                "tax_lines": [],
                "discount_allocations": [],
            }
        ],
    }
    return json.dumps(order)


_ORDER = _order()
