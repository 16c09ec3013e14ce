"""How the doctor reads Shopify's orders: REST's and a bulk query's, and what is neither."""

import json
import random
from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from domain import doctor, orders, rewards
from domain.doctor import State, Unreadable
from domain.doctor.bulk import as_rest
from domain.doctor.rules import Cause, Kept, drift_of
from tests.domain.test_orders import sample
from tests.house.source import ROOT
from tests.shop import line, order


def money(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount.removesuffix("0"), "currencyCode": "USD"}}


def in_bulk(rest: dict[str, Any]) -> list[dict[str, Any]]:
    """What a bulk query leaves of REST's order: itself, and its children as lines of their own."""
    gid = f"gid://shopify/Order/{rest['id']}"
    head = {
        "id": gid,
        "createdAt": rest["created_at"],
        "updatedAt": rest["updated_at"],
        "processedAt": rest["created_at"],
        "cancelledAt": rest.get("cancelled_at"),
        "test": rest["test"],
        "taxesIncluded": rest["taxes_included"],
        "sourceName": "web",
        "tags": ["summer", "staff party"],
        "paymentGatewayNames": ["bogus"],
        "currencyCode": rest["currency"],
        "presentmentCurrencyCode": rest["currency"],
        "displayFinancialStatus": rest["financial_status"].upper(),
        "discountCodes": [one["code"] for one in rest.get("discount_codes", [])],
        "customAttributes": [{"key": one["name"], "value": one["value"]} for one in rest.get("note_attributes", [])],
        "customer": rest["customer"] and {"id": f"gid://shopify/Customer/{rest['customer']['id']}"},
        "shippingAddress": {"countryCodeV2": "DE"},
        "purchasingEntity": {"company": {"id": "gid://shopify/Company/3"}} if rest.get("company") else {},
        "totalPriceSet": {
            "shopMoney": {"amount": "89.4", "currencyCode": "USD"},
            "presentmentMoney": {"amount": "80.0", "currencyCode": "EUR"},
        },
        "totalTipReceivedSet": money(rest["total_tip_received"]),
        "refunds": [{"id": f"gid://shopify/Refund/{one['id']}", "createdAt": None} for one in rest.get("refunds", [])],
    }
    children = [
        {
            "id": f"gid://shopify/LineItem/{one['id']}",
            "quantity": one["quantity"],
            "currentQuantity": one.get("current_quantity", one["quantity"]),
            "isGiftCard": one["gift_card"],
            "product": one["product_id"] and {"id": f"gid://shopify/Product/{one['product_id']}"},
            "variant": None,
            "originalUnitPriceSet": money(one["price"]),
            "taxLines": [{"priceSet": money(tax["price"])} for tax in one["tax_lines"]],
            "discountAllocations": [
                {"allocatedAmountSet": money(part["amount"]), "discountApplication": applied(rest, part)}
                for part in one["discount_allocations"]
            ],
            "__parentId": gid,
        }
        for one in rest["line_items"]
    ]
    shipping = [
        {
            "id": f"gid://shopify/ShippingLine/{one['id']}",
            "originalPriceSet": money(one["price"]),
            "taxLines": [],
            "discountAllocations": [],
            "__parentId": gid,
        }
        for one in rest["shipping_lines"]
    ]
    return [head, *children, *shipping]


def applied(rest: dict[str, Any], allocation: dict[str, Any]) -> dict[str, Any]:
    """The discount that an allocation is of, as the Admin API names it."""
    index = allocation.get("discount_application_index", 0)
    found: dict[str, Any] = rest["discount_applications"][index] if "discount_applications" in rest else {}
    return {"index": index} | {name: found[name] for name in ("title", "code") if name in found}


def lines(*objects: Any) -> list[bytes]:
    return [json.dumps(one).encode() for one in objects]


_DISCOUNTED = {"discount_allocations": [{"amount": "10.00"}], "tax_lines": [{"price": "3.50"}]}
FULL = order(
    1,
    customer=7,
    line_items=[
        line(price="40.00", quantity=2, current_quantity=1, **_DISCOUNTED),
        line(price="9.99", current_quantity=1, gift_card=True, product_id=None),
    ],
    shipping_lines=[{"id": 5, "price": "5.90", "discount_allocations": [], "tax_lines": []}],
    shipping_address={"country_code": "DE"},
    total_tip_received="1.50",
    total_price_set={
        "shop_money": {"amount": "89.40", "currency_code": "USD"},
        "presentment_money": {"amount": "80.00", "currency_code": "EUR"},
    },
    source_name="web",
    company={"id": 3},
)


