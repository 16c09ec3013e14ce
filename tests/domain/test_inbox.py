"""What is kept of a delivery, what it waits for, and what is said of one that fails: never a part of it."""

import json
from typing import Any

import pytest

from domain import inbox
from domain.errors import DomainError
from domain.inbox.kept import WANTED
from domain.inbox.kinds import PARENTS, TOPICS, Kind
from domain.inbox.rules import Failure, failure_of
from tests.domain.test_orders import sample
from tests.shop import Shop, order, rate

CANARY = "canary"
MERGE = {
    "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/7",
    "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/8",
    "admin_graphql_api_job_id": None,
    "status": "completed",
}


def stored(topic: str, payload: dict[str, Any]) -> inbox.Delivery:
    return inbox.delivery("id", topic, json.dumps(payload).encode(), None)


@pytest.mark.parametrize(
    ("topic", "payload", "parent"),
    [
        ("orders/create", order(450789469), None),
        ("refunds/create", {"id": 1, "order_id": 450789469}, "order/450789469"),
        ("order_transactions/create", {"id": 1, "order_id": 450789469}, "order/450789469"),
        ("disputes/create", {"id": 1, "order_id": 450789469}, "order/450789469"),
        ("disputes/update", {"id": 1, "order_id": 450789469}, "order/450789469"),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 450789469}}, "order/450789469"),
        ("orders/delete", {"id": 450789469}, "order/450789469"),
        ("customers/merge", MERGE, "customer/8"),
        ("customers/delete", {"id": 8}, None),
        ("shop/redact", {"shop_id": 8}, None),
        # What does not say what it speaks of is found out when it is worked off, not at the door.
        ("refunds/create", {"id": 1}, None),
        ("refunds/create", {"id": 1, "order_id": None}, None),
        ("refunds/create", {"id": 1, "order_id": True}, None),
        ("refunds/create", {"id": 1, "order_id": -1}, None),
        ("refunds/create", {"id": 1, "order_id": 2**63}, None),
        ("refunds/create", {"id": 1, "order_id": 1.5}, None),
        ("refunds/create", {"id": 1, "order_id": {"id": 1}}, None),
        ("orders/edited", {"order_edit": None}, None),
        ("orders/edited", {"order_edit": [{"order_id": 1}]}, None),
        ("customers/merge", MERGE | {"admin_graphql_api_customer_deleted_id": "gid://shopify/Order/8"}, None),
        ("customers/merge", MERGE | {"admin_graphql_api_customer_deleted_id": "8 or 1=1"}, None),
    ],
)
def test_what_a_delivery_waits_for(topic: str, payload: dict[str, Any], parent: str | None) -> None:
    assert stored(topic, payload).parent == parent


def leaves(value: Any) -> Any:
    """The same body with a word in every text that is neither an id, an amount nor an instant."""
    if isinstance(value, dict):
        return {name: leaves(inner) for name, inner in value.items()} | {"note": CANARY, "email": CANARY, "name": CANARY}
    if isinstance(value, list):
        return [leaves(inner) for inner in value]
    return value


def test_every_kind_says_what_it_keeps() -> None:
    assert set(WANTED) | {Kind.CUSTOMERS} == set(Kind) == set(TOPICS.values())
    assert set(PARENTS) < set(Kind)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_nothing_personal_passes_the_door(topic: str) -> None:
    body = {
        "id": 1,
        "order_id": 2,
        "customer": {"id": 3, "email": CANARY, "phone": CANARY},
        "order_edit": {"id": 4, "order_id": 2, "staff_note": CANARY, "line_items": {"additions": [{"id": 5, "delta": 1}]}},
        "refund_line_items": [{"id": 6, "line_item": {"title": CANARY}, "quantity": 1}],
        "shipping_address": CANARY,
        "orders_to_redact": [2],
    }
    delivery = stored(topic, leaves(body))
    assert CANARY not in delivery.payload
    assert (delivery.profile is not None) == topic.startswith(("customers/create", "customers/update"))


def test_a_refund_keeps_what_its_order_would_keep_of_it() -> None:
    [refund] = sample("order_usd_discount_tax_partial_refund")["refunds"]
    body = refund | {"order_id": 450789469}
    in_order = json.loads(stored("orders/updated", order(refunds=[refund])).payload)["refunds"]
    assert json.loads(stored("refunds/create", body).payload) == in_order[0] | {"order_id": 450789469}
    assert in_order[0]["refund_line_items"] != []


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"id": CANARY}, Failure("ORDER_INVALID", "Expected `int`, got `str`", "id")),
        ({"created_at": CANARY}, Failure("ORDER_INVALID", "Invalid RFC3339 encoded datetime", "created_at")),
        # A text in the place of an object is not kept at all.
        ({"line_items": CANARY}, Failure("ORDER_INVALID", "Expected `array`, got `null`", "line_items")),
        (
            {"line_items": [{"id": 1, "quantity": 1, "price": {CANARY: CANARY}}]},
            Failure("ORDER_INVALID", "Expected `int | float | str`, got `object`", "line_items[0].price"),
        ),
        ({"line_items": [{"id": 1}]}, Failure("ORDER_INVALID", "Object missing required field `price`", "line_items[0]")),
        (
            {"updated_at": "2026-03-02T12:00:00"},
            Failure("ORDER_INVALID", "updated_at needs a time zone, and a year from 1900 to 2999", "updated_at"),
        ),
        ({"currency": CANARY}, Failure("CURRENCY_UNKNOWN", "The core refuses it: CURRENCY_UNKNOWN.", "currency")),
        ({"total_tip_received": CANARY}, Failure("ORDER_INVALID", "The core refuses it: AMOUNT_INVALID.", "tip")),
        (
            {"line_items": [{"id": 1, "quantity": 1, "price": f"1{CANARY}"}]},
            Failure("ORDER_INVALID", "The core refuses it: AMOUNT_INVALID.", "lines[0].unit_price"),
        ),
    ],
)
async def test_a_failure_says_where_and_quotes_nothing(shop: Shop, changes: dict[str, Any], failure: Failure) -> None:
    await shop.publish(rate(1))
    await shop.deliver("orders/create", order(customer=1, **changes))
    await shop.work()
    [row] = await inbox.page(shop.scope(), 2, None)
    assert (row.status, row.attempts) == ("failed", 1)
    assert Failure(str(row.failure), str(row.failure_message), row.failure_path) == failure
    assert CANARY not in repr(row)


def test_what_is_not_a_refusal_is_named_and_not_told() -> None:
    message = "A fault of ours. It is in the logs, under the id of the request."
    assert failure_of(RuntimeError(CANARY)) == Failure("RuntimeError", message, None)
    assert failure_of(DomainError("Say why.", field=("a", "b"))) == Failure("BAD_INPUT", "Say why.", "a.b")
