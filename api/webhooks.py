"""Shopify's deliveries: checked, stored, answered. The work comes after."""

import base64
import binascii
import hmac
from datetime import datetime
from typing import Any

from litestar import Request, Response, post
from litestar.status_codes import HTTP_200_OK
from msgspec.structs import replace

from api.process import process_of
from domain import calendar, customers, inbox, installations, merchants, scope
from domain.inbox import NotJson
from domain.log import log
from domain.merchants import Merchant
from domain.settings import settings

BODY_MAX = 8 * 1024 * 1024
"""Shopify's largest orders, with thousands of lines, stay below it."""
WEBHOOK_ID_MAX = 200


def signed(body: bytes, signature: str, secrets: tuple[str, ...]) -> bool:
    """Whether one of the secrets signed the raw body: base64 of HMAC-SHA256, compared in constant time."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    # Every secret is tried, so that the time tells nothing about which one fits.
    matches = [hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256"), given) for secret in secrets]
    return any(matches)


@post("/webhooks/shopify", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX, opt={"exclude_from_csrf": True})
async def shopify_webhook(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Receive a webhook. 401 bad signature, 404 unknown shop, 400 not JSON or without its id, 413 too large; else 200."""
    body = await request.body()
    headers = request.headers
    if not signed(body, headers.get("x-shopify-hmac-sha256", ""), settings().shopify_client_secrets):
        return _refuse(request, 401, "bad_signature")
    shop = headers.get("x-shopify-shop-domain", "").lower()
    merchant = await merchants.by_shop_domain(shop)
    if merchant is None:
        return _refuse(request, 404, "unknown_shop")
    webhook_id = headers.get("x-shopify-webhook-id", "")
    topic = headers.get("x-shopify-topic", "")
    if not _is_webhook_id(webhook_id):
        return _refuse(request, 400, "no_webhook_id")
    if not inbox.handles(topic):
        log.info("webhook.ignored", topic=topic[:64], merchant_id=str(merchant.id), request_id=request.state.request_id)
        return Response({"status": "ignored"})
    try:
        delivery = inbox.delivery(webhook_id, topic, body, _instant(headers.get("x-shopify-triggered-at")))
    # Nested deeper than Python can follow, and so nothing of Shopify's.
    except (NotJson, RecursionError):
        return _refuse(request, 400, "not_json")
    received = replace(scope.system(merchant.id, clock_offset=merchant.clock_offset), request_id=request.state.request_id)
    if shop != merchant.shop_domain:
        await customers.met(received, inbox.customers_of(delivery), shop)
    is_new = await inbox.receive(received, delivery)
    if topic == "app/uninstalled":
        await _end_installation(shop, merchant, delivery.triggered_at)
    if is_new:
        process_of(request).wake_inbox(merchant.id)
    return Response({"status": "accepted" if is_new else "duplicate"})


async def _end_installation(shop: str, merchant: Merchant, told_at: datetime | None) -> None:
    """Forget the tokens of a shop that joined another's merchant: they lie with the shop, where no work of the merchant comes."""
    home = await merchants.home_of(shop)
    if home is not None and home.id != merchant.id:
        await installations.uninstall(scope.system(home.id), told_at)


def _is_webhook_id(text: str) -> bool:
    """Whether it can be a delivery's id. Shopify's are uuids; ours to demand is that it can be stored, listed and asked for."""
    return 0 < len(text) <= WEBHOOK_ID_MAX and text.isascii() and text.isprintable()


def _instant(text: str | None) -> datetime | None:
    """The instant in Shopify's header, or None when it has none that can be read."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if calendar.is_usable(instant) else None


def _refuse(request: Request[Any, Any, Any], status: int, why: str) -> Response[dict[str, str]]:
    log.warning("webhook.refused", status=status, why=why, request_id=request.state.request_id)
    return Response({"status": why}, status_code=status)
