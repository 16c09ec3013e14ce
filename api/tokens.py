"""Where a credential of somebody else's becomes one of ours: app proxy, extensions, session tokens, sign-in."""

from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.status_codes import HTTP_200_OK

from api.auth import (
    Unauthenticated,
    admin_session_of,
    admin_token,
    customer_of_extension,
    customer_token,
    origin_of,
    staff_of_session,
    staff_token,
)
from api.context import address_of
from api.origins import check_origin
from api.process import process_of
from domain import admins, customers, db, merchants, scope
from domain.errors import Code, DomainError
from domain.log import log
from domain.merchants import Merchant
from domain.scope import NOBODY
from domain.settings import settings
from integrations.shopify import oauth
from schema.errors import formatted

CUSTOMER_LASTS = timedelta(minutes=30)
STAFF_LASTS = timedelta(minutes=15)
ADMIN_LASTS = timedelta(minutes=15)
BODY_MAX = 4 * 1024
SIGN_IN_COST = 100
"""Points of an address's bucket: ten attempts at once, then one a second."""

T = TypeVar("T")


class Credentials(msgspec.Struct):
    """What one of the platform's people signs in with."""

    email: str
    password: str
    code: str


class Refreshing(msgspec.Struct, rename="camel"):
    """A refresh token to be exchanged."""

    refresh_token: str


@get("/proxy/token")
async def proxy_token(request: Request[Any, Any, Any]) -> Response[Any]:
    """A token for the customer of a page of the shop, asked for through Shopify's app proxy; null for a guest. 401 unsigned."""
    at = scope.now()
    try:
        shop, customer = _proxied(request.scope["query_string"], at)
        merchant = await merchants.by_shop_domain(shop)
        if merchant is None:
            raise _unsigned()
    except Unauthenticated as error:
        return _refuse(request, error)
    if customer is None:
        return _fresh({"token": None, "expiresAt": None})
    return await _customer_token(merchant, shop, customer, at)


def _proxied(query: bytes, at: datetime) -> tuple[str, int | None]:
    """The shop and the customer of a signed query. Raises Unauthenticated."""
    try:
        given = parse_qsl(query.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=100)
    except ValueError as error:
        raise _unsigned() from error
    if not oauth.proxy_is_signed(given, settings().shopify_client_secrets, at):
        raise _unsigned()
    shop = next(value for name, value in given if name == "shop")
    customer = next((value for name, value in given if name == "logged_in_customer_id"), "")
    return shop, int(customer) if _digits(customer) and int(customer) < 2**63 else None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


@post("/tokens/customer", status_code=HTTP_200_OK)
async def extension_token(request: Request[Any, Any, Any]) -> Response[Any]:
    """A token for the customer of a checkout's or an account page's extension, who shows Shopify's. 401 when it is not valid."""
    try:
        claim, customer = customer_of_extension(_bearer(request))
        merchant = await merchants.by_shop_domain(claim.shop)
        if merchant is None:
            raise _unsigned()
    except Unauthenticated as error:
        return _refuse(request, error)
    return await _customer_token(merchant, claim.shop, customer, scope.now())


async def _customer_token(merchant: Merchant, shop: str, shopify_id: int, at: datetime) -> Response[Any]:
    acting = scope.system(merchant.id, at + merchant.clock_offset, merchant.clock_offset)
    if shop != merchant.shop_domain:
        await customers.met(acting, [shopify_id], shop)
    found = await customers.by_shopify_id(acting, shopify_id)
    if found is None:
        async with db.transaction(acting):
            customer_id = (await customers.ensure(acting, [shopify_id]))[shopify_id]
    else:
        customer_id = found.id
    token = customer_token(merchant, customer_id, at, CUSTOMER_LASTS)
    return _fresh({"token": token, "expiresAt": (at + CUSTOMER_LASTS).isoformat()})


@post("/tokens/staff", status_code=HTTP_200_OK)
async def session_token(request: Request[Any, Any, Any]) -> Response[Any]:
    """A token for a member of the staff who shows Shopify's of a minute: a socket lasts longer. 401 when it is not valid."""
    at = scope.now()
    try:
        check_origin(request)
        claim, user_id = staff_of_session(_bearer(request))
        if await merchants.by_shop_domain(claim.shop) is None:
            raise _unsigned()
    except DomainError as error:
        return _refuse(request, error)
    token = staff_token(claim.shop, user_id, at, STAFF_LASTS)
    return _fresh({"token": token, "expiresAt": (at + STAFF_LASTS).isoformat()})


@post("/admin/sessions", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX)
async def admin_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Begin a session of one of the platform's people: e-mail, password, and a code of their authenticator."""
    try:
        await _allow(request)
        check_origin(request)
        given = await _body(request, Credentials)
        acting = _anonymous(request)
        tokens = await admins.sign_in(
            acting, email=given.email, password=given.password, code=given.code, address=address_of(request)
        )
    except DomainError as error:
        return _refuse(request, error)
    return _admin_tokens(tokens, acting.at)


@post("/admin/sessions/refresh", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX)
async def admin_refresh(request: Request[Any, Any, Any]) -> Response[Any]:
    """Go on with a session. The refresh token is good once; used again, it ends the session."""
    try:
        await _allow(request)
        check_origin(request)
        given = await _body(request, Refreshing)
        acting = _anonymous(request)
        tokens = await admins.refresh(acting, token=given.refresh_token, address=address_of(request))
    except DomainError as error:
        return _refuse(request, error)
    return _admin_tokens(tokens, acting.at)


@delete("/admin/sessions", status_code=HTTP_200_OK)
async def admin_sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session whose access token is shown."""
    try:
        check_origin(request)
        await admins.end(_anonymous(request), admin_session_of(request.headers.get("authorization"), scope.now()))
    except DomainError as error:
        return _refuse(request, error)
    return _fresh({"status": "ended"})


def _admin_tokens(tokens: admins.Tokens, at: datetime) -> Response[Any]:
    token = admin_token(tokens.admin_id, tokens.session_id, at, ADMIN_LASTS)
    return _fresh({"token": token, "expiresAt": (at + ADMIN_LASTS).isoformat(), "refreshToken": tokens.refresh_token})


def _anonymous(request: Request[Any, Any, Any]) -> scope.Scope:
    return admins.anonymous(scope.now(), request.state.request_id, origin_of(address_of(request)))


async def _allow(request: Request[Any, Any, Any]) -> None:
    """Count an attempt against the caller's network. Raises THROTTLED."""
    await process_of(request).throttle.spend(NOBODY, f"sign-in/{origin_of(address_of(request))}", SIGN_IN_COST)


async def _body(request: Request[Any, Any, Any], kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DomainError("Send a JSON object with the fields that the documentation names.") from error


def _bearer(request: Request[Any, Any, Any]) -> str:
    scheme, _, token = (request.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unsigned()
    return token.strip()


def _unsigned() -> Unauthenticated:
    return Unauthenticated("The credential is not valid, or not any more.")


def _fresh(content: dict[str, Any]) -> Response[Any]:
    return Response(content, headers={"cache-control": "no-store"})


def _refuse(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    status = {Code.UNAUTHENTICATED: 401, Code.ORIGIN_FOREIGN: 403, Code.THROTTLED: 429}.get(error.code, 400)
    log.info("token.refused", request_id=request.state.request_id, path=request.url.path, status=status, code=error.code.value)
    return Response({"errors": [formatted(error.code, error.message, request.state.request_id)]}, status_code=status)


TOKEN_ROUTES = (proxy_token, extension_token, session_token, admin_sign_in, admin_refresh, admin_sign_out)
