"""Orders converge: whatever comes, in whatever order, the ledger ends where the newest state says."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import db, orders, points
from domain.errors import Code, DomainError
from domain.orders.rules import InvalidOrder
from tests.shop import NOON, Shop, line, open_shop, order, rate
from workers.points import daily

SAMPLES = Path(__file__).parent.parent / "samples"


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """One of Shopify's own example orders."""
    return json.loads((SAMPLES / f"{name}.json").read_text()) | changes


async def converge(shop: Shop, *payloads: dict[str, Any]) -> None:
    for payload in payloads:
        text = json.dumps(orders.keep(payload))
        async with db.transaction(shop.scope()):
            await orders.converge(shop.scope(), [(orders.parse(text), text)])


async def entries(shop: Shop, customer_id: Any) -> list[tuple[int, int, str]]:
    rows = await points.since(shop.scope(), customer_id, 0, 100)
    return [(row.points, row.pending, row.purpose) for row in rows]


async def test_the_hundred_dollar_order_of_ten_points_a_dollar(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id))
    assert await shop.balance(customer.id) == (1000, 0)
    assert await entries(shop, customer.id) == [(1000, 0, "confirmed:1")]


async def test_points_are_pending_until_paid(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    unpaid = order(customer=customer.shopify_id, financial_status="pending")
    await converge(shop, unpaid)
    assert await shop.balance(customer.id) == (0, 1000)
    later = (NOON + timedelta(hours=1)).isoformat()
    shop.at = NOON + timedelta(hours=1)
    await converge(shop, unpaid | {"financial_status": "paid", "updated_at": later})
    assert await shop.balance(customer.id) == (1000, 0)
    assert await entries(shop, customer.id) == [(0, 1000, "pending:1"), (1000, -1000, "confirmed:2")]


async def test_points_are_held_for_whole_days_from_payment(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=14))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id))
    assert await shop.balance(customer.id) == (0, 1000)
    shop.at = NOON + timedelta(days=14, seconds=-1)
    async with db.transaction(shop.scope()):
        assert await orders.mature(shop.scope(), 10) == 0
    assert await shop.balance(customer.id) == (0, 1000)
    shop.at = NOON + timedelta(days=14)
    for expected in (1, 0):
        async with db.transaction(shop.scope()):
            assert await orders.mature(shop.scope(), 10) == expected
    assert await shop.balance(customer.id) == (1000, 0)


async def test_the_job_that_confirms_runs_twice_and_books_once(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=1))
    customer = await shop.customer()
    await converge(shop, *(order(customer=customer.shopify_id) for _ in range(3)))
    assert await shop.balance(customer.id) == (0, 3000)
    await daily(shop.scope())
    await daily(shop.scope())
    assert await shop.balance(customer.id) == (3000, 0)


