"""Credentials: what opens a door, and everything that looks like it and does not."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import jwt
import pytest

from api import auth
from api.auth import CUSTOMER_AUDIENCE, LEEWAY_S, Given, Unauthenticated, authenticate
from domain import db
from domain.settings import settings
from tests.conftest import CLIENT_ID, CLIENT_SECRET, PREVIOUS_SECRET
from tests.shop import Shop

ADJUST = """mutation ($customerId: ID!) {
    pointsAdjust(customerId: $customerId, points: 1, reason: "gift", idempotencyKey: "k") { userErrors { code } }
}"""


def session(shop: Shop, secret: str = CLIENT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A session token of Shopify's; a claim of None is left out."""
    now = datetime.now(UTC)
    claims = {
        "iss": f"https://{shop.merchant.shop_domain}/admin",
        "dest": f"https://{shop.merchant.shop_domain}",
        "aud": CLIENT_ID,
        "sub": "42",
        "exp": now + timedelta(minutes=1),
        "nbf": now,
        "iat": now,
        "jti": "f8912129-1af6-4cad-9ca3-76b0f7621087",
        "sid": "aaea182f2732d44c23057c0fea584021a4485b2bd25d3eb7fd349313ad24c685",
    } | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret, algorithm)


async def refused(shop: Shop, token: str, scheme: str = "Bearer") -> None:
    """The token opens nothing, and the answer does not tell why."""
    body = json.dumps({"query": "{ program { id } }"}).encode()
    headers = {"content-type": "application/json", "authorization": f"{scheme} {token}"}
    response = await shop.post("/graphql", body, headers)
    assert response.status_code == 401
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert error["message"] in (
        "The credential is not valid, or not any more.",
        "Send a credential: `Authorization: Bearer …`.",
    )
    assert response.json() == {"errors": [error]}


async def accepted(shop: Shop, token: str) -> None:
    assert await shop.data("{ program { id } }", token=token) == {"program": None}


async def test_staff_come_in_with_a_session_token(shop: Shop) -> None:
    await accepted(shop, session(shop))
    customer = await shop.customer()
    adjusted = await shop.data(ADJUST, token=session(shop), customerId=f"gid://loyalnest/Customer/{customer.id}")
    assert adjusted == {"pointsAdjust": {"userErrors": []}}
    async with db.connection(shop.scope()) as connection:
        assert await connection.fetchval("select actor from points_transactions") == "staff:42"


async def test_the_previous_secret_is_good_while_it_is_turned(shop: Shop) -> None:
    await accepted(shop, session(shop, PREVIOUS_SECRET))


async def test_a_checkouts_token_is_no_key_to_the_staff_room(shop: Shop) -> None:
    """An extension's token has the same signature and audience: what tells them apart is the issuer and the user."""
    domain = shop.merchant.shop_domain
    for changes in (
        {"iss": domain, "dest": domain},
        {"iss": f"https://{domain}", "dest": f"https://{domain}"},
        {"dest": domain},
        {"iss": None, "sub": "gid://shopify/Customer/1"},
        {"sub": "gid://shopify/Customer/1"},
        {"iss": f"https://{domain}/admin/"},
        {"dest": f"http://{domain}", "iss": f"http://{domain}/admin"},
        {"sub": ""},
        {"sub": "1" * 21},
    ):
        await refused(shop, session(shop, **changes))


async def test_clocks_may_differ_a_little(shop: Shop) -> None:
    now = datetime.now(UTC)
    within = timedelta(seconds=LEEWAY_S - 4)
    await accepted(shop, session(shop, exp=now - within))
    await accepted(shop, session(shop, nbf=now + within, iat=now + within))


