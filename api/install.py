"""How a shop installs the app: Shopify's code grant, and token exchange when the embedded app is opened for the first time."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import jwt
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.status_codes import HTTP_200_OK, HTTP_302_FOUND

from api.auth import ALGORITHM, ISSUER, Unauthenticated, origin_of, staff_of_session
from api.context import address_of
from api.origins import check_origin
from api.process import process_of
from domain import installations, merchants, scope
from domain.damage import Damaged
from domain.errors import Code, DomainError
from domain.log import log
from domain.merchants import Merchant
from domain.scope import NOBODY, system
from domain.settings import settings
from integrations.shopify import Refused, ShopifyError, oauth, signing
from integrations.shopify.installing import ScopesMissing, install
from schema.errors import formatted

COOKIE = "__Host-loyalnest-install"
"""The prefix makes browsers refuse the cookie from anywhere but this very host, and without encryption."""

AUDIENCE = "loyalnest:install"
LASTS = timedelta(minutes=10)
REDIRECT_AGE_MAX = timedelta(days=1)
"""As Shopify's own library allows. The code in it lives for minutes, and once."""
FIELDS_MAX = 30
COST = 100
"""Points of an address's bucket: ten attempts at once, then one a second."""
ONCE = ("shop", "hmac", "timestamp", "state", "code")


@get("/auth")
async def begin(request: Request[Any, Any, Any]) -> Response[Any]:
    """Send a merchant to Shopify to grant access: `?shop=cedar.myshopify.com`. 400 for what is no shop, 429 when too often."""
    try:
        await _allow(request)
        shop = _named(request.query_params.get("shop", ""))
    except DomainError as error:
        return _refuse(request, error)
    state, at = secrets.token_urlsafe(32), scope.now()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": at + LASTS, "iat": at, "state": state, "shop": shop}
    token = jwt.encode(claims, settings().token_secret.get_secret_value(), ALGORITHM)
    return _send_to(oauth.authorize_url(shop, state, _address("/auth/callback")), token)


@get("/auth/callback")
async def callback(request: Request[Any, Any, Any]) -> Response[Any]:
    """Where Shopify sends the merchant back: the code becomes a token, and the merchant goes on to the app in their admin.

    401 when Shopify did not sign it, when it is old, or when another browser began; 400 for a code that is not good; 403 when
    less was granted than is needed; 503 when Shopify does not answer. In all of them nothing is kept.
    """
    at = scope.now()
    try:
        await _allow(request)
        shop, code = _granted(request, at)
        grant = await oauth.by_code(process_of(request).shopify.http, shop, code, at)
        await _install(request, shop, grant, at)
    except (DomainError, ShopifyError) as error:
        return _refuse(request, error)
    return _send_to(f"{oauth.base_url(shop)}/admin/apps/{settings().shopify_client_id}", "")


