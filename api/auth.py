"""Who is calling: every door turns a credential into a merchant, an actor and permissions, or into nothing."""

import ipaddress
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt

from domain import admins, merchants, staff
from domain.access import ADMIN_GRANTS, STAFF_GRANTS, Permission
from domain.errors import Code, DomainError
from domain.merchants import API_KEY_PREFIX, Merchant
from domain.merchants.domains import SHOP_DOMAIN
from domain.scope import NO_TIME, NOBODY, Actor, Door, Scope
from domain.settings import settings

ISSUER = "loyalnest"
CUSTOMER_AUDIENCE = "loyalnest:customer"
STAFF_AUDIENCE = "loyalnest:staff"
ADMIN_AUDIENCE = "loyalnest:admin"
ALGORITHM = "HS256"
LEEWAY_S = 10
"""Shopify's own libraries allow clocks to differ by this much."""
VERIFIED_MAX = 4_096
"""How many tokens, and addresses, a process remembers: some megabytes at most."""

_USER = re.compile(r"[0-9]{1,20}")
_CUSTOMER = re.compile(r"gid://shopify/Customer/([0-9]{1,19})")


class Unauthenticated(DomainError):
    """No credential, or none that is valid now. Which of the two, and why, is not told."""

    code = Code.UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller shows: the `Authorization` value, the address it comes from, and the shop that an admin means."""

    authorization: str | None
    address: str = ""
    shop: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and until when the credential lasts, in real time; None means until it is revoked.

    clock_offset: how far the merchant's clock is ahead of the real one; only a sandbox's ever is.
    """

    merchant_id: UUID
    actor: Actor
    permissions: frozenset[Permission] = frozenset()
    customer_id: UUID | None = None
    expires_at: datetime | None = None
    origin: str = ""
    sandbox: bool = False
    clock_offset: timedelta = NO_TIME

    def scope(self, at: datetime, request_id: str) -> Scope:
        """The caller's scope for one request that comes at the real instant `at`."""
        return Scope(self.merchant_id, self.actor, at + self.clock_offset, request_id, self.clock_offset, self.origin)

    @property
    def revocable(self) -> bool:
        """Whether the credential can end, or change what it grants, before it expires."""
        return self.actor.door is not Door.CUSTOMER


