"""Shopify's grants: code, token exchange and refresh. Each gives an expiring offline token with its refresh token."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec

from domain.installations import Grant
from domain.merchants.domains import SHOP_DOMAIN
from domain.settings import settings
from integrations.shopify.errors import Refused, Unanswered

SCOPES = (
    "read_customers,write_customers,read_customer_merge,read_orders,read_shopify_payments_disputes,read_products,write_discounts,"
    "write_app_proxy,write_store_credit_account_transactions"
)
"""As shopify_functions/shopify.app.toml has them."""
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 -- the name of a type of token
PROXY_AGE_MAX_S = 90
"""Shopify's own library refuses a signed request of the app proxy after so long."""
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int = 90 * 24 * 3600
    scope: str = ""


def base_url(shop: str) -> str:
    """Where a shop's API is, without a slash at the end. Raises Refused for what is no shop's domain.

    Here a name becomes an address to which secrets are sent, so that it is looked at here, wherever it comes from.
    """
    if not SHOP_DOMAIN.fullmatch(shop):
        raise Refused("NO_SHOP", "The name is no shop's domain.")
    return settings().shopify_url.replace("{shop}", shop).rstrip("/")


def authorize_url(shop: str, state: str, redirect_uri: str) -> str:
    """Where the merchant is sent to grant access."""
    asked = {"client_id": settings().shopify_client_id, "scope": SCOPES, "redirect_uri": redirect_uri, "state": state}
    return f"{base_url(shop)}/admin/oauth/authorize?{urlencode(asked)}"


async def by_code(http: httpx2.AsyncClient, shop: str, code: str, at: datetime) -> Grant:
    """The grant behind the code of a callback. Raises Refused or Unanswered."""
    return await _ask(http, shop, {"code": code, "expiring": "1"}, at)


async def by_session_token(http: httpx2.AsyncClient, shop: str, session_token: str, at: datetime) -> Grant:
    """The grant for a session token of the shop's admin (token exchange). Raises Refused or Unanswered."""
    given = {
        "grant_type": EXCHANGE,
        "subject_token": session_token,
        "subject_token_type": ID_TOKEN,
        "requested_token_type": OFFLINE,
        "expiring": "1",
    }
    return await _ask(http, shop, given, at)


async def by_refresh_token(http: httpx2.AsyncClient, shop: str, refresh_token: str, at: datetime) -> Grant:
    """The next grant. Raises Refused or Unanswered."""
    return await _ask(http, shop, {"grant_type": "refresh_token", "refresh_token": refresh_token}, at)


async def _ask(http: httpx2.AsyncClient, shop: str, given: dict[str, str], at: datetime) -> Grant:
    configured = settings()
    client = {
        "client_id": configured.shopify_client_id,
        "client_secret": configured.shopify_client_secret.get_secret_value(),
    }
    try:
        response = await http.post(f"{base_url(shop)}/admin/oauth/access_token", json={**client, **given})
    except httpx2.TransportError as error:
        raise Unanswered(type(error).__name__) from error
    if response.status_code >= 500 or response.status_code == 429:
        raise Unanswered(f"HTTP {response.status_code}")
    if response.status_code != 200:
        raise Refused(_code(response), f"HTTP {response.status_code} from the token endpoint")
    try:
        answer = msgspec.json.decode(response.content, type=_Answer)
    except msgspec.DecodeError as error:
        raise Unanswered("the token endpoint's answer cannot be read") from error
    return Grant(
        access_token=answer.access_token,
        expires_at=at + timedelta(seconds=answer.expires_in),
        refresh_token=answer.refresh_token,
        refresh_expires_at=at + timedelta(seconds=answer.refresh_token_expires_in),
        scopes=answer.scope,
    )


def _code(response: httpx2.Response) -> str:
    """OAuth's error code; a body of any other shape tells nothing."""
    try:
        body: Any = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return "REFUSED"
    code = body.get("error") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
    return code if isinstance(code, str) else "REFUSED"


def proxy_is_signed(query: Sequence[tuple[str, str]], secrets: Sequence[str], at: datetime) -> bool:
    """Whether Shopify signed an app proxy request within the last 90 s.

    `signature` is the hex HMAC-SHA256 of the other pairs, sorted and joined by nothing; repeated keys' values are joined by
    commas. `shop`, `timestamp` and `signature` must stand in it once each.
    """
    values: dict[str, list[str]] = {}
    for key, value in query:
        values.setdefault(key, []).append(value)
    if any(len(values.get(key, ())) != 1 for key in ("shop", "timestamp", "signature")):
        return False
    [signature] = values.pop("signature")
    [timestamp] = values["timestamp"]
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(at.timestamp() - int(timestamp)) > PROXY_AGE_MAX_S:
        return False
    message = "".join(sorted(f"{key}={','.join(one)}" for key, one in values.items()))
    return _matches(message, signature, secrets)


def _matches(message: str, signature: str, secrets: Sequence[str]) -> bool:
    # Every secret is tried, so that the time tells nothing about which one fits.
    digests = [hmac.new(secret.encode(), message.encode(), "sha256").hexdigest() for secret in secrets]
    matches = [hmac.compare_digest(digest.encode(), signature.encode()) for digest in digests]
    return any(matches)
