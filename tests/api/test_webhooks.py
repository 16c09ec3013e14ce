"""Shopify's deliveries at the door: stored once and answered, or refused, and never told to the logs."""

import asyncio
import json
import tomllib
from typing import Any

import pytest

from api.webhooks import BODY_MAX, WEBHOOK_ID_MAX
from domain import db, inbox
from tests.conftest import PREVIOUS_SECRET, ROOT
from tests.shop import NOON, Shop, order

CANARY = "canary.person@example.com"
TOPICS = (
    "orders/create",
    "orders/updated",
    "orders/paid",
    "orders/cancelled",
    "orders/fulfilled",
    "orders/partially_fulfilled",
    "orders/edited",
    "orders/delete",
    "order_transactions/create",
    "refunds/create",
    "disputes/create",
    "disputes/update",
    "customers/create",
    "customers/update",
    "customers/disable",
    "customers/enable",
    "customers/delete",
    "customers/merge",
    "app/uninstalled",
    "customers/data_request",
    "customers/redact",
    "shop/redact",
)
NAMED_OTHERWISE: dict[str, dict[str, Any]] = {
    "orders/edited": {"order_edit": {"id": 5, "order_id": 7, "created_at": NOON.isoformat()}},
    "customers/merge": {"admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/5", "status": "completed"},
    "customers/data_request": {"customer": {"id": 5}, "data_request": {"id": 6}},
    "customers/redact": {"customer": {"id": 5}, "orders_to_redact": [6]},
    "shop/redact": {"shop_id": 5},
}
"""What tells of something by another name than its own id."""


def personal(**changes: Any) -> dict[str, Any]:
    """An order with personal data wherever Shopify may put some."""
    person = {
        "id": 7,
        "email": CANARY,
        "first_name": "Canary",
        "phone": "+4930555",
        "default_address": {"address1": "Canary Row 1"},
    }
    payload = order(
        email=CANARY, contact_email=CANARY, billing_address=person, shipping_address=person, note=CANARY, browser_ip="192.0.2.1"
    )
    return payload | {"customer": person} | changes


async def rows(shop: Shop) -> list[dict[str, Any]]:
    async with db.connection(shop.scope()) as connection:
        return [dict(row) for row in await connection.fetch("select * from inbox order by received_at")]


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_signed_delivery_is_stored_and_answered(shop: Shop, topic: str) -> None:
    whole: dict[str, Any] = {"id": 5, "created_at": NOON.isoformat(), "updated_at": NOON.isoformat()}
    payload = NAMED_OTHERWISE.get(topic, whole)
    response = await shop.webhook(topic, payload, webhook_id="delivery-1")
    assert (response.status_code, response.json()) == (200, {"status": "accepted"})
    [row] = await rows(shop)
    assert (row["webhook_id"], row["topic"], row["status"], row["attempts"]) == ("delivery-1", topic, "pending", 0)
    kept = json.loads(row["payload"])
    assert kept == {name: payload[name] for name in kept}
    assert kept == payload or kept["id"] == 5
    assert row["triggered_at"] == NOON
    assert row["request_id"] == response.headers["x-request-id"]


def test_the_app_subscribes_to_what_the_door_takes() -> None:
    app = tomllib.loads((ROOT / "shopify_functions" / "shopify.app.toml").read_text())
    subscribed = [
        topic for one in app["webhooks"]["subscriptions"] for topic in one.get("topics", []) + one.get("compliance_topics", [])
    ]
    assert sorted(subscribed) == sorted(topic for topic in inbox.TOPICS if inbox.handles(topic))
    assert set(TOPICS) == set(subscribed)


async def test_a_duplicate_is_answered_and_changes_nothing(shop: Shop) -> None:
    await shop.webhook("orders/create", {"id": 1}, webhook_id="delivery-1")
    before = await rows(shop)
    response = await shop.webhook("orders/create", {"id": 2}, webhook_id="delivery-1")
    assert (response.status_code, response.json()) == (200, {"status": "duplicate"})
    assert await rows(shop) == before


async def test_a_duplicate_of_what_is_done_is_not_done_again(shop: Shop) -> None:
    await shop.webhook("orders/create", order(), webhook_id="delivery-1")
    await shop.work()
    response = await shop.webhook("orders/create", order(), webhook_id="delivery-1")
    assert response.json() == {"status": "duplicate"}
    assert [row["status"] for row in await rows(shop)] == ["done"]


async def test_fifty_deliveries_of_one_id_at_once_are_one(shop: Shop) -> None:
    responses = await asyncio.gather(*(shop.webhook("orders/create", {"id": 1}, webhook_id="same") for _ in range(50)))
    said = sorted(response.json()["status"] for response in responses)
    assert said == ["accepted"] + ["duplicate"] * 49
    assert {response.status_code for response in responses} == {200}
    assert len(await rows(shop)) == 1


