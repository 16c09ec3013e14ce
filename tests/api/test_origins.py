"""Whose page may show which credential: any a customer's token, and our own alone those of staff, partners and the platform."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets

from api.auth import staff_token
from tests.api.admin import person
from tests.api.serving import PROTOCOL, Serving, heard, say, serving
from tests.api.test_install import session_token
from tests.shop import Shop

# uvicorn announces another implementation: api/__main__.py says why it has to wait.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OWN = ("http://loyalnest.test", "HTTP://LoyalNest.test")
"""`LOYALNEST_PUBLIC_URL` of the tests, which is the host that they ask too."""
FOREIGN = (
    "https://evil.test",
    "https://cedar.example.com",
    "https://extensions.shopifycdn.com",
    "null",
    "",
    "file://",
    "http://loyalnest.test.evil.test",
    "http://evil.test/loyalnest.test",
    "http://loyalnest.test@evil.test",
    "http://loyalnest.test:8080",
    "http://loyalnest.test/",
    "http://loyalnest.test http://evil.test",
    "ftp://loyalnest.test",
    "loyalnest.test",
    "*",
)
ROLES = ("staff", "staff's own", "partner", "admin")
QUERY = "query { __typename }"


async def credential(shop: Shop, role: str) -> str:
    match role:
        case "customer":
            return shop.customer_token((await shop.customer()).id)
        case "staff":
            return shop.staff_token()
        case "staff's own":
            return staff_token(shop.merchant.shop_domain, "90210", datetime.now(UTC), timedelta(minutes=5))
        case "partner":
            return await shop.partner_key()
        case _:
            return (await (await person(shop)).tokens())["token"]


async def send(shop: Shop, method: str, path: str, token: str | None, body: Any, *origins: str) -> tuple[int, str | None]:
    """The status and the code of what is answered to a page."""
    headers = [("origin", origin) for origin in origins]
    if token is not None:
        headers.append(("authorization", f"Bearer {token}"))
    transport = httpx.ASGITransport(app=shop.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
        response = await client.request(method, path, json=body, headers=headers)
    if any(origins):
        # Whatever it is, the page may read it: it is told why it is refused.
        assert response.headers["access-control-allow-origin"] == "*"
    errors = response.json().get("errors")
    return response.status_code, errors[0]["extensions"]["code"] if errors else None


@pytest.mark.parametrize("role", ROLES)
async def test_over_http_only_our_own_pages_and_servers_show_it(shop: Shop, role: str) -> None:
    token, body = await credential(shop, role), {"query": QUERY}
    assert await send(shop, "POST", "/graphql", token, body) == (200, None)
    for origin in OWN:
        assert await send(shop, "POST", "/graphql", token, body, origin) == (200, None), origin
    for origin in FOREIGN:
        assert await send(shop, "POST", "/graphql", token, body, origin) == (403, "ORIGIN_FOREIGN"), origin
    assert await send(shop, "POST", "/graphql", token, body, OWN[0], "https://evil.test") == (403, "ORIGIN_FOREIGN")
    # Of what is no credential nothing else is told to anybody.
    assert await send(shop, "POST", "/graphql", f"{token}x", body, "https://evil.test") == (401, "UNAUTHENTICATED")


async def test_a_foreign_page_changes_nothing(shop: Shop) -> None:
    body = {"query": 'mutation { storeInvite(shopDomain: "maple.myshopify.com") { userErrors { code } } }'}
    for _ in range(2):
        assert await send(shop, "POST", "/graphql", shop.staff_token(), body, "https://evil.test") == (403, "ORIGIN_FOREIGN")
    found = await shop.data("query { merchant { stores { shopDomain } } }")
    assert [one["shopDomain"] for one in found["merchant"]["stores"]] == [shop.merchant.shop_domain]


async def test_a_customers_token_is_for_every_page(shop: Shop) -> None:
    token = await credential(shop, "customer")
    for origin in (*OWN, *FOREIGN):
        assert await send(shop, "POST", "/graphql", token, {"query": QUERY}, origin) == (200, None), origin
    extension = session_token(shop.merchant.shop_domain, sub="gid://shopify/Customer/7")
    for origin in ("null", "https://extensions.shopifycdn.com", "https://cedar.example.com"):
        assert await send(shop, "POST", "/tokens/customer", extension, None, origin) == (200, None)


async def test_where_such_a_credential_is_made_a_foreign_page_gets_none(shop: Shop) -> None:
    someone = await person(shop)
    tokens = await someone.tokens()
    session = session_token(shop.merchant.shop_domain)
    signing_in = {"email": someone.email, "password": someone.password, "code": someone.code()}
    for method, path, token, body in (
        ("POST", "/tokens/staff", session, None),
        ("POST", "/auth/session", session, None),
        ("POST", "/admin/sessions", None, signing_in),
        ("POST", "/admin/sessions/refresh", None, {"refreshToken": tokens["refreshToken"]}),
        ("DELETE", "/admin/sessions", tokens["token"], None),
    ):
        for origin in ("https://evil.test", "null"):
            assert await send(shop, method, path, token, body, origin) == (403, "ORIGIN_FOREIGN"), path
    # Neither the code, nor the refresh token, nor the session was used up by that.
    assert await send(shop, "POST", "/tokens/staff", session, None, OWN[0]) == (200, None)
    assert await send(shop, "POST", "/admin/sessions", None, signing_in, OWN[0]) == (200, None)
    assert await send(shop, "POST", "/graphql", tokens["token"], {"query": QUERY}, OWN[0]) == (200, None)
    refreshing = {"refreshToken": tokens["refreshToken"]}
    assert await send(shop, "POST", "/admin/sessions/refresh", None, refreshing, OWN[0]) == (200, None)


@pytest.fixture
async def served(application: Any) -> AsyncGenerator[Serving, None]:
    async with serving(application) as server:
        yield server


async def greeted(served: Serving, token: str, origin: str | None) -> str | int:
    """What a socket is told first: the type of a message, or the code with which it is closed."""
    return await first_word(served, {"authorization": f"Bearer {token}"}, origin=origin)


async def first_word(served: Serving, payload: dict[str, str], **options: Any) -> str | int:
    async with websockets.connect(served.url, subprotocols=PROTOCOL, **options) as client:
        await say(client, type="connection_init", payload=payload)
        try:
            return (await heard(client))["type"]
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else "cut"


@pytest.mark.parametrize("role", ROLES)
async def test_over_a_socket_only_our_own_pages_and_servers_show_it(served: Serving, shop: Shop, role: str) -> None:
    token = await credential(shop, role)
    same_host = served.url.replace("ws://", "http://").removesuffix("/graphql")
    for origin in (None, OWN[0], same_host):
        assert await greeted(served, token, origin) == "connection_ack", origin
    for origin in ("https://evil.test", "null", "http://127.0.0.1", "https://extensions.shopifycdn.com"):
        assert await greeted(served, token, origin) == 4403, origin


async def test_over_a_socket_a_customers_token_is_for_every_page(served: Serving, shop: Shop) -> None:
    token = await credential(shop, "customer")
    for origin in (None, "null", "https://cedar.example.com", "https://evil.test"):
        assert await greeted(served, token, origin) == "connection_ack", origin


async def test_the_handshake_shows_it_too(served: Serving, shop: Shop) -> None:
    """The credential may stand in the handshake's header instead of the first message: servers can do that, and no page."""
    shown = {"authorization": f"Bearer {shop.staff_token()}"}
    assert await first_word(served, {}, additional_headers=shown) == "connection_ack"
    assert await first_word(served, {}, additional_headers=shown, origin="https://evil.test") == 4403