@post("/auth/session", status_code=HTTP_200_OK)
async def first_load(request: Request[Any, Any, Any]) -> Response[Any]:
    """The embedded app was opened: where the shop has no token, the admin's session token is exchanged for one.

    Answers {"installed": true}. 401 when the session token is not valid, and else as the callback.
    """
    at = scope.now()
    try:
        await _allow(request)
        check_origin(request)
        scheme, _, token = (request.headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unsigned()
        claim, _ = staff_of_session(token.strip())
        if not await _is_installed(claim.shop, at):
            grant = await oauth.by_session_token(process_of(request).shopify.http, claim.shop, token.strip(), at)
            await _install(request, claim.shop, grant, at)
    except (DomainError, ShopifyError) as error:
        return _refuse(request, error)
    return Response({"installed": True}, headers={"cache-control": "no-store"})


def _named(text: str) -> str:
    """The shop that a merchant means. Raises a BAD_INPUT refusal."""
    shop = signing.shop_domain(text)
    if shop is None:
        raise DomainError("Name a shop, such as cedar.myshopify.com.", field=("shop",))
    return shop


def _granted(request: Request[Any, Any, Any], at: datetime) -> tuple[str, str]:
    """The shop and the code of a redirect that Shopify signed, for the browser that began. Raises Unauthenticated."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX
        )
    except ValueError as error:
        raise _unsigned() from error
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() >= set(ONCE):
        raise _unsigned()
    if not signing.redirect_is_signed(given, settings().shopify_client_secrets):
        raise _unsigned()
    stamp = given["timestamp"]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise _unsigned()
    if abs(at - datetime.fromtimestamp(int(stamp), UTC)) > REDIRECT_AGE_MAX:
        raise _unsigned()
    begun = _begun(request.cookies.get(COOKIE, ""))
    if not hmac.compare_digest(begun["state"].encode(), given["state"].encode()) or begun["shop"] != given["shop"]:
        raise _unsigned()
    return begun["shop"], given["code"]


def _begun(token: str) -> dict[str, str]:
    """What `begin` has left in the browser. Raises Unauthenticated."""
    try:
        return jwt.decode(
            token,
            settings().token_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "state", "shop"]},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise _unsigned() from error


async def _is_installed(shop: str, at: datetime) -> bool:
    """Whether the shop's token is there and opens, can still be renewed, and does all that is needed."""
    home = await merchants.home_of(shop)
    try:
        found = None if home is None else await installations.current(system(home.id, at))
    except Damaged:
        return False
    return found is not None and found.refresh_expires_at > at and signing.covers(found.scopes, oauth.SCOPES)


async def _install(request: Request[Any, Any, Any], shop: str, grant: installations.Grant, at: datetime) -> Merchant:
    """Keep a grant, and have the workers look for what it makes possible."""
    home = await install(process_of(request).shopify, shop, grant, at)
    speaks_for = await merchants.by_shop_domain(shop)
    process_of(request).wake_due(home.id)
    if speaks_for is not None and speaks_for.id != home.id:
        process_of(request).wake_due(speaks_for.id)
    log.info("shopify.installed", merchant_id=str(home.id), request_id=request.state.request_id)
    return home


def _address(path: str) -> str:
    return settings().public_url.rstrip("/") + path


def _send_to(address: str, token: str) -> Response[Any]:
    """A redirect that leaves a token in the browser; an empty one takes it away."""
    cookie = Cookie(
        key=COOKIE,
        value=token,
        path="/",
        max_age=int(LASTS.total_seconds()) if token else 0,
        secure=True,
        httponly=True,
        samesite="lax",
    )
    headers = {"location": address, "cache-control": "no-store"}
    return Response(None, status_code=HTTP_302_FOUND, headers=headers, cookies=[cookie])


async def _allow(request: Request[Any, Any, Any]) -> None:
    """Count an attempt against the caller's network. Raises THROTTLED."""
    await process_of(request).throttle.spend(NOBODY, f"install/{origin_of(address_of(request))}", COST)


def _unsigned() -> Unauthenticated:
    return Unauthenticated("This is not from Shopify, or was not begun in this browser, or is too old. Begin again.")


def _refuse(request: Request[Any, Any, Any], error: DomainError | ShopifyError) -> Response[Any]:
    """The refusal as JSON. What Shopify has said in its own words is left to the logs."""
    match error:
        case DomainError():
            status = {Code.UNAUTHENTICATED: 401, Code.ORIGIN_FOREIGN: 403, Code.THROTTLED: 429}.get(error.code, 400)
            code, message = error.code, error.message
        case ScopesMissing():
            status, code, message = 403, Code.FORBIDDEN, "The shop has granted less than the app needs. Install it again."
        case Refused():
            status, code, message = 400, Code.BAD_INPUT, "Shopify does not take this code or token. Begin again."
        case _:
            status, code, message = 503, Code.INTERNAL, "Shopify does not answer at present. Try again."
    log.warning(
        "install.refused", request_id=request.state.request_id, status=status, code=code.value, error=type(error).__name__
    )
    return Response({"errors": [formatted(code, message, request.state.request_id)]}, status_code=status)


INSTALL_ROUTES = (begin, callback, first_load)