def test_a_bulk_query_gives_the_order_that_rest_gives() -> None:
    [from_rest] = doctor.states(lines(FULL))
    [from_bulk] = doctor.states(lines(*in_bulk(FULL)))
    assert isinstance(from_rest, State)
    assert isinstance(from_bulk, State)
    assert from_bulk.snapshot == from_rest.snapshot
    assert (from_rest.is_from_bulk, from_bulk.is_from_bulk, from_bulk.lacks_refunds) == (False, True, False)


def test_a_bulk_query_gives_what_rewards_need() -> None:
    attribute = {"name": "_loyalnest_reservation", "value": "01a1fd6a-bbbe-721e-9d5e-52dc1e6d30f6"}
    given = FULL | {
        "discount_codes": [{"code": "LN-ABC"}],
        "note_attributes": [{"name": "gift", "value": "for Ann"}, attribute],
        "discount_applications": [{"type": "manual"}, {"type": "discount_code", "code": "LN-ABC"}, AUTOMATIC],
        "line_items": [
            line(discount_allocations=[{"amount": "1.00", "discount_application_index": 1}]),
            line(discount_allocations=[{"amount": "2.00", "discount_application_index": 2}]),
        ],
    }
    [state] = doctor.states(lines(*in_bulk(given)))
    assert isinstance(state, State)
    kept = json.loads(state.text)
    assert (kept["discount_codes"], kept["note_attributes"]) == ([{"code": "LN-ABC"}], [attribute])
    # The first discount took nothing off a line, so that the line's own are told alone.
    assert kept["discount_applications"] == [{"type": "discount_code", "code": "LN-ABC"}, AUTOMATIC]
    assert [one["discount_allocations"] for one in kept["line_items"]] == [
        [{"amount": "1.00", "discount_application_index": 0}],
        [{"amount": "2.00", "discount_application_index": 1}],
    ]


AUTOMATIC = {"type": "automatic", "title": "Pay with points"}


def test_many_orders_in_one_file_each_with_its_line() -> None:
    second = FULL | {"id": 2}
    file = [*lines(FULL), b"  \n", *lines({"order": second}), *lines(*in_bulk(FULL | {"id": 3})), *lines(*in_bulk(second), FULL)]
    found = list(doctor.states(file))
    assert [(one.line, one.snapshot.id) for one in found if isinstance(one, State)] == [(1, 1), (3, 2), (4, 3), (8, 2), (12, 1)]


def test_the_samples_of_shopify_are_read_as_their_webhooks_are() -> None:
    for name in ("order_cancelled", "order_eur_api_channel", "order_usd_discount_tax_partial_refund"):
        payload = sample(name)
        [state] = doctor.states(lines(payload))
        assert isinstance(state, State)
        assert json.loads(state.text) == orders.keep(payload) | rewards.keep(payload)
        assert not state.lacks_refunds


def without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


HEAD, *CHILDREN = in_bulk(FULL)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([b"canary"], "it is not JSON"),
        ([b'{"id": "\xff"}'], "it is not JSON"),
        ([b"[" * 100_000], "it is not JSON"),
        ([b"[1]"], "it is not a JSON object"),
        (lines(order(1) | {"line_items": None}), "Expected `array`, got `null` - at `$.line_items`"),
        (lines({"order": "canary"}), "Object missing required field `id`"),
        (lines(CHILDREN[0]), "it belongs to no order before it: run the bulk query with groupObjects: true"),
        (lines(without(HEAD, "test")), "Object missing required field `test`"),
        (lines(HEAD | {"id": "gid://shopify/Customer/1"}), "This is no id of the type Order."),
        (lines(HEAD | {"id": "canary"}), "This is no id of the type Order."),
        (lines(HEAD | {"totalTipReceivedSet": money("1.001")}), "must have at most 2 decimals"),
        (lines(HEAD | {"currencyCode": "XXY"}), "is not a currency of ISO 4217"),
        (lines(HEAD, without(CHILDREN[0], "isGiftCard")), "Object missing required field `isGiftCard` - at `$.lineItems[0]`"),
    ],
)
def test_what_cannot_be_read_is_told_and_passed_over(given: list[bytes], why: str) -> None:
    bad, good = doctor.states([*given, *lines(order(2))])
    assert isinstance(bad, Unreadable)
    assert bad.line == 1
    assert bad.why == why or why.startswith(("must", "is not"))
    assert "canary" not in bad.why
    assert isinstance(good, State)
    assert (good.snapshot.id, good.line) == (2, len(given) + 1)


