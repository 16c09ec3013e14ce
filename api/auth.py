"""Who is calling: every door turns a credential into a merchant and an actor, or into nothing."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt

from domain import merchants
from domain.errors import Code, DomainError
from domain.merchants import Merchant
from domain.merchants.commands import API_KEY_PREFIX
from domain.scope import NO_TIME, Actor, Door, Scope
from domain.settings import settings

ISSUER = "loyalnest"
CUSTOMER_AUDIENCE = "loyalnest:customer"
ALGORITHM = "HS256"
LEEWAY_S = 10
"""Shopify's own libraries allow clocks to differ by this much."""

_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")


class Unauthenticated(DomainError):
    """No credential, or none that is valid now. Which of the two, and why, is not told."""

    code = Code.UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and until when the credential lasts, in real time; None means until it is revoked.

    clock_offset: how far the merchant's clock is ahead of the real one; only a sandbox's ever is.
    """

    merchant_id: UUID
    actor: Actor
    customer_id: UUID | None = None
    expires_at: datetime | None = None
    sandbox: bool = False
    clock_offset: timedelta = NO_TIME

    def scope(self, at: datetime, request_id: str) -> Scope:
        """The caller's scope for one request that comes at the real instant `at`."""
        return Scope(self.merchant_id, self.actor, at + self.clock_offset, request_id, self.clock_offset)


async def authenticate(authorization: str | None, at: datetime) -> Caller:
    """The caller behind an `Authorization: Bearer …` value at the real instant `at`. Raises Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send a credential: `Authorization: Bearer …`.")
    if token.startswith(API_KEY_PREFIX):
        return await _partner(token, at)
    customer = _customer(token)
    return await _staff(token) if customer is None else await on_time(customer)


async def on_time(caller: Caller) -> Caller:
    """The caller by the merchant's clock as it is now. Costs a query for a sandbox's callers, and nothing for all others."""
    if not caller.sandbox:
        return caller
    return replace(caller, clock_offset=await merchants.clock_offset(caller.merchant_id))


def customer_token(merchant: Merchant, customer_id: UUID, at: datetime, lasts: timedelta) -> str:
    """A token that lets one customer of one merchant see what is theirs, from the real instant `at` on.

    A sandbox's says so: by that its clock is looked up, and no other customer's request pays for it.
    """
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": CUSTOMER_AUDIENCE,
        "sub": str(customer_id),
        "merchant": str(merchant.id),
        "iat": at,
        "exp": at + lasts,
    }
    if merchant.sandbox:
        claims["sandbox"] = True
    return jwt.encode(claims, settings().token_secret.get_secret_value(), ALGORITHM)


def _customer(token: str) -> Caller | None:
    """The customer of a token of ours; None when another's key has signed it. Raises Unauthenticated."""
    try:
        claims = jwt.decode(
            token,
            settings().token_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=CUSTOMER_AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "sub"]},
        )
        merchant_id, customer_id = UUID(claims["merchant"]), UUID(claims["sub"])
    except jwt.InvalidSignatureError:
        return None
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _invalid() from error
    actor = Actor(Door.CUSTOMER, str(customer_id))
    return Caller(merchant_id, actor, customer_id, _expiry(claims), sandbox=claims.get("sandbox") is True)


async def _staff(token: str) -> Caller:
    """Shopify's session token: HS256 with the app's secret, for this app, from this shop."""
    claims = _session_claims(token)
    shop = _host(claims["dest"])
    if _host(claims["iss"]) != shop or not _SHOP.fullmatch(shop):
        raise _invalid()
    merchant = await merchants.by_shop_domain(shop)
    if merchant is None:
        raise _invalid()
    return _caller(merchant, Actor(Door.STAFF, claims["sub"]), _expiry(claims))


def _caller(merchant: Merchant, actor: Actor, expires_at: datetime | None) -> Caller:
    return Caller(merchant.id, actor, None, expires_at, merchant.sandbox, merchant.clock_offset)


def _session_claims(token: str) -> dict[str, Any]:
    for secret in settings().shopify_client_secrets:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=settings().shopify_client_id,
                leeway=LEEWAY_S,
                options={"require": ["exp", "nbf", "iat", "iss", "dest", "sub"]},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise _invalid() from error
        if not all(isinstance(claims[name], str) for name in ("iss", "dest", "sub")):
            raise _invalid()
        return claims
    raise _invalid()


async def _partner(key: str, at: datetime) -> Caller:
    found = await merchants.by_api_key(key, at)
    if found is None:
        raise _invalid()
    merchant_id, key_id = found
    merchant = await merchants.by_id(merchant_id)
    assert merchant is not None, "a key belongs to a merchant"
    return _caller(merchant, Actor(Door.PARTNER, str(key_id)), None)


def _host(address: str) -> str:
    """The host of an address; checkout tokens may leave the scheme out."""
    try:
        return (urlsplit(address).hostname or address) if "//" in address else address
    except ValueError:
        # Such as "https://[": no host, and so no shop's.
        return ""


def _expiry(claims: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (OverflowError, ValueError, OSError) as error:
        # Later than any calendar goes.
        raise _invalid() from error


def _invalid() -> Unauthenticated:
    return Unauthenticated("The credential is not valid, or not any more.")