async def authenticate(given: Given, at: datetime) -> Caller:
    """The caller behind an `Authorization: Bearer …` value at the real instant `at`. Raises Unauthenticated."""
    scheme, _, token = (given.authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send a credential: `Authorization: Bearer …`.")
    if token.startswith(API_KEY_PREFIX):
        return await on_time(await _partner(token, given, at))
    claims = _own_claims(token, at)
    if claims is None:
        session, user = staff_of_session(token)
        return await _staff(session.shop, user, session.expires_at, given, at)
    match claims["aud"]:
        case "loyalnest:customer":
            return await on_time(_customer(claims, given))
        case "loyalnest:staff":
            shop = claims.get("shop")
            if not isinstance(shop, str) or not _USER.fullmatch(claims["sub"]):
                raise _invalid()
            return await _staff(shop, claims["sub"], _expiry(claims), given, at)
        case _:
            return await _admin(claims, given, at)


async def on_time(caller: Caller) -> Caller:
    """The caller by the merchant's clock as it is now. Costs a query for a sandbox's callers, and nothing for all others."""
    if not caller.sandbox:
        return caller
    return replace(caller, clock_offset=await merchants.clock_offset(caller.merchant_id))


def customer_token(merchant: Merchant, customer_id: UUID, at: datetime, lasts: timedelta) -> str:
    """A token that lets one customer of one merchant see what is theirs, from the real instant `at` on.

    A sandbox's says so: by that its clock is looked up, and no other customer's request pays for it.
    """
    claims: dict[str, str | bool] = {"sub": str(customer_id), "merchant": str(merchant.id)}
    if merchant.sandbox:
        claims["sandbox"] = True
    return _token(CUSTOMER_AUDIENCE, at, lasts, **claims)


def staff_token(shop_domain: str, user_id: str, at: datetime, lasts: timedelta) -> str:
    """A token of ours for a member of a shop's staff, who has shown Shopify's: that one lasts a minute, and a socket longer."""
    return _token(STAFF_AUDIENCE, at, lasts, sub=user_id, shop=shop_domain)


def admin_token(admin_id: UUID, session_id: UUID, at: datetime, lasts: timedelta) -> str:
    """A token of a session of one of the platform's people."""
    return _token(ADMIN_AUDIENCE, at, lasts, sub=str(admin_id), sid=str(session_id))


def _token(audience: str, at: datetime, lasts: timedelta, **claims: str | bool) -> str:
    whole = {"iss": ISSUER, "aud": audience, "iat": at, "exp": at + lasts, **claims}
    return jwt.encode(whole, settings().token_secret.get_secret_value(), ALGORITHM)


def _own_claims(token: str, at: datetime) -> dict[str, Any] | None:
    """The claims of a token of ours; None when another's key has signed it. Raises Unauthenticated."""
    try:
        claims = _verified(token, settings().token_secret.get_secret_value())
    except jwt.InvalidSignatureError:
        return None
    except (jwt.PyJWTError, TypeError, AttributeError) as error:
        raise _invalid() from error
    # All else that was found good of a token stays good.
    if int(claims["exp"]) <= at.timestamp() - LEEWAY_S:
        raise _invalid()
    # One audience, as we write it: a token for several would be good at several doors.
    if not isinstance(claims["aud"], str) or not isinstance(claims["sub"], str):
        raise _invalid()
    return claims


@lru_cache(VERIFIED_MAX)
def _verified(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token that this secret has signed, for us, and which has begun. What is refused raises, and is not kept.

    Verifying takes longer than most of what a request asks for, and a page asks several times with one token.
    """
    return jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
        audience=[CUSTOMER_AUDIENCE, STAFF_AUDIENCE, ADMIN_AUDIENCE],
        issuer=ISSUER,
        leeway=LEEWAY_S,
        options={"require": ["exp", "iat", "sub"]},
    )


@dataclass(frozen=True, slots=True)
class ShopClaim:
    """A shop that a token of Shopify's speaks for, and until when."""

    shop: str
    expires_at: datetime


def staff_of_session(token: str) -> tuple[ShopClaim, str]:
    """The shop and the user of the admin's session token: HS256 with the app's secret, for this app. Raises Unauthenticated.

    A token of an extension in checkout is signed by the same secret for the same app. It names a customer, or nobody, and no
    issuer of the admin: it opens no door of the staff.
    """
    claims = _session_claims(token, "iss", "dest", "sub")
    shop = claims["dest"].removeprefix("https://")
    if claims["dest"] != f"https://{shop}" or claims["iss"] != f"https://{shop}/admin":
        raise _invalid()
    if not SHOP_DOMAIN.fullmatch(shop) or not _USER.fullmatch(claims["sub"]):
        raise _invalid()
    return ShopClaim(shop, _expiry(claims)), claims["sub"]


def customer_of_extension(token: str) -> tuple[ShopClaim, int]:
    """The shop and the Shopify id of the customer of a checkout's or an account page's extension token. Raises Unauthenticated.

    `dest` may leave the scheme out; `sub` is there only for a customer who is logged in.
    """
    claims = _session_claims(token, "dest", "sub")
    shop = claims["dest"].removeprefix("https://")
    customer = _CUSTOMER.fullmatch(claims["sub"])
    if not SHOP_DOMAIN.fullmatch(shop) or customer is None or int(customer[1]) >= 2**63:
        raise _invalid()
    return ShopClaim(shop, _expiry(claims)), int(customer[1])


def _session_claims(token: str, *texts: str) -> dict[str, Any]:
    for secret in settings().shopify_client_secrets:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=settings().shopify_client_id,
                leeway=LEEWAY_S,
                options={"require": ["exp", "nbf", "iat", *texts]},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise _invalid() from error
        if not all(isinstance(claims[name], str) for name in texts):
            raise _invalid()
        return claims
    raise _invalid()


def _customer(claims: dict[str, Any], given: Given) -> Caller:
    customer_id = _uuid(claims, "sub")
    return Caller(
        _uuid(claims, "merchant"),
        Actor(Door.CUSTOMER, str(customer_id)),
        customer_id=customer_id,
        expires_at=_expiry(claims),
        origin=origin_of(given.address),
        sandbox=claims.get("sandbox") is True,
    )


async def _staff(shop: str, user_id: str, expires_at: datetime, given: Given, at: datetime) -> Caller:
    """A member of the staff of a shop. For which merchant it speaks can change, so that every request asks."""
    merchant = await merchants.by_shop_domain(shop)
    if merchant is None:
        raise _invalid()
    actor = Actor(Door.STAFF, user_id)
    role = await staff.role_of(Scope(merchant.id, actor, at), user_id)
    return _at_merchant(merchant, actor, STAFF_GRANTS[role], expires_at, given)


def _at_merchant(
    merchant: Merchant, actor: Actor, permissions: frozenset[Permission], expires_at: datetime, given: Given
) -> Caller:
    return Caller(
        merchant.id,
        actor,
        permissions,
        expires_at=expires_at,
        origin=origin_of(given.address),
        sandbox=merchant.sandbox,
        clock_offset=merchant.clock_offset,
    )


async def _partner(key: str, given: Given, at: datetime) -> Caller:
    found = await merchants.by_api_key(key, at)
    if found is None:
        raise _invalid()
    return Caller(
        found.merchant_id,
        Actor(Door.PARTNER, str(found.key_id)),
        found.scopes,
        expires_at=found.expires_at,
        origin=origin_of(given.address),
        sandbox=found.sandbox,
    )


async def _admin(claims: dict[str, Any], given: Given, at: datetime) -> Caller:
    admin_id, session_id, origin = _uuid(claims, "sub"), _uuid(claims, "sid"), origin_of(given.address)
    try:
        found = await admins.session(admins.anonymous(at, given.request_id, origin), session_id, given.address)
    except admins.Refused as error:
        raise _invalid() from error
    if found.admin_id != admin_id:
        raise _invalid()
    actor, permissions, expires_at = Actor(Door.ADMIN, str(admin_id)), ADMIN_GRANTS[found.role], _expiry(claims)
    if given.shop is None:
        return Caller(NOBODY, actor, permissions, expires_at=expires_at, origin=origin)
    merchant = await merchants.by_shop_domain(given.shop)
    if merchant is None:
        raise DomainError("There is no such shop.", field=("shop",), code=Code.NOT_FOUND)
    return _at_merchant(merchant, actor, permissions, expires_at, given)


def admin_session_of(authorization: str | None, at: datetime) -> UUID:
    """The session of an admin's token at the real instant `at`. Raises Unauthenticated."""
    claims = _own_claims((authorization or "").partition(" ")[2].strip(), at)
    if claims is None or claims["aud"] != ADMIN_AUDIENCE:
        raise _invalid()
    return _uuid(claims, "sid")


@lru_cache(VERIFIED_MAX)
def origin_of(address: str) -> str:
    """The network of an address, which tells where a caller is and not who: a /24, or a /48 of the longer kind."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))


def _uuid(claims: dict[str, Any], name: str) -> UUID:
    try:
        return UUID(claims[name])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _invalid() from error


def _expiry(claims: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (OverflowError, ValueError, OSError) as error:
        # Later than any calendar goes.
        raise _invalid() from error


def _invalid() -> Unauthenticated:
    return Unauthenticated("The credential is not valid, or not any more.")