AGO = timedelta(seconds=LEEWAY_S + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-app"},
        {"aud": None},
        {"iss": "https://another.myshopify.com/admin"},
        {"dest": "https://another.myshopify.com"},
        {"iss": "https://nobody-knows.myshopify.com/admin", "dest": "https://nobody-knows.myshopify.com"},
        {"iss": "https://example.com/admin", "dest": "https://example.com"},
        {"iss": "https://evil.com/x.myshopify.com", "dest": "https://evil.com/x.myshopify.com"},
        {"iss": "", "dest": ""},
        {"dest": 5},
        {"dest": "https://[broken"},
        {"sub": None},
        {"exp": None},
        {"nbf": None},
        {"iat": None},
        {"iss": None},
        {"dest": None},
        {"exp": "tomorrow"},
        {"iss": "loyalnest"},
    ],
)
async def test_a_session_token_that_is_not_quite_right(shop: Shop, changes: dict[str, Any]) -> None:
    await refused(shop, session(shop, **changes))


async def test_a_session_token_out_of_its_time(shop: Shop) -> None:
    now = datetime.now(UTC)
    await refused(shop, session(shop, exp=now - AGO))
    await refused(shop, session(shop, nbf=now + AGO * 2))
    await refused(shop, session(shop, iat=now + AGO * 2))


async def test_a_session_token_that_nobody_signed(shop: Shop) -> None:
    await refused(shop, session(shop, "another-secret-0123456789abcdef0"))
    await refused(shop, session(shop, "", "none"))
    for algorithm in ("HS384", "HS512"):
        await refused(shop, session(shop, CLIENT_SECRET * 2, algorithm))
    head, _, signature = session(shop).split(".")
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "1"}).encode()).decode().rstrip("=")
    await refused(shop, f"{head}.{claims}.{signature}")


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: str) -> str:
    """A token that no honest library would write, rightly signed."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    signature = hmac.digest(secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")])


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "..",
        "e30.e30.",
        "null",
        "x" * 100_000,
        "lnp_",
        "lnp_" + "x" * 43,
        "\u00e9\u00e9",
        "a.b.c.d.e",
    ],
)
async def test_what_is_no_credential_at_all(shop: Shop, token: str) -> None:
    body = json.dumps({"query": "{ program { id } }"}).encode()
    headers = {"content-type": b"application/json", "authorization": b"Bearer " + token.encode("latin-1")}
    response = await shop.post("/graphql", body, headers)  # type: ignore[arg-type]
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_claims_of_the_wrong_type(shop: Shop) -> None:
    good = jwt.decode(session(shop), options={"verify_signature": False})
    header = {"alg": "HS256", "typ": "JWT"}
    await accepted(shop, by_hand(header, good, CLIENT_SECRET))
    for name in ("iss", "dest", "sub", "aud", "exp", "nbf", "iat"):
        for wrong in (None, True, {}, [], ["x"], "x", -1, 1e400, 10**30):
            if (name, wrong) not in (("nbf", -1), ("iat", -1), ("nbf", True), ("iat", True)):
                await refused(shop, by_hand(header, good | {name: wrong}, CLIENT_SECRET))


@pytest.mark.parametrize("claims", [[], "text", 5, None])
async def test_claims_that_are_no_object(shop: Shop, claims: Any) -> None:
    await refused(shop, by_hand({"alg": "HS256", "typ": "JWT"}, claims, CLIENT_SECRET))


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearer:", ""])
async def test_another_scheme(shop: Shop, scheme: str) -> None:
    await refused(shop, shop.staff_token(), scheme)


async def test_no_header_at_all(shop: Shop) -> None:
    response = await shop.post("/graphql", b'{"query": "{ program { id } }"}', {"content-type": "application/json"})
    assert response.status_code == 401


async def test_the_scheme_is_read_in_any_letter_case(shop: Shop) -> None:
    headers = {"content-type": "application/json", "authorization": f"bEaReR {shop.staff_token()}"}
    response = await shop.post("/graphql", b'{"query": "{ program { id } }"}', headers)
    assert response.json() == {"data": {"program": None}}


def own_token(shop: Shop, secret: str | None = None, **changes: Any) -> str:
    """A customer's token; a claim of None is left out."""
    now = datetime.now(UTC)
    claims = {
        "iss": "loyalnest",
        "aud": CUSTOMER_AUDIENCE,
        "sub": str(uuid4()),
        "merchant": str(shop.merchant.id),
        "iat": now,
        "exp": now + timedelta(minutes=1),
    } | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret or settings().token_secret.get_secret_value(), "HS256")