def test_a_child_of_another_order_is_not_taken_for_ones_own() -> None:
    other = in_bulk(FULL | {"id": 2})
    found = list(doctor.states(lines(HEAD, *CHILDREN, *other, CHILDREN[0], HEAD | {"id": "gid://shopify/Order/3"})))
    assert [type(one).__name__ for one in found] == ["State", "Unreadable", "State", "State"]
    assert [len(one.snapshot.line_items) for one in found if isinstance(one, State)] == [2, 2, 0]


def test_a_refunded_order_of_a_bulk_query_is_not_booked_from_it() -> None:
    [state] = doctor.states(lines(*in_bulk(FULL | {"refunds": [{"id": 9}]})))
    assert isinstance(state, State)
    assert state.lacks_refunds
    drift = drift_of(state, None)
    assert drift is not None
    assert (drift.cause, drift.why) == (
        Cause.INCOMPLETE,
        "missing, and refunded: a bulk query does not tell the lines of a refund",
    )
    assert drift_of(state, Kept(state.snapshot, state.text, (0, 0), (0, 0))) is None


def test_of_one_second_a_bulk_query_is_never_newer_than_a_webhook() -> None:
    [webhook], [bulk] = doctor.states(lines(FULL)), doctor.states(lines(*in_bulk(FULL)))
    [paid] = doctor.states(lines(*in_bulk(FULL | {"financial_status": "refunded"})))
    assert isinstance(webhook, State)
    assert isinstance(bulk, State)
    assert isinstance(paid, State)
    for text in ("", webhook.text, "~"):
        assert drift_of(bulk, Kept(webhook.snapshot, text, (0, 0), (0, 0))) is None
    drift = drift_of(paid, Kept(webhook.snapshot, "~", (0, 0), (0, 0)))
    assert drift is not None
    assert drift.cause is Cause.OLDER
    assert drift.why == "the ledger has that of 2026-03-02 12:00:00Z; changed since: financial_status"


def test_the_query_asks_for_what_is_read() -> None:
    """And for nothing besides; that Shopify's schema has it all is seen in tests/integrations/test_operations.py."""
    document = parse((ROOT / "domain" / "doctor" / "bulk_orders.graphql").read_text())
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)

    def asked(node: Any) -> dict[str, Any]:
        fields = {one.name.value: one for one in node.selection_set.selections if isinstance(one, FieldNode)}
        return {name: asked(one) if one.selection_set else True for name, one in fields.items()}

    node = asked(operation)["orders"]["edges"]["node"]
    inner = {name: node.pop(name)["edges"]["node"] for name in ("lineItems", "shippingLines")}
    assert set(node) == set(HEAD)
    assert set(inner["lineItems"]) == set(CHILDREN[0]) - {"__parentId"}
    assert set(inner["shippingLines"]) == set(CHILDREN[2]) - {"__parentId"}
    # Each is needed: without it the order is not read at all.
    for name in set(HEAD) - {"__parentId"}:
        with pytest.raises(orders.InvalidOrder):
            as_rest(without(HEAD, name))


def test_numbers_are_sorted_however_many() -> None:
    numbers = [random.Random(7).randrange(-(2**63), 2**63) for _ in range(1_000)] + [5, 5]
    for in_memory_max in (1, 7, 1_002, 5_000):
        gathered = doctor.SortedNumbers(in_memory_max)
        for number in numbers:
            gathered.add(number)
        assert list(gathered) == sorted(numbers)
        assert list(gathered) == sorted(numbers)
