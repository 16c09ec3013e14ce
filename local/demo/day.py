"""A day of orders, made from Shopify's own samples."""

import copy
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from domain import money

SAMPLES = Path(__file__).parent.parent / "samples"
NEWCOMER_NAME = "Mika", "Ito"

Payload = dict[str, Any]


@dataclass(frozen=True)
class Delivery:
    """One webhook. Two with the same `webhook_id` are one delivery that is sent twice."""

    topic: str
    body: Payload
    webhook_id: str


@dataclass(frozen=True)
class Happening:
    """An order or a signup, and the webhooks that tell of it, in the order in which they are sent.

    shop: the index of the shop. source, number: what the ledger's entries name as their cause. amount: the order's total in
    the shop's currency, None for a signup. paid: whether a delivery tells of the payment. note: what is special about it.
    """

    shop: int
    source: str
    number: int
    name: str
    amount: str | None
    deliveries: tuple[Delivery, ...]
    paid: bool = False
    note: str = ""


@dataclass
class Day:
    """Where and when it takes place.

    customers: the Shopify numbers of each shop's customers. currencies: each shop's. now: the instant that nothing is later
    than, because points of an order that is paid tomorrow are not confirmed today.
    """

    customers: Sequence[Sequence[int]]
    currencies: Sequence[str]
    now: datetime
    chance: random.Random
    # Numbers of this run alone, above all that Shopify has given out and below 2^53.
    first: int = field(default_factory=lambda: time.time_ns() // 1_000)


def make_day(day: Day, orders: int) -> list[Happening]:
    """So many orders, and a signup before the newcomer's first: the story's, then any. With fewer the story is shorter."""
    midnight = day.now.replace(hour=0, minute=0, second=0, microsecond=0)
    instants = [midnight + (day.now - midnight) * (index + 1) / orders for index in range(orders)]
    story = [_hundred, _held, _discounted, _guest, _test, _twice, _paid_later, _reversed, _newcomers_first]
    happenings: list[Happening] = []
    for index, at in enumerate(instants):
        tell = story[index] if index < len(story) else _any
        if tell is _newcomers_first:
            happenings.append(_signup(day, at))
        happenings.append(tell(day, index, at.replace(microsecond=0)))
    return happenings


def newcomer(day: Day) -> int:
    """The Shopify number of the customer who joins the second shop during the day."""
    return day.first


def _hundred(day: Day, index: int, at: datetime) -> Happening:
    order = _sample("order_discounted")
    line = order["line_items"][0] | {"price": "100.00", "tax_lines": [], "discount_allocations": []}
    order |= {"line_items": [line], "discount_codes": [], "discount_applications": []}
    return _simple(day, 0, index, order, at, day.customers[0][0], "$100 at 10 points per dollar")


def _held(day: Day, index: int, at: datetime) -> Happening:
    return _simple(day, 1, index, _sample("order_guest"), at, day.customers[1][0], "held for the days that the program says")


def _discounted(day: Day, index: int, at: datetime) -> Happening:
    return _simple(day, 0, index, _sample("order_discounted"), at, day.customers[0][0], "discounts and tax earn nothing")


def _guest(day: Day, index: int, at: datetime) -> Happening:
    return _simple(day, 0, index, _sample("order_guest"), at, None, "a guest")


def _test(day: Day, index: int, at: datetime) -> Happening:
    return _simple(day, 0, index, _sample("order_discounted") | {"test": True}, at, day.customers[0][1], "a test order")


def _twice(day: Day, index: int, at: datetime) -> Happening:
    once = _simple(day, 0, index, _sample("order_guest"), at, day.customers[0][1], "delivered twice")
    return replace(once, deliveries=once.deliveries * 2)


def _paid_later(day: Day, index: int, at: datetime) -> Happening:
    created, paid = _created_and_paid(day, 0, index, at, day.customers[0][1])
    return _happening(0, created, (created, paid), "paid later")


def _reversed(day: Day, index: int, at: datetime) -> Happening:
    created, paid = _created_and_paid(day, 0, index, at, day.customers[0][0])
    return _happening(0, created, (paid, created), "its payment arrives first")


def _newcomers_first(day: Day, index: int, at: datetime) -> Happening:
    return _simple(day, 1, index, _some(day, _sample("order_discounted")), at, newcomer(day), "the newcomer's first order")


def _any(day: Day, index: int, at: datetime) -> Happening:
    shop = day.chance.randrange(len(day.customers))
    sample = _sample(day.chance.choice(("order_discounted", "order_guest")))
    return _simple(day, shop, index, _some(day, sample), at, day.chance.choice(day.customers[shop]), "")


def _signup(day: Day, at: datetime) -> Happening:
    first, last = NEWCOMER_NAME
    number = newcomer(day)
    instant = at.isoformat(timespec="seconds")
    body = _sample("customer") | {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Customer/{number}",
        "email": f"{first}.{last}@example.com".lower(),
        "first_name": first,
        "last_name": last,
        "created_at": instant,
        "updated_at": instant,
        "currency": day.currencies[1],
    }
    delivery = Delivery("customers/create", body, str(uuid.uuid4()))
    return Happening(1, "signup", number, "signup", None, (delivery,), note="a new customer")


def _simple(day: Day, shop: int, index: int, sample: Payload, at: datetime, customer: int | None, note: str) -> Happening:
    """An order that is created and paid at once."""
    order = _order(day, shop, index, sample, at, customer)
    return _happening(shop, order, (order,), note)


def _created_and_paid(day: Day, shop: int, index: int, at: datetime, customer: int) -> tuple[Payload, Payload]:
    paid = _order(day, shop, index, _sample("order_guest"), at, customer)
    # One second is the least by which Shopify's instants differ.
    created = paid | {"financial_status": "pending", "updated_at": _instant(at - timedelta(seconds=1))}
    return created, paid


def _happening(shop: int, order: Payload, states: tuple[Payload, ...], note: str) -> Happening:
    deliveries = tuple(
        Delivery(
            "orders/paid" if len(states) > 1 and state["financial_status"] == "paid" else "orders/create",
            state,
            str(uuid.uuid4()),
        )
        for state in states
    )
    return Happening(shop, "order", order["id"], order["name"], order["total_price"], deliveries, paid=True, note=note)


def _order(day: Day, shop: int, index: int, sample: Payload, at: datetime, customer: int | None) -> Payload:
    """The sample as an order of this shop, at this instant, by this customer."""
    number = day.first + 1 + index
    currency = day.currencies[shop]
    order: Payload = sample | {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Order/{number}",
        "name": f"#{1001 + index}",
        "order_number": 1001 + index,
        "currency": currency,
        "presentment_currency": currency,
        "created_at": _instant(at - timedelta(seconds=1)),
        "processed_at": _instant(at - timedelta(seconds=1)),
        "updated_at": _instant(at),
        "customer": None if customer is None else _customer(customer),
    }
    for line_index, line in enumerate(order["line_items"]):
        line["id"] = day.first + 1_000_000 + index * 10 + line_index
    _count_in(order, currency)
    return order


def _customer(number: int) -> Payload:
    return {"id": number, "admin_graphql_api_id": f"gid://shopify/Customer/{number}"}


def _some(day: Day, order: Payload) -> Payload:
    """Other quantities, and perhaps fewer lines, of the same things."""
    lines = order["line_items"]
    order["line_items"] = day.chance.sample(lines, day.chance.randint(1, len(lines)))
    for line in order["line_items"]:
        quantity = day.chance.randint(1, 4)
        for tax in line["tax_lines"]:
            tax["price"] = money.render(_cents(tax["price"]) * quantity // line["quantity"], "USD")
        line["quantity"] = line["current_quantity"] = quantity
    return order


def _count_in(order: Payload, currency: str) -> None:
    """Write the order's amounts in the currency, and its totals anew.

    The sample's amounts have two decimals; they keep their number of minor units, so that 199.00 in USD is 19900 in JPY.
    """
    goods = discounts = taxes = 0
    for line in order["line_items"]:
        goods += _cents(line["price"]) * line["quantity"]
        line["price"] = money.render(_cents(line["price"]), currency)
        for allocation in line["discount_allocations"]:
            discounts += _cents(allocation["amount"])
            allocation["amount"] = money.render(_cents(allocation["amount"]), currency)
        for tax in line["tax_lines"]:
            taxes += _cents(tax["price"])
            tax["price"] = money.render(_cents(tax["price"]), currency)
        line["total_discount"] = money.render(0, currency)
    for code in order["discount_codes"]:
        code["amount"] = money.render(discounts, currency)
    for shipping in order["shipping_lines"]:
        # Free in the samples.
        shipping["price"] = shipping["discounted_price"] = money.render(0, currency)
    order["tax_lines"] = [{"price": money.render(taxes, currency), "rate": 0.06, "title": "State Tax"}] if taxes else []
    order["subtotal_price"] = money.render(goods - discounts, currency)
    order["total_discounts"] = money.render(discounts, currency)
    order["total_tax"] = money.render(taxes, currency)
    order["total_tip_received"] = money.render(0, currency)
    order["total_price"] = money.render(goods - discounts + taxes, currency)


def _cents(amount: str) -> int:
    return money.parse(amount, "USD")


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


_read = {path.stem: json.loads(path.read_text()) for path in SAMPLES.glob("*.json")}


def _sample(name: str) -> Payload:
    return copy.deepcopy(_read[name])