async def test_a_customer_comes_in_and_sees_themself(shop: Shop) -> None:
    customer = await shop.customer()
    data = await shop.data("{ customer { shopifyId } }", token=own_token(shop, sub=str(customer.id)))
    assert data == {"customer": {"shopifyId": f"gid://shopify/Customer/{customer.shopify_id}"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "loyalnest:staff"},
        {"aud": CLIENT_ID},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": "not a uuid"},
        {"merchant": None},
        {"merchant": "not a uuid"},
        {"merchant": 5},
        {"merchant": ["x"]},
        {"iss": "another"},
        {"iss": None},
    ],
)
async def test_a_customers_token_that_is_not_quite_right(shop: Shop, changes: dict[str, Any]) -> None:
    await refused(shop, own_token(shop, **changes))


async def test_a_customers_token_expired_or_tampered(shop: Shop) -> None:
    now = datetime.now(UTC)
    await refused(shop, own_token(shop, exp=now - AGO))
    await refused(shop, own_token(shop, CLIENT_SECRET))
    head, claims, signature = own_token(shop).split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps(decoded | {"sub": str(uuid4())}).encode()).decode().rstrip("=")
    await refused(shop, f"{head}.{changed}.{signature}")
    await refused(shop, f"{head}.{claims}.{signature[:-4]}AAAA")


async def test_a_token_that_was_good_expires_all_the_same(shop: Shop) -> None:
    """Who was verified once is remembered, but for the time."""
    now = datetime.now(UTC)
    given = Given(f"Bearer {own_token(shop, exp=now + timedelta(minutes=5))}")
    for minutes in (0, 5):
        assert (await authenticate(given, now + timedelta(minutes=minutes))).merchant_id == shop.merchant.id
    with pytest.raises(Unauthenticated):
        await authenticate(given, now + timedelta(minutes=5, seconds=11))
    with pytest.raises(Unauthenticated):
        await authenticate(given, now + timedelta(days=1))
    assert (await authenticate(given, now)).merchant_id == shop.merchant.id


async def test_what_is_refused_is_not_remembered(shop: Shop) -> None:
    now = datetime.now(UTC)
    before = auth._verified.cache_info().currsize
    good = own_token(shop)
    for token in (own_token(shop, CLIENT_SECRET), own_token(shop, iss="another"), own_token(shop, exp=now - AGO), good[:-1], "x"):
        with pytest.raises(Unauthenticated):
            await authenticate(Given(f"Bearer {token}"), now)
    assert auth._verified.cache_info().currsize == before
    # Nor what another key has signed, whatever was good before.
    await authenticate(Given(f"Bearer {good}"), now)
    with pytest.raises(jwt.InvalidSignatureError):
        auth._verified(good, "another secret, as long as one has to be")


async def test_a_customers_token_names_its_merchant(shop: Shop, other_shop: Shop) -> None:
    """A customer's id under another merchant is nobody: the tenant comes from the signed token."""
    customer = await shop.customer()
    token = own_token(shop, sub=str(customer.id), merchant=str(other_shop.merchant.id))
    assert await shop.data("{ customer { id } }", token=token) == {"customer": None}


async def test_a_partner_comes_in_with_a_key(shop: Shop) -> None:
    await accepted(shop, await shop.partner_key())


async def test_a_partners_key_expired_revoked_or_unknown(shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    now = datetime.now(UTC)
    key = await shop.partner_key()
    await refused(shop, key[:-1] + ("a" if key[-1] != "a" else "b"))
    await refused(shop, key.upper())
    await refused(shop, await shop.partner_key(expires_at=now - timedelta(seconds=1)))
    await accepted(shop, await shop.partner_key(expires_at=now + timedelta(minutes=1)))
    await accepted(shop, key)
    await owner.execute("update api_keys set revoked_at = now() where merchant_id = $1", shop.merchant.id)
    await refused(shop, key)


async def test_a_key_is_kept_as_a_hash_only(shop: Shop, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    key = await shop.partner_key()
    [row] = await owner.fetch("select * from api_keys where merchant_id = $1", shop.merchant.id)
    assert key.removeprefix("lnp_") not in repr(dict(row))
    assert key.encode() not in bytes(row["key_hash"])