async def test_one_id_at_two_shops_is_two_deliveries(shop: Shop, other_shop: Shop) -> None:
    for one in (shop, other_shop):
        response = await one.webhook("orders/create", {"id": 1}, webhook_id="same")
        assert response.json() == {"status": "accepted"}
    assert (len(await rows(shop)), len(await rows(other_shop))) == (1, 1)


async def test_the_previous_secret_still_signs(shop: Shop) -> None:
    response = await shop.webhook("orders/create", {"id": 1}, secret=PREVIOUS_SECRET)
    assert (response.status_code, response.json()) == (200, {"status": "accepted"})


@pytest.mark.parametrize("signature", ["", "bm9uZQ==", "not base64!", "ä", "0" * 10_000, None])
async def test_a_bad_signature_is_refused(shop: Shop, signature: str | None) -> None:
    body = json.dumps(personal()).encode()
    headers = shop.webhook_headers("orders/create", body)
    del headers["x-shopify-hmac-sha256"]
    if signature is not None:
        headers["x-shopify-hmac-sha256"] = signature.encode("latin-1").decode("latin-1")
    response = await shop.post("/webhooks/shopify", body, {k: v.encode("latin-1") for k, v in headers.items()})  # type: ignore[misc]
    assert (response.status_code, response.json()) == (401, {"status": "bad_signature"})
    assert await rows(shop) == []


async def test_a_changed_body_is_refused(shop: Shop) -> None:
    body = json.dumps(order()).encode()
    headers = shop.webhook_headers("orders/create", body)
    response = await shop.post("/webhooks/shopify", body.replace(b"100.00", b"900.00"), headers)
    assert response.status_code == 401
    assert (await shop.webhook("orders/create", order(), secret="another app's secret")).status_code == 401
    assert await rows(shop) == []


@pytest.mark.parametrize("domain", ["nobody.myshopify.com", "", "'; drop table inbox; --"])
async def test_an_unknown_shop_is_not_found(shop: Shop, domain: str) -> None:
    body = b"{}"
    headers = shop.webhook_headers("orders/create", body) | {"x-shopify-shop-domain": domain}
    response = await shop.post("/webhooks/shopify", body, headers)
    assert (response.status_code, response.json()) == (404, {"status": "unknown_shop"})


async def test_a_shops_domain_is_read_in_any_letter_case(shop: Shop) -> None:
    headers = shop.webhook_headers("orders/create", b"{}")
    headers["x-shopify-shop-domain"] = headers["x-shopify-shop-domain"].upper()
    assert (await shop.post("/webhooks/shopify", b"{}", headers)).status_code == 200


NOT_JSON = {
    "empty": b"",
    "blank": b"   ",
    "truncated": b'{"id": 1, "email": "canary.person@exam',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "list": b"[]",
    "text": b'"canary"',
    "number": b"1",
    "null": b"null",
    "not utf-8": b'{"id": "\xff\xfe"}',
    "no number": b'{"id": NaN}',
    "two documents": b"{}{}",
    "form": b"id=1&email=canary.person%40example.com",
    "gzip": b"\x1f\x8b\x08\x00\x00",
}


@pytest.mark.parametrize("name", NOT_JSON)
async def test_what_is_no_json_object_is_refused(shop: Shop, name: str) -> None:
    response = await shop.webhook("orders/create", NOT_JSON[name])
    assert (response.status_code, response.json()) == (400, {"status": "not_json"})
    assert await rows(shop) == []


@pytest.mark.parametrize("deep", [b'{"line_items": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"id": 1' + b"0" * 5_000 + b"}"])
async def test_odd_json_is_answered_without_a_fault(shop: Shop, deep: bytes) -> None:
    assert (await shop.webhook("orders/create", deep)).status_code in (200, 400)


async def test_what_is_too_large_is_refused(shop: Shop) -> None:
    body = b'{"note": "' + b"x" * BODY_MAX + b'"}'
    response = await shop.webhook("orders/create", body)
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "TOO_LARGE"
    assert await rows(shop) == []


@pytest.mark.parametrize("webhook_id", ["", "x" * (WEBHOOK_ID_MAX + 1), "a\tb", "a\u00e9", None])
async def test_a_delivery_needs_its_id(shop: Shop, webhook_id: str | None) -> None:
    headers = shop.webhook_headers("orders/create", b"{}")
    del headers["x-shopify-webhook-id"]
    if webhook_id is not None:
        headers["x-shopify-webhook-id"] = webhook_id
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    response = await shop.post("/webhooks/shopify", b"{}", encoded)  # type: ignore[arg-type]
    assert (response.status_code, response.json()) == (400, {"status": "no_webhook_id"})
    assert await rows(shop) == []


