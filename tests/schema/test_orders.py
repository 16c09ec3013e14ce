"""Orders and carts: what they earn, why, and why not."""

import json
from typing import Any

import pytest

from domain.programs import Definition
from tests.schema.rows import errors
from tests.shop import NOON, Shop, line, open_shop, order, rate

ORDER = """query ($id: ID!) {
    order(shopifyId: $id) {
        id shopifyId customerId currency createdAt paidAt maturesAt programVersion points pointsConfirmed pointsPending reason
        trace { points base reason json }
    }
}"""
SIMULATE = """query ($order: SimulatedOrderInput!, $draft: Boolean!) {
    simulateOrder(order: $order, draft: $draft) {
        programVersion currency reason base amounts { lineId reason amount effect }
        rules { id kind fired whyNot base points per exact } factor exact rounding remainder points
        lines { lineId quantity base factor exact points } json
    }
}"""


async def booked(shop: Shop, payload: dict[str, Any]) -> dict[str, Any]:
    await shop.deliver("orders/create", payload)
    await shop.work()
    return (await shop.data(ORDER, id=str(payload["id"])))["order"]


async def simulated(shop: Shop, given: dict[str, Any], *, draft: bool = False) -> dict[str, Any]:
    return (await shop.data(SIMULATE, order={"currency": "USD", "lines": []} | given, draft=draft))["simulateOrder"]


async def refused(shop: Shop, given: dict[str, Any]) -> tuple[str, str, Any]:
    answer = await shop.ask(SIMULATE, order={"currency": "USD", "lines": []} | given, draft=False)
    [error] = errors(answer)
    assert answer.get("data") in (None, {"simulateOrder": None})
    return error