async def test_the_hold_runs_from_the_earliest_payment_known(shop: Shop) -> None:
    await shop.publish(rate(10, hold_days=10))
    customer = await shop.customer()
    late = order(customer=customer.shopify_id, updated_at=(NOON + timedelta(days=9)).isoformat())
    early = late | {"updated_at": (NOON + timedelta(days=1)).isoformat()}
    await converge(shop, late, early)
    found = await orders.by_shopify_id(shop.scope(), late["id"])
    assert found is not None
    assert (found.paid_at, found.matures_at) == (NOON + timedelta(days=1), NOON + timedelta(days=11))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test": True}, "TEST_ORDER"),
        ({"customer": None}, "NO_CUSTOMER"),
        ({"line_items": [line(gift_card=True)]}, "NOTHING_ELIGIBLE"),
        ({"line_items": []}, "NOTHING_ELIGIBLE"),
        ({"line_items": [line(price="0.05")]}, "ROUNDED_TO_ZERO"),
        ({"created_at": "1999-12-31T00:00:00Z"}, "NO_PROGRAM"),
    ],
)
async def test_an_order_that_earns_nothing_says_why(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    payload = order(customer=customer.shopify_id) | changes
    await converge(shop, payload)
    found = await orders.by_shopify_id(shop.scope(), payload["id"])
    assert found is not None
    assert (found.deserved, found.reason) == (0, reason)
    assert await shop.balance(customer.id) == (0, 0)


async def test_a_program_that_is_off_gives_nothing(shop: Shop) -> None:
    await shop.publish(rate(10, enabled=False))
    customer = await shop.customer()
    payload = order(customer=customer.shopify_id)
    await converge(shop, payload)
    found = await orders.by_shopify_id(shop.scope(), payload["id"])
    assert found is not None
    assert (found.deserved, found.reason) == (0, "PROGRAM_OFF")


async def test_an_old_order_keeps_its_version(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    unpaid = order(customer=customer.shopify_id, financial_status="pending")
    await converge(shop, unpaid)
    await shop.publish(rate(50), at=NOON + timedelta(minutes=1))
    later = (NOON + timedelta(hours=1)).isoformat()
    shop.at = NOON + timedelta(hours=1)
    new = order(customer=customer.shopify_id, created_at=later, updated_at=later)
    await converge(shop, unpaid | {"financial_status": "paid", "updated_at": later}, new)
    rows = await points.since(shop.scope(), customer.id, 0, 10)
    assert [(row.points, row.pending, row.program_version) for row in rows] == [
        (0, 1000, 1),
        (1000, -1000, 1),
        (5000, 0, 2),
    ]


async def test_an_order_that_changes_hands_takes_its_points_along(shop: Shop) -> None:
    await shop.publish(rate(10))
    one, two = await shop.customer(), await shop.customer()
    first = order(customer=one.shopify_id)
    later = (NOON + timedelta(hours=1)).isoformat()
    await converge(shop, first, first | {"customer": {"id": two.shopify_id}, "updated_at": later})
    assert (await shop.balance(one.id), await shop.balance(two.id)) == ((0, 0), (1000, 0))


async def test_a_guest_who_becomes_a_customer_earns(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    guest = order()
    later = (NOON + timedelta(hours=1)).isoformat()
    await converge(shop, guest, guest | {"customer": {"id": customer.shopify_id}, "updated_at": later})
    assert await shop.balance(customer.id) == (1000, 0)


@pytest.mark.parametrize(
    ("currency", "price", "points_", "per", "expected"),
    [("JPY", "1299", 1, 100, 12), ("KWD", "1.234", 1000, 1, 1234), ("USD", "19.99", 3, 2, 29), ("EUR", "0.99", 100, 1, 99)],
)
async def test_every_exponent_is_exact(
    application: object, currency: str, price: str, points_: int, per: int, expected: int
) -> None:
    shop = await open_shop(application, currency)
    await shop.publish(rate(points_, per))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, currency=currency, price=price))
    assert await shop.balance(customer.id) == (expected, 0)


async def test_tax_shipping_tips_and_gift_cards_do_not_earn_by_default(shop: Shop) -> None:
    await shop.publish(rate(1))
    customer = await shop.customer()
    payload = order(
        customer=customer.shopify_id,
        taxes_included=True,
        total_tip_received="7.00",
        shipping_lines=[{"price": "12.00", "tax_lines": [{"price": "2.00"}]}],
        line_items=[
            line(price="60.00", quantity=2, tax_lines=[{"price": "20.00"}], discount_allocations=[{"amount": "10.00"}]),
            line(price="25.00", gift_card=True),
        ],
    )
    await converge(shop, payload)
    # 2 × 60.00 − 10.00 discount − 20.00 tax contained in the price
    assert await shop.balance(customer.id) == (90, 0)


async def test_shopifys_discounted_and_taxed_order_before_its_refund(shop: Shop) -> None:
    """Three pieces at 199.00, discounts of 3.34, 3.33 and 3.33, tax of 11.94 on top: 597.00 − 10.00 = 587.00."""
    await shop.publish(rate(10), at=datetime(2000, 1, 1, tzinfo=UTC))
    payload = sample("order_usd_discount_tax_partial_refund", refunds=[])
    payload["line_items"] = [one | {"current_quantity": one["quantity"]} for one in payload["line_items"]]
    await converge(shop, payload)
    found = await orders.by_shopify_id(shop.scope(), 450789469)
    assert found is not None
    assert (found.deserved, found.reason, found.paid_at is not None) == (5870, None, True)
    assert found.trace is not None
    lines = [(one["id"], one["base_minor"], one["points"]) for one in json.loads(found.trace)["parts"]]
    # 1956.6, 1956.7 and 1956.7 exactly: two points remain after rounding down, for the two largest remainders.
    assert lines == [("466157049", 19566, 1956), ("518995019", 19567, 1957), ("703073504", 19567, 1957)]
    customer = await shop.customer(207119551)
    assert await shop.balance(customer.id) == (5870, 0)


async def test_shopifys_guest_order_in_euros(shop: Shop) -> None:
    """Three pairs of boots at 74.99, no customer: nothing, and the reason is kept."""
    await shop.publish(rate(10))
    await converge(shop, sample("order_eur_api_channel"))
    found = await orders.by_shopify_id(shop.scope(), 1073459976)
    assert found is not None
    assert (found.deserved, found.reason, found.currency) == (0, "NO_CUSTOMER", "EUR")


async def test_what_is_kept_of_an_order_is_nothing_personal() -> None:
    text = json.dumps(orders.keep(sample("order_usd_discount_tax_partial_refund")))
    for secret in ("bob.norman", "Norman", "Chestnut", "Louisville", "+1", "+55", "browser_ip", "note"):
        assert secret not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": [line(price="ten")]},
        {"line_items": [line(price="-5.00")]},
        {"line_items": [line(price="1.001")]},
        {"line_items": [line(quantity=-1)]},
        {"line_items": [line(price="999999999999999999999.00")]},
        {"line_items": "none"},
        {"currency": "XXY"},
        {"created_at": "yesterday"},
        {"updated_at": "2026-03-02T12:00:00"},
        {"id": "one"},
        {"customer": {"id": None}},
    ],
)
async def test_an_order_that_cannot_be_read_is_refused_and_books_nothing(shop: Shop, changes: dict[str, Any]) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    with pytest.raises(DomainError) as refusal:
        await converge(shop, order(customer=customer.shopify_id) | changes)
    assert isinstance(refusal.value, InvalidOrder) or refusal.value.code in ("CURRENCY_UNKNOWN", "AMOUNT_INVALID")
    assert await shop.balance(customer.id) == (0, 0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_and_number_of_deliveries_ends_alike(application: object, data: st.DataObject) -> None:
    shop = await open_shop(application)
    await shop.publish(rate(7, hold_days=data.draw(st.sampled_from([0, 30]))))
    customer, other = await shop.customer(), await shop.customer()
    base = order(customer=customer.shopify_id)
    states = [
        base
        | {
            "updated_at": (NOON + timedelta(seconds=data.draw(st.integers(0, 3)))).isoformat(),
            "financial_status": data.draw(st.sampled_from(["pending", "authorized", "paid"])),
            "customer": data.draw(st.sampled_from([None, {"id": customer.shopify_id}, {"id": other.shopify_id}])),
            "line_items": [base["line_items"][0] | {"price": data.draw(st.sampled_from(["10.00", "19.99", "0.01"]))}],
        }
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    shop.at = NOON + timedelta(days=1)
    endings = set[tuple[Any, ...]]()
    for run in range(2):
        sent = data.draw(st.permutations(states + states[:1]))
        numbered = [state | {"id": base["id"] + 10_000_000 * (run + 1)} for state in sent]
        before = [await shop.balance(one.id) for one in (customer, other)]
        await converge(shop, *numbered)
        after = [await shop.balance(one.id) for one in (customer, other)]
        moved = tuple((a[0] - b[0], a[1] - b[1]) for a, b in zip(after, before, strict=True))
        found = await orders.by_shopify_id(shop.scope(), base["id"] + 10_000_000 * (run + 1))
        assert found is not None
        endings.add((moved, found.deserved, found.customer_id, found.paid_at, found.matures_at))
        assert sum(one[0] + one[1] for one in moved) == found.deserved
    assert len(endings) == 1


DOUBLE_FIRST = {
    "multipliers": {
        "items": [{"id": "welcome", "source": "campaign", "factor": {"num": 2, "den": 1}, "first_purchase_within_hours": 24}]
    }
}


@pytest.mark.parametrize("together", [True, False])
async def test_the_first_purchase_within_a_day_of_joining_counts_double(shop: Shop, together: bool) -> None:
    await shop.publish(rate(10, earning=DOUBLE_FIRST))
    person = {
        "id": 77,
        "created_at": (NOON - timedelta(hours=1)).isoformat(),
        "updated_at": NOON.isoformat(),
    }
    await shop.deliver("customers/create", person)
    await shop.work()
    payloads = [order(customer=77), order(customer=77, created_at=(NOON + timedelta(minutes=1)).isoformat())]
    texts = [json.dumps(orders.keep(payload)) for payload in payloads]
    arrivals = [(orders.parse(text), text) for text in texts]
    for batch in [arrivals[::-1]] if together else [arrivals[:1], arrivals[1:]]:
        async with db.transaction(shop.scope()):
            await orders.converge(shop.scope(), batch)
    found = [await orders.by_shopify_id(shop.scope(), payload["id"]) for payload in payloads]
    assert [one and one.deserved for one in found] == [2000, 1000]
    # What was true when an order was first seen stays true for it.
    later = (NOON + timedelta(hours=2)).isoformat()
    await converge(shop, payloads[0] | {"updated_at": later})
    again = await orders.by_shopify_id(shop.scope(), payloads[0]["id"])
    assert again is not None
    assert again.deserved == 2000


async def test_a_daily_cap_counts_all_orders_of_the_day(shop: Shop) -> None:
    await shop.publish(rate(10, earning={"caps": {"per_day": 1500}}))
    customer = await shop.customer()
    payloads = [
        order(customer=customer.shopify_id, created_at=(NOON + timedelta(minutes=index)).isoformat()) for index in range(3)
    ]
    texts = [json.dumps(orders.keep(payload)) for payload in payloads[1:]]
    await converge(shop, payloads[0])
    async with db.transaction(shop.scope()):
        await orders.converge(shop.scope(), [(orders.parse(text), text) for text in texts])
    found = [await orders.by_shopify_id(shop.scope(), payload["id"]) for payload in payloads]
    assert [(one and one.deserved, one and one.reason) for one in found] == [(1000, None), (500, None), (0, "CAPPED_TO_ZERO")]
    tomorrow = (NOON + timedelta(days=1)).isoformat()
    await converge(shop, order(customer=customer.shopify_id, created_at=tomorrow, updated_at=tomorrow))
    shop.at = NOON + timedelta(days=1)
    assert sum(await shop.balance(customer.id)) == 2500


async def test_a_program_that_asks_for_what_orders_do_not_tell_is_not_published(shop: Shop) -> None:
    definition = rate(10, earning={"exclusions": {"tags": ["sale"]}})
    with pytest.raises(DomainError) as refusal:
        await shop.publish(definition)
    assert refusal.value.code is Code.PROGRAM_INVALID