@pytest.mark.parametrize(
    "topic", ["app/scopes_update", "orders/risk_assessment_changed", "products/update", "customers/", "", "x" * 1_000]
)
async def test_another_topic_is_answered_and_dropped(shop: Shop, topic: str) -> None:
    response = await shop.webhook(topic, personal())
    assert (response.status_code, response.json()) == (200, {"status": "ignored"})
    assert await rows(shop) == []


@pytest.mark.parametrize("instant", ["", "yesterday", "2026-03-02", "2026-03-02T12:00:00", "9" * 400])
async def test_an_unreadable_instant_is_no_reason_to_refuse(shop: Shop, instant: str) -> None:
    headers = shop.webhook_headers("orders/create", b"{}") | {"x-shopify-triggered-at": instant}
    assert (await shop.post("/webhooks/shopify", b"{}", headers)).status_code == 200
    [row] = await rows(shop)
    assert row["triggered_at"] is None


async def test_nothing_personal_lies_open_in_the_inbox(shop: Shop) -> None:
    await shop.webhook("orders/create", personal(), webhook_id="order")
    person = {"id": 7, "email": CANARY, "first_name": "Canary", "last_name": "Person", "phone": "+4930555", "note": CANARY}
    await shop.webhook("customers/update", person, webhook_id="customer")
    stored = {row["webhook_id"]: row for row in await rows(shop)}
    for row in stored.values():
        text = repr(row)
        assert [word for word in ("canary", "Canary", "4930555", "192.0.2.1", "Person") if word in text] == []
    assert stored["order"]["profile"] is None
    assert stored["customer"]["profile"] is not None
    assert json.loads(stored["customer"]["payload"]) == {"id": 7}
    assert json.loads(stored["order"]["payload"])["customer"] == {"id": 7}


@pytest.mark.parametrize(
    ("topic", "payload", "failure"),
    [
        ("customers/create", {"id": "x"}, "CUSTOMER_INVALID"),
        ("customers/update", {"id": 7, "created_at": "2026-03-02T12:00:00", "updated_at": NOON.isoformat()}, "CUSTOMER_INVALID"),
        ("orders/create", {"id": "x"}, "ORDER_INVALID"),
        ("orders/paid", {}, "ORDER_INVALID"),
    ],
)
async def test_what_is_json_and_no_order_or_customer_is_set_aside_with_its_code(
    shop: Shop, topic: str, payload: dict[str, Any], failure: str
) -> None:
    assert (await shop.webhook(topic, payload)).status_code == 200
    await shop.work()
    [row] = await rows(shop)
    assert (row["status"], row["failure"], row["attempts"]) == ("failed", failure, 1)


async def test_a_fault_of_ours_is_500_so_that_shopify_sends_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    async def fail(*_: object) -> bool:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(inbox, "receive", fail)
    response = await shop.webhook("orders/create", personal())
    request_id = response.headers["x-request-id"]
    assert (response.status_code, response.json()) == (
        500,
        {
            "errors": [
                {"message": "Something went wrong on our side.", "extensions": {"code": "INTERNAL", "requestId": request_id}}
            ]
        },
    )
    [line] = [line for line in logged if "http.bug" in line]
    assert request_id in line
    assert "the secret inside" in line


async def test_the_logs_tell_what_happened_and_nothing_personal(shop: Shop, logged: list[str]) -> None:
    body = json.dumps(personal()).encode()
    headers = shop.webhook_headers("orders/create", body)
    statuses = [
        (await shop.post("/webhooks/shopify", body, sent)).status_code
        for sent in (
            headers,
            headers | {"x-shopify-hmac-sha256": "bm9uZQ=="},
            headers | {"x-shopify-shop-domain": "nobody.myshopify.com"},
            headers | {"x-shopify-webhook-id": ""},
            headers | {"x-shopify-topic": "products/update"},
        )
    ]
    broken = [await shop.webhook("orders/create", NOT_JSON[name]) for name in ("truncated", "form", "text")]
    huge = await shop.webhook("orders/create", body + b" " * BODY_MAX)
    assert [*statuses, *(one.status_code for one in broken), huge.status_code] == [200, 401, 404, 400, 200, 400, 400, 400, 413]
    everything = "\n".join(logged)
    for told in ("bad_signature", "unknown_shop", "no_webhook_id", "not_json", "webhook.ignored", "too_large"):
        assert told in everything, told
    assert [word for word in ("canary", "Canary", "4930555", "192.0.2.1") if word in everything] == []
