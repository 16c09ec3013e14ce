"""Who is calling: every door turns a credential into a merchant and an actor, or into nothing."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt

from domain import merchants
from domain.errors import Code, DomainError
from domain.merchants.commands import API_KEY_PREFIX
from domain.scope import Actor, Door, Scope
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
    """Who calls, and until when the credential lasts; None means until it is revoked."""

    merchant_id: UUID
    actor: Actor
    customer_id: UUID | None = None
    expires_at: datetime | None = None

    def scope(self, at: datetime, request_id: str) -> Scope:
        """The caller's scope for one request."""
        return Scope(self.merchant_id, self.actor, at, request_id)


async def authenticate(authorization: str | None, at: datetime) -> Caller:
    """The caller behind an `Authorization: Bearer …` value. Raises Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send a credential: `Authorization: Bearer …`.")
    if token.startswith(API_KEY_PREFIX):
        return await _partner(token, at)
    return _customer(token) or await _staff(token)


def customer_token(merchant_id: UUID, customer_id: UUID, at: datetime, lasts: timedelta) -> str:
    """A token that lets one customer of one merchant see what is theirs."""
    claims = {
        "iss": ISSUER,
        "aud": CUSTOMER_AUDIENCE,
        "sub": str(customer_id),
        "merchant": str(merchant_id),
        "iat": at,
        "exp": at + lasts,
    }
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
    return Caller(merchant_id, Actor(Door.CUSTOMER, str(customer_id)), customer_id, _expiry(claims))


async def _staff(token: str) -> Caller:
    """Shopify's session token: HS256 with the app's secret, for this app, from this shop."""
    claims = _session_claims(token)
    shop = _host(claims["dest"])
    if _host(claims["iss"]) != shop or not _SHOP.fullmatch(shop):
        raise _invalid()
    merchant = await merchants.by_shop_domain(shop)
    if merchant is None:
        raise _invalid()
    return Caller(merchant.id, Actor(Door.STAFF, claims["sub"]), expires_at=_expiry(claims))


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
    return Caller(merchant_id, Actor(Door.PARTNER, str(key_id)))


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
