"""The day of the demo: real enough for the application to read, and right by its own arithmetic."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from loyalty_native import Order as CoreOrder
from loyalty_native import Program

from api.webhooks import signed
from domain import money, orders
from domain.inbox import TOPICS, delivery
from domain.orders.facts import NOTHING
from domain.orders.net import core_order
from local.demo.client import sign
from local.demo.day import SAMPLES, Day, Happening, make_day, newcomer

NOW = datetime(2026, 3, 2, 15, 30, 12, 345678, tzinfo=UTC)
CUSTOMERS = ((11, 12), (21, 22))
CURRENCIES = ("USD", "JPY")


def day(first: int = 1_000_000_000_000_000) -> Day:
    return Day(CUSTOMERS, CURRENCIES, NOW, random.Random(7), first)


def told(happening: Happening) -> list[dict[str, Any]]:
    """The states of an order that the deliveries tell of, each once."""
    return list({one.webhook_id: one.body for one in happening.deliveries}.values())


def points(state: dict[str, Any], per: int) -> tuple[int, str | None]:
    """What the core gives for the order at 10 points per so many units of currency."""
    rules = [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": per}}]
    snapshot = orders.parse(json.dumps(orders.keep(state)))
    [found] = Program(json.dumps({"rules": rules}), 1).evaluate_batch(
        [CoreOrder.from_json(core_order(snapshot, None, NOTHING, void=False))]
    )
    return found.points, found.reason


@pytest.mark.parametrize("count", [1, 8, 9, 24, 500])
def test_so_many_orders_and_a_signup_before_the_newcomers_first(count: int) -> None:
    happenings = make_day(day(), count)
    assert sum(one.source == "order" for one in happenings) == count
    signups = [index for index, one in enumerate(happenings) if one.source == "signup"]
    assert signups == ([8] if count >= 9 else [])
    if count >= 9:
        assert told(happenings[9])[0]["customer"]["id"] == happenings[8].number == newcomer(day())


def test_the_first_is_a_hundred_dollars_and_a_thousand_points() -> None:
    [state] = told(make_day(day(), 24)[0])
    assert (state["total_price"], state["currency"], state["customer"]["id"]) == ("100.00", "USD", 11)
    assert points(state, 1) == (1_000, None)


def test_the_story_earns_what_it_says() -> None:
    earned = {one.note: points(told(one)[-1], 1) for one in make_day(day(), 8)}
    assert earned == {
        "$100 at 10 points per dollar": (1_000, None),
        # 3 × 7499 yen at 10 points per yen.
        "held for the days that the program says": (224_970, None),
        # 597.00 of goods less a code of 10.00; 11.94 of tax on top earn nothing.
        "discounts and tax earn nothing": (5_870, None),
        "a guest": (0, "NO_CUSTOMER"),
        "a test order": (0, "TEST_ORDER"),
        # 3 × 74.99 is 224.97.
        "delivered twice": (2_249, None),
        "paid later": (2_249, None),
        "its payment arrives first": (2_249, None),
    }


def test_a_repeated_delivery_is_the_same_delivery() -> None:
    twice = make_day(day(), 6)[5]
    first, second = twice.deliveries
    assert first is second


def test_created_and_paid_differ_in_payment_and_instant_alone() -> None:
    later, reverse = make_day(day(), 8)[6:]
    for happening, statuses in ((later, ["pending", "paid"]), (reverse, ["paid", "pending"])):
        states = told(happening)
        assert [state["financial_status"] for state in states] == statuses
        pending, paid = sorted(states, key=lambda state: datetime.fromisoformat(state["updated_at"]))
        assert (pending["financial_status"], paid["financial_status"]) == ("pending", "paid")
        assert {name for name in paid if paid[name] != pending[name]} == {"financial_status", "updated_at"}


def test_everything_happens_today_and_nothing_later_than_now() -> None:
    for happening in make_day(day(), 500):
        for one in happening.deliveries:
            created, updated = (datetime.fromisoformat(one.body[name]) for name in ("created_at", "updated_at"))
            assert NOW.replace(hour=0, minute=0, second=0) - timedelta(seconds=1) <= created <= updated <= NOW


def test_ids_are_fresh_within_a_day_and_between_two() -> None:
    def ids(some_day: Day) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for one in make_day(some_day, 500):
            found.append((one.source, one.number))
            found += [("line", line["id"]) for line in one.deliveries[0].body.get("line_items", [])]
        return found

    today = ids(day())
    assert len(today) == len(set(today))
    fresh = Day(CUSTOMERS, CURRENCIES, NOW, random.Random(7))
    assert not set(today) & set(ids(fresh))
    # What every JSON reader keeps exactly.
    assert max(number for _, number in ids(fresh)) < 2**53


@pytest.mark.parametrize("seed", range(5))
def test_totals_add_up_in_the_shops_currency(seed: int) -> None:
    some_day = Day(CUSTOMERS, CURRENCIES, NOW, random.Random(seed))
    for happening in make_day(some_day, 60):
        if happening.source == "signup":
            continue
        currency = CURRENCIES[happening.shop]
        for state in told(happening):
            lines = state["line_items"]

            def minor(amount: str, currency: str = currency) -> int:
                return money.parse(amount, currency)

            goods = sum(minor(line["price"]) * line["quantity"] for line in lines)
            discounts = sum(minor(one["amount"]) for line in lines for one in line["discount_allocations"])
            taxes = sum(minor(one["price"]) for line in lines for one in line["tax_lines"])
            assert state["currency"] == currency
            assert minor(state["subtotal_price"]) == goods - discounts
            assert minor(state["total_discounts"]) == discounts
            assert sum(minor(one["amount"]) for one in state["discount_codes"]) == discounts
            assert minor(state["total_tax"]) == sum(minor(one["price"]) for one in state["tax_lines"]) == taxes
            assert minor(state["total_price"]) == goods - discounts + taxes == minor(happening.amount or "")


def test_every_delivery_is_one_that_the_door_takes_in() -> None:
    for happening in make_day(day(), 24):
        for one in happening.deliveries:
            body = json.dumps(one.body).encode()
            assert one.topic in TOPICS
            assert signed(body, sign(body, "a secret"), ("a secret",))
            assert not signed(body, sign(body, "another"), ("a secret",))
            stored = delivery(one.webhook_id, one.topic, body, None)
            if happening.source == "order":
                assert orders.parse(stored.payload).id == happening.number


def test_the_samples_name_their_source_and_licence() -> None:
    readme = (SAMPLES / "README.md").read_text()
    assert all(path.name in readme for path in SAMPLES.glob("*.json"))
    assert "Shopify/shopify-app-js" in readme
    assert "MIT License" in readme