async def test_a_paid_order_shows_all_that_was_booked(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer(77)
    shown = await booked(shop, order(450789469, customer=77))
    trace = shown.pop("trace")
    assert shown == {
        "id": "gid://loyalnest/Order/450789469",
        "shopifyId": "gid://shopify/Order/450789469",
        "customerId": f"gid://loyalnest/Customer/{customer.id}",
        "currency": "USD",
        "createdAt": NOON.isoformat(),
        "paidAt": NOON.isoformat(),
        "maturesAt": None,
        "programVersion": 1,
        "points": 1000,
        "pointsConfirmed": 1000,
        "pointsPending": 0,
        "reason": None,
    }
    assert (trace["points"], trace["base"], trace["reason"]) == (1000, "100.00", None)
    assert json.loads(trace["json"])["points"] == 1000
    for identifier in ("450789469", "gid://shopify/Order/450789469"):
        assert (await shop.data("query ($id: ID!) { order(shopifyId: $id) { points } }", id=identifier))["order"] == {
            "points": 1000
        }
    node = '{ node(id: "gid://loyalnest/Order/450789469") { ... on Order { points } } }'
    assert await shop.data(node) == {"node": {"points": 1000}}


@pytest.mark.parametrize(
    ("changes", "definition", "reason"),
    [
        ({"test": True}, rate(10), "TEST_ORDER"),
        ({"customer": None}, rate(10), "GUEST_UNCLAIMED"),
        ({"customer": None, "email": None}, rate(10), "NO_CUSTOMER"),
        ({}, rate(10, enabled=False), "PROGRAM_OFF"),
        ({}, None, "NO_PROGRAM"),
        ({"line_items": [line(gift_card=True)]}, rate(10), "NOTHING_ELIGIBLE"),
    ],
)
async def test_an_order_without_points_says_why(
    shop: Shop, changes: dict[str, Any], definition: Definition | None, reason: str
) -> None:
    if definition is not None:
        await shop.publish(definition)
    payload = order(5, customer=77) | changes
    shown = await booked(shop, payload)
    assert (shown["points"], shown["pointsConfirmed"], shown["pointsPending"], shown["reason"]) == (0, 0, 0, reason)
    assert (shown["trace"] is None) == (definition is None)
    assert (shown["customerId"] is None) == (payload["customer"] is None)


@pytest.mark.parametrize("identifier", ["1", "", "x", "-5", "gid://shopify/Customer/5", "9" * 30, "gid://loyalnest/Order/5"])
async def test_an_order_that_is_not_known(shop: Shop, identifier: str) -> None:
    assert await shop.data(ORDER, id=identifier) == {"order": None}


async def test_orders_are_for_staff_and_partners(shop: Shop) -> None:
    await shop.publish(rate(10))
    await booked(shop, order(5, customer=77))
    customer, other = await shop.customer(77), await shop.customer(78)
    document = '{ order(shopifyId: "5") { points } }'
    assert await shop.data(document, token=await shop.partner_key()) == {"order": {"points": 1000}}
    answer = await shop.ask(document, token=shop.customer_token(customer.id))
    assert errors(answer) == [("FORBIDDEN", "This credential does not open this field.", ["order"])]
    node = '{ node(id: "gid://loyalnest/Order/5") { ... on Order { points } } }'
    assert await shop.data(node, token=shop.customer_token(customer.id)) == {"node": {"points": 1000}}
    assert await shop.data(node, token=shop.customer_token(other.id)) == {"node": None}


def alike(trace: str) -> dict[str, Any]:
    """A trace without what a cart cannot know: the instant, and the line's ids."""
    found = json.loads(trace)
    text = json.dumps({key: value for key, value in found.items() if key != "at"})
    return json.loads(text)


@pytest.mark.parametrize("taxes_included", [True, False])
async def test_a_cart_is_explained_as_its_order_will_be(shop: Shop, taxes_included: bool) -> None:
    earning = {"base": {"shipping": True, "tax": True, "tips": True}, "rounding": "half_up"}
    await shop.publish(rate(3, per=2, earning=earning))
    payload = order(
        5,
        customer=77,
        taxes_included=taxes_included,
        total_tip_received="1.11",
        shipping_lines=[{"price": "4.90", "tax_lines": [{"price": "0.40"}], "discount_allocations": []}],
        line_items=[
            line(id=1, price="19.99", quantity=3, tax_lines=[{"price": "4.80"}], discount_allocations=[{"amount": "6.66"}]),
            line(id=2, price="25.00", gift_card=True),
        ],
    )
    booked_order = await booked(shop, payload)
    cart = {
        "taxesIncluded": taxes_included,
        "tip": "1.11",
        "shipping": "4.90",
        "shippingTax": "0.40",
        "lines": [
            {"id": "1", "productId": "632910392", "unitPrice": "19.99", "quantity": 3, "tax": "4.80", "discount": "6.66"},
            {"id": "2", "productId": "632910392", "unitPrice": "25.00", "giftCard": True},
        ],
    }
    trace = await simulated(shop, cart)
    assert trace["points"] == booked_order["points"] > 0
    assert alike(trace["json"]) == alike(booked_order["trace"]["json"])


async def test_a_cart_shows_every_number(shop: Shop) -> None:
    await shop.publish(rate(10, per=3))
    trace = await simulated(shop, {"lines": [{"unitPrice": "10.00", "quantity": 2, "discount": "1.00"}], "shipping": "5.00"})
    trace.pop("json")
    assert trace == {
        "programVersion": 1,
        "currency": "USD",
        "reason": None,
        "base": "19.00",
        "amounts": [
            {"lineId": "1", "reason": "PRICE", "amount": "20.00", "effect": "20.00"},
            {"lineId": "1", "reason": "DISCOUNT", "amount": "1.00", "effect": "-1.00"},
            {"lineId": "shipping", "reason": "SHIPPING", "amount": "5.00", "effect": "0.00"},
        ],
        "rules": [
            {
                "id": "purchase",
                "kind": "per_currency_unit",
                "fired": True,
                "whyNot": None,
                "base": "19.00",
                "points": 10,
                "per": 3,
                "exact": "190/3",
            }
        ],
        "factor": "1/1",
        "exact": "190/3",
        "rounding": "floor",
        "remainder": "1/3",
        "points": 63,
        "lines": [{"lineId": "1", "quantity": 2, "base": "19.00", "factor": "1/1", "exact": "190/3", "points": 63}],
    }


@pytest.mark.parametrize(
    ("currency", "price", "points", "base"),
    [("JPY", "1200", 120, "1200"), ("JPY", "9", 0, "9"), ("KWD", "12.345", 1, "12.345"), ("BHD", "99.999", 9, "99.999")],
)
async def test_currencies_of_no_and_of_three_decimals(
    application: object, currency: str, price: str, points: int, base: str
) -> None:
    shop = await open_shop(application, currency)
    await shop.publish(rate(1, per=10))
    trace = await simulated(shop, {"currency": currency, "lines": [{"unitPrice": price}]})
    assert (trace["points"], trace["base"], trace["currency"]) == (points, base, currency)
    payload = order(5, customer=77, currency=currency, price=price)
    assert (await booked(shop, payload))["points"] == points


async def test_a_cart_that_earns_nothing_says_why(shop: Shop) -> None:
    lines = [{"unitPrice": "10.00"}]
    assert await simulated(shop, {"lines": lines}) is None
    await shop.publish(rate(1))
    assert (await simulated(shop, {"lines": lines, "guest": True}))["reason"] == "NO_CUSTOMER"
    assert (await simulated(shop, {"lines": lines, "test": True}))["reason"] == "TEST_ORDER"
    assert (await simulated(shop, {"lines": []}))["reason"] == "NOTHING_ELIGIBLE"


@pytest.mark.parametrize("currency", ["ZZZ", "AAA", "DEM"])
async def test_a_currency_that_is_none(shop: Shop, currency: str) -> None:
    await shop.publish(rate(1))
    code, message, path = await refused(shop, {"currency": currency})
    assert (code, path) == ("CURRENCY_UNKNOWN", ["simulateOrder"])
    assert message == "currency: must be a currency code of ISO 4217, such as USD"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"unitPrice": "1", "productId": "x"}, "`productId` is Shopify's id of a Product."),
        ({"unitPrice": "1", "collectionIds": ["gid://shopify/Product/1"]}, "`collectionIds` is Shopify's id of a Collection."),
    ],
)
async def test_a_cart_with_ids_that_are_none(shop: Shop, line: dict[str, Any], message: str) -> None:
    await shop.publish(rate(1))
    assert await refused(shop, {"lines": [line]}) == ("BAD_INPUT", message, ["simulateOrder"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lines": [{"unitPrice": "-1.00"}]}, "ORDER_INVALID"),
        ({"lines": [{"unitPrice": "1.00", "quantity": -1}]}, "ORDER_INVALID"),
        ({"lines": [{"unitPrice": "1.00", "discount": "-1.00"}]}, "ORDER_INVALID"),
        ({"lines": [{"unitPrice": "1.00", "tax": "-1.00"}]}, "ORDER_INVALID"),
        ({"lines": [{"unitPrice": "1.001"}]}, "AMOUNT_INVALID"),
        ({"lines": [{"unitPrice": "999999999999999.99", "quantity": 2147483647}]}, "ORDER_INVALID"),
        ({"shipping": "-1.00"}, "ORDER_INVALID"),
        ({"tip": "-0.01"}, "ORDER_INVALID"),
        ({"currency": "JPY", "lines": [{"unitPrice": "1.5"}]}, "AMOUNT_INVALID"),
        ({"lines": [{"unitPrice": "1", "productId": "x"}]}, "BAD_INPUT"),
        ({"lines": [{"unitPrice": "1", "collectionIds": ["gid://shopify/Product/1"]}]}, "BAD_INPUT"),
        ({"lines": [{"id": "same", "unitPrice": "1"}, {"id": "same", "unitPrice": "1"}]}, "ORDER_INVALID"),
    ],
)
async def test_a_cart_that_cannot_be(shop: Shop, changes: dict[str, Any], code: str) -> None:
    await shop.publish(rate(1))
    found, message, path = await refused(shop, changes)
    assert (found, path) == (code, ["simulateOrder"])
    assert message


