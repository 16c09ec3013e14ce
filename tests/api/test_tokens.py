"""Where Shopify's word becomes a token of ours: the app proxy, the extensions, and the admin's session token."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest

from api.auth import staff_token
from api.tokens import CUSTOMER_LASTS, STAFF_LASTS
from domain import customers
from integrations.shopify.oauth import PROXY_AGE_MAX_S
from tests.conftest import CLIENT_ID, CLIENT_SECRET, PREVIOUS_SECRET
from tests.shop import Shop

ME = "{ customer { shopifyId } }"


async def get(shop: Shop, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=shop.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
        return await client.get(path, **options)


def proxied(of: Shop, secret: str = CLIENT_SECRET, **changes: Any) -> str:
    """A signed query as Shopify's app proxy sends it: a list gives a repeated parameter."""
    given: dict[str, Any] = {
        "shop": of.merchant.shop_domain,
        "logged_in_customer_id": "207119551",
        "path_prefix": "/apps/loyalty",
        "timestamp": str(int(datetime.now(UTC).timestamp())),
    } | changes
    kept = {name: value if isinstance(value, list) else [value] for name, value in given.items() if value is not None}
    message = "".join(f"{name}={','.join(kept[name])}" for name in sorted(kept))
    kept["signature"] = [hmac.digest(secret.encode(), message.encode(), "sha256").hex()]
    return urlencode([(name, one) for name, values in kept.items() for one in values])


async def test_a_page_of_the_shop_gets_a_token_for_its_customer(shop: Shop) -> None:
    response = await get(shop, f"/proxy/token?{proxied(shop)}")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    answer = response.json()
    assert timedelta(0) < datetime.fromisoformat(answer["expiresAt"]) - datetime.now(UTC) <= CUSTOMER_LASTS
    assert await shop.data(ME, token=answer["token"]) == {"customer": {"shopifyId": "gid://shopify/Customer/207119551"}}
    again = (await get(shop, f"/proxy/token?{proxied(shop, PREVIOUS_SECRET, extra=['a', 'b'])}")).json()
    assert await shop.data(ME, token=again["token"]) == {"customer": {"shopifyId": "gid://shopify/Customer/207119551"}}
    assert len(await customers.page(shop.scope(), 10, None, None)) == 1


@pytest.mark.parametrize("customer", ["", "x", None, "-1", "9" * 19, "9" * 30, "١٢٣"])
async def test_a_guest_gets_none(shop: Shop, customer: str | None) -> None:
    response = await get(shop, f"/proxy/token?{proxied(shop, logged_in_customer_id=customer)}")
    assert (response.status_code, response.json()) == (200, {"token": None, "expiresAt": None})
    assert await customers.page(shop.scope(), 10, None, None) == []


async def test_a_query_that_shopify_did_not_sign(shop: Shop, other_shop: Shop) -> None:
    now = int(datetime.now(UTC).timestamp())
    good = proxied(shop)
    queries = [
        "",
        "shop=x",
        "&&&",
        "%ff=%ff",
        "x" * 5_000,
        "&".join(f"a{number}=1" for number in range(200)),
        good.replace("207119551", "207119552"),
        good + "&shop=" + shop.merchant.shop_domain,
        good + "&signature=x",
        good + "&timestamp=1",
        good.replace(shop.merchant.shop_domain, other_shop.merchant.shop_domain),
        proxied(shop, "another secret"),
        proxied(shop, timestamp=str(now - PROXY_AGE_MAX_S - 5)),
        proxied(shop, timestamp=str(now + PROXY_AGE_MAX_S + 5)),
        proxied(shop, timestamp="soon"),
        proxied(shop, timestamp="9" * 30),
        proxied(shop, timestamp=None),
        proxied(shop, shop=None),
        proxied(shop, shop="nobody-knows.myshopify.com"),
        proxied(shop, shop=[shop.merchant.shop_domain, shop.merchant.shop_domain]),
        good.partition("signature")[0] + "signature=" + "é",
    ]
    for query in queries:
        response = await get(shop, f"/proxy/token?{query}")
        assert response.status_code == 401, query
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await customers.page(shop.scope(), 10, None, None) == []


def extension(shop: Shop, secret: str = CLIENT_SECRET, **changes: Any) -> str:
    """A token as checkout gives it to an extension; a claim of None is left out."""
    now = datetime.now(UTC)
    claims = {
        "dest": shop.merchant.shop_domain,
        "aud": CLIENT_ID,
        "sub": "gid://shopify/Customer/207119551",
        "exp": now + timedelta(minutes=5),
        "nbf": now,
        "iat": now,
        "jti": "one",
    } | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, "HS256")


async def exchange(shop: Shop, path: str, token: str) -> httpx.Response:
    return await shop.post(path, b"", {"authorization": f"Bearer {token}"})


async def test_an_extension_gets_a_token_for_its_customer(shop: Shop) -> None:
    for token in (extension(shop), extension(shop, dest=f"https://{shop.merchant.shop_domain}")):
        response = await exchange(shop, "/tokens/customer", token)
        assert response.status_code == 200
        own = response.json()["token"]
        assert await shop.data(ME, token=own) == {"customer": {"shopifyId": "gid://shopify/Customer/207119551"}}
    # Shopify's own token opens nothing by itself.
    assert (await shop.ask(ME, token=extension(shop), status=401))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": "207119551"},
        {"sub": "gid://shopify/Customer/"},
        {"sub": "gid://shopify/Customer/99999999999999999999"},
        {"sub": "gid://shopify/Customer/9999999999999999999"},
        {"sub": "gid://shopify/Order/1"},
        {"sub": 5},
        {"dest": None},
        {"dest": "nobody-knows.myshopify.com"},
        {"dest": "https://evil.example.com"},
        {"dest": 5},
        {"aud": "another"},
        {"exp": None},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
async def test_an_extensions_token_that_is_not_quite_right(shop: Shop, changes: dict[str, Any]) -> None:
    assert (await exchange(shop, "/tokens/customer", extension(shop, **changes))).status_code == 401


async def test_tokens_of_other_doors_are_none_of_an_extension(shop: Shop) -> None:
    customer = await shop.customer()
    others = [
        shop.staff_token(),
        shop.customer_token(customer.id),
        await shop.partner_key(),
        "",
        "x",
        extension(shop, "wrong" * 8),
    ]
    for token in others:
        assert (await exchange(shop, "/tokens/customer", token)).status_code == 401
    for token in [*others[1:], extension(shop)]:
        assert (await exchange(shop, "/tokens/staff", token)).status_code == 401


async def test_staff_get_a_token_that_lasts_as_long_as_a_socket_needs(shop: Shop) -> None:
    response = await exchange(shop, "/tokens/staff", shop.staff_token())
    assert response.status_code == 200
    token = response.json()["token"]
    data = await shop.data("{ viewer { actor permissions } }", token=token)
    assert data["viewer"]["actor"] == "staff:90210"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == STAFF_LASTS.total_seconds()
    late = staff_token(shop.merchant.shop_domain, "90210", datetime.now(UTC) - timedelta(hours=1), STAFF_LASTS)
    assert (await shop.ask("{ viewer { actor } }", token=late, status=401))["errors"]


async def test_a_page_from_anywhere_may_ask(shop: Shop) -> None:
    """There is no cookie, so that a foreign page has no more than the token that it holds."""
    transport = httpx.ASGITransport(app=shop.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
        headers = {
            "origin": "https://cedar.example.com",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        asked = await client.options("/graphql", headers=headers)
    assert asked.status_code in (200, 204)
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in asked.headers
    assert "authorization" in asked.headers["access-control-allow-headers"]