async def test_the_draft_is_previewed_by_staff_alone(shop: Shop) -> None:
    await shop.publish(rate(1))
    update = "mutation { programDraftUpdate(input: {earningRate: {points: 50}}) { userErrors { code } } }"
    assert await shop.data(update) == {"programDraftUpdate": {"userErrors": []}}
    cart = {"lines": [{"unitPrice": "10.00"}]}
    assert (await simulated(shop, cart))["points"] == 10
    previewed = await simulated(shop, cart, draft=True)
    assert (previewed["points"], previewed["programVersion"]) == (500, 0)
    answer = await shop.ask(SIMULATE, token=await shop.partner_key(), order={"currency": "USD", "lines": []}, draft=True)
    assert [code for code, *_ in errors(answer)] == ["DRAFT_MISSING"]


WELCOME = {"id": "welcome", "source": "campaign", "factor": {"num": 2, "den": 1}, "first_purchase_within_hours": 87_600}


async def test_a_cart_knows_its_customers_history(shop: Shop, other_shop: Shop) -> None:
    await shop.publish(rate(10, earning={"multipliers": {"items": [WELCOME]}}))
    for number in (501, 502):
        person = {"id": number, "created_at": NOON.isoformat(), "updated_at": NOON.isoformat()}
        await shop.deliver("customers/create", person)
    await shop.deliver("orders/create", order(customer=501))
    await shop.work()
    regular, newcomer, foreign = await shop.customer(501), await shop.customer(502), await other_shop.customer()
    query = "query($order: SimulatedOrderInput!) { simulateOrder(order: $order) { points } }"
    cart: dict[str, Any] = {"currency": "USD", "lines": [{"unitPrice": "100.00"}]}
    for customer, expected in ((regular, 1000), (newcomer, 2000)):
        own = shop.customer_token(customer.id)
        named = cart | {"customerId": f"gid://loyalnest/Customer/{customer.id}"}
        assert await shop.data(query, order=named) == {"simulateOrder": {"points": expected}}
        assert await shop.data(query, order=cart, token=own) == {"simulateOrder": {"points": expected}}
    assert await shop.data(query, order=cart) == {"simulateOrder": {"points": 1000}}
    answer = await shop.ask(query, order=cart | {"customerId": f"gid://loyalnest/Customer/{foreign.id}"})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"]
