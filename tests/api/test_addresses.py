"""Names that would lead the server, or a browser, somewhere else: refused at every door at which a name comes in.

Names of shops come in at many doors, and in one place one becomes an address to ask (oauth.base_url). Files of bulk operations
are told by Shopify, and pages to follow by merchants. Redirects are followed from nowhere.
"""

import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import httpx2
import jwt
import pytest
import stamina

from api.auth import Given, authenticate
from api.install import AUDIENCE, COOKIE, ISSUER
from domain import installations
from domain.db import Connection
from domain.errors import Code, DomainError
from domain.installations import Grant
from domain.programs import Actions
from domain.programs.actions import FollowRule, InvalidActions, Network, validate_actions
from domain.settings import settings
from integrations.shopify import Refused, Shopify, Unanswered, bulk, oauth
from integrations.shopify.client import client
from tests.api.admin import person
from tests.api.hosts import HOSTS
from tests.api.test_install import session_token, signed
from tests.conftest import CLIENT_SECRET
from tests.integrations.test_oauth import signed_proxy_query
from tests.rewards import offer, rich
from tests.shop import Shop, rate

TYPED = {
    name: f"{name}.myshopify.com"
    for name in ("2130706433", "0x7f000001", "017700000001", "2852039166", "0xa9fea9fe", "localhost")
}
TYPED["cedar.myshopify.com\n"] = "cedar.myshopify.com"
"""What `/auth?shop=` takes for the name of a shop at Shopify, and which."""

Door = Callable[[Shop, str], Awaitable[tuple[int, str]]]
Left = list[tuple[str, str]]


@pytest.fixture
async def left(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Left, None]:
    """Every request that leaves for Shopify meanwhile, as (method, address). All are answered by what a caller could use."""
    seen: Left = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.method, str(request.url)))
        return httpx2.Response(200, json={"access_token": "a", "expires_in": 9, "refresh_token": "r", "scope": oauth.SCOPES})

    shopify = Shopify(http=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
    process = shop.application.state["process"]
    for name in ("http", "cache"):
        monkeypatch.setattr(process.shopify, name, getattr(shopify, name))
    yield seen
    await shopify.close()


def code_of(response: httpx.Response) -> tuple[int, str]:
    if response.status_code == 302:
        return 302, response.headers["location"].partition("?")[0]
    body = response.json()
    return response.status_code, body["errors"][0]["extensions"]["code"] if "errors" in body else body["status"]


async def get(shop: Shop, path: str, **headers: str) -> tuple[int, str]:
    transport = httpx.ASGITransport(app=shop.application)
    async with httpx.AsyncClient(transport=transport, base_url="https://loyalnest.test") as asking:
        return code_of(await asking.get(path, headers=headers))


async def begin(shop: Shop, name: str) -> tuple[int, str]:
    return await get(shop, f"/auth?shop={quote(name)}")


async def callback(shop: Shop, name: str) -> tuple[int, str]:
    """With Shopify's signature, and with a cookie as if this server had begun with that very name."""
    at = datetime.now(UTC)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": at + timedelta(minutes=1), "iat": at, "state": "s", "shop": name}
    cookie = jwt.encode(claims, settings().token_secret.get_secret_value(), "HS256")
    query = signed({"shop": name, "code": "c", "state": "s", "timestamp": str(int(at.timestamp()))})
    return await get(shop, f"/auth/callback?{query}", cookie=f"{COOKIE}={cookie}")


async def first_load(shop: Shop, name: str) -> tuple[int, str]:
    return code_of(await shop.post("/auth/session", b"", {"authorization": f"Bearer {session_token(name)}"}))


async def staff_door(shop: Shop, name: str) -> tuple[int, str]:
    return code_of(await shop.post("/tokens/staff", b"", {"authorization": f"Bearer {session_token(name)}"}))


async def extension_door(shop: Shop, name: str) -> tuple[int, str]:
    token = session_token(name, sub="gid://shopify/Customer/7")
    return code_of(await shop.post("/tokens/customer", b"", {"authorization": f"Bearer {token}"}))


async def graphql_door(shop: Shop, name: str) -> tuple[int, str]:
    body = json.dumps({"query": "{ merchant { id } }"}).encode()
    given = {"authorization": f"Bearer {session_token(name)}", "content-type": "application/json"}
    return code_of(await shop.post("/graphql", body, given))


async def proxy(shop: Shop, name: str) -> tuple[int, str]:
    stamp = str(int(datetime.now(UTC).timestamp()))
    pairs = signed_proxy_query([("shop", name), ("logged_in_customer_id", "7"), ("timestamp", stamp)], CLIENT_SECRET)
    return await get(shop, "/proxy/token?" + "&".join(f"{key}={quote(value)}" for key, value in pairs))


async def webhook(shop: Shop, name: str) -> tuple[int, str]:
    body = b'{"id": 1}'
    headers: Any = shop.webhook_headers("orders/create", body) | {"x-shopify-shop-domain": name.encode()}
    return code_of(await shop.post("/webhooks/shopify", body, headers))


async def review(shop: Shop, name: str) -> tuple[int, str]:
    return code_of(await shop.post(f"/webhooks/yotpo?shop={quote(name)}&key=k", b"{}", {}))


DOORS: tuple[tuple[Door, set[tuple[int, str]]], ...] = (
    (begin, {(400, "BAD_INPUT")}),
    # Where a name holds what Shopify escapes in a signature, that is not good either.
    (callback, {(400, "BAD_INPUT"), (401, "UNAUTHENTICATED")}),
    (first_load, {(401, "UNAUTHENTICATED")}),
    (staff_door, {(401, "UNAUTHENTICATED")}),
    (extension_door, {(401, "UNAUTHENTICATED")}),
    (graphql_door, {(401, "UNAUTHENTICATED")}),
    (proxy, {(401, "UNAUTHENTICATED")}),
    (webhook, {(404, "unknown_shop")}),
    (review, {(401, "bad_signature")}),
)


async def counts(owner: Connection) -> list[int]:
    """How many shops there are, and what was said of any to anybody."""
    tables = ("merchants", "stores", "store_invitations", "outbox")
    return [await owner.fetchval(f"select count(*) from {table}") for table in tables]


def test_there_are_more_than_forty_names() -> None:
    assert len(set(HOSTS)) == len(HOSTS) > 40


@pytest.mark.parametrize(("door", "refusals"), DOORS, ids=[door.__name__ for door, _ in DOORS])
async def test_no_door_takes_such_a_name_for_a_shops(
    shop: Shop, owner: Connection, left: Left, door: Door, refusals: set[tuple[int, str]]
) -> None:
    before = await counts(owner)
    for name in HOSTS:
        answer = await door(shop, name)
        if door is begin and name in TYPED:
            # In a browser's address line a merchant may leave the end out, and there is no other end.
            assert answer == (302, f"http://shopify.test/{TYPED[name]}/admin/oauth/authorize")
        else:
            assert answer in refusals, name
    assert left == []
    assert await counts(owner) == before


STORES = """
    mutation ($shop: String!) {
        storeInvite(shopDomain: $shop) { userErrors { code field } }
        storeJoin(shopDomain: $shop) { userErrors { code field } }
        storeRemove(shopDomain: $shop) { userErrors { code field } }
    }
"""
REDEEM = """
    mutation ($shop: String!, $reward: ID!, $customer: ID!) {
        rewardRedeem(shopDomain: $shop, rewardId: $reward, customerId: $customer, idempotencyKey: "k") {
            redemption { id } userErrors { code field }
        }
    }
"""


async def test_no_command_takes_such_a_name(shop: Shop, owner: Connection, left: Left) -> None:
    await shop.publish(rate(1))
    reward, customer = await offer(shop), await rich(shop, 1_000)
    before = await counts(owner)
    named = {"reward": f"gid://loyalnest/Reward/{reward.id}", "customer": f"gid://loyalnest/Customer/{customer.id}"}
    wrong = {name: [{"code": code, "field": ["shopDomain"]}] for name, code in (("bad", "BAD_INPUT"), ("none", "NOT_FOUND"))}
    unstorable = [{"code": "BAD_INPUT", "field": []}]
    for name in HOSTS:
        # Around a name there may be spaces, as where it is copied from.
        if name.strip() != name:
            continue
        answer = await shop.data(STORES, shop=name)
        assert answer["storeInvite"]["userErrors"] == wrong["bad"], name
        assert answer["storeJoin"]["userErrors"] == wrong["none"], name
        assert answer["storeRemove"]["userErrors"] == wrong["none"], name
        redeemed = (await shop.data(REDEEM, shop=name, **named))["rewardRedeem"]
        assert (redeemed["redemption"], redeemed["userErrors"] in (wrong["none"], unstorable)) == (None, True), name
    assert left == []
    assert await counts(owner) == before
    assert await shop.balance(customer.id) == (1_000, 0)


async def test_the_platforms_people_mean_no_such_shop(shop: Shop, left: Left) -> None:
    someone = await person(shop)
    token = (await someone.tokens())["token"]
    body = json.dumps({"query": "{ merchant { id } }"}).encode()
    for name in HOSTS:
        headers: Any = {"authorization": f"Bearer {token}", "content-type": "application/json", "x-loyalnest-shop": name.encode()}
        status, code = code_of(await shop.post("/graphql", body, headers))
        assert (status, code) == (400, "NOT_FOUND"), name
        with pytest.raises(DomainError) as refused:
            await authenticate(Given(f"Bearer {token}", "127.0.0.1", name), datetime.now(UTC))
        assert refused.value.code is Code.NOT_FOUND
    assert left == []


def test_no_such_name_becomes_an_address() -> None:
    """Wherever it came from: what is asked for an address is asked here."""
    for name in HOSTS:
        with pytest.raises(Refused):
            oauth.base_url(name)
        with pytest.raises(Refused):
            oauth.authorize_url(name, "s", "http://loyalnest.test")
    assert oauth.base_url("cedar.myshopify.com") == "http://shopify.test/cedar.myshopify.com"


async def test_a_domain_that_was_changed_in_the_database_is_not_asked(shop: Shop, owner: Connection, left: Left) -> None:
    """The tokens of the shop would go there."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    await installations.install(shop.now(), Grant("access", soon, "refresh", soon, oauth.SCOPES))
    await owner.execute("update merchants set shop_domain = $2 where id = $1", shop.merchant.id, "169.254.169.254")
    shopify = Shopify(http=shop.application.state["process"].shopify.http)
    with pytest.raises(Refused):
        await shopify.call(shop.now(), "ShopInfo")
    assert left == []
    await shopify.cache.aclose()


FILES = (
    *(f"{scheme}://{host}/file" for host in HOSTS for scheme in ("http", "https") if host),
    "",
    "/file",
    "//storage.googleapis.com/file",
    "file:///etc/passwd",
    "http://storage.googleapis.com/file",
    "https://storage.googleapis.com:8443/file",
    "https://storage.googleapis.com@evil.test/file",
    "https://user@storage.googleapis.com/file",
    "https://storage.googleapis.com.evil.test/file",
    "https://storage.googleapis.com\\@evil.test/file",
    "https://evil.test/https://storage.googleapis.com/file",
    "http://shopify.test:81/file",
    "https://shopify.test/file",
    None,
    7,
)


def test_files_are_fetched_from_nowhere_else() -> None:
    own = "http://shopify.test/cedar.myshopify.com"
    for told in FILES:
        with pytest.raises(Refused) as refused:
            bulk._file(told, own)
        assert refused.value.code == "FOREIGN_FILE", told
    for told in ("https://storage.googleapis.com/a/b?c=d", f"{own}/bulk/1"):
        assert str(bulk._file(told, own)) == told


PAGES = (
    *(f"https://{host}/shop" for host in HOSTS if host),
    "http://instagram.com/shop",
    "//instagram.com/shop",
    "https:instagram.com/shop",
    "https:\\\\instagram.com/shop",
    "https://instagram.com\\@evil.test/",
    "https://instagram.com@evil.test/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://",
    "https://[",
    "https://instagram.com/ shop",
    "https://instagram.com/\nshop",
)
NAMED = {"metadata.google.internal", "127.0.0.1.nip.io", "cedar.myshopify.com.evil.test", "cedar.myshopify.comevil.test"}
NAMED |= {"cedarmyshopify.com", "evil.test/cedar.myshopify.com", "evil.cedar.myshopify.com", "xn--cedr-63d.xn--myshopif-5wi.com"}


def test_customers_are_sent_to_pages_that_read_alike_everywhere() -> None:
    """The merchant's own page may be anywhere that has a name; the server never asks for it."""
    named = {f"https://{host}/shop" for host in NAMED}
    for url in PAGES:
        if url not in named:
            with pytest.raises(InvalidActions) as refused:
                validate_actions(Actions(follows=(FollowRule(Network.X, 1, url),)))
            assert refused.value.field == ("actions", "follows", "0", "url")
    for url in (
        *named,
        "https://instagram.com/cedar",
        "https://www.youtube.com/@cedar?a=b#c",
        "https://x.com",
        "https://fb.com/Käse",
    ):
        validate_actions(Actions(follows=(FollowRule(Network.X, 1, url),)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(shop: Shop, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """By a call, by a token, and by a file, whose answers all say: ask there."""
    asked: list[str] = []

    def elsewhere(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return httpx2.Response(status, headers={"location": "http://169.254.169.254/latest/meta-data/"})

    soon = datetime.now(UTC) + timedelta(hours=1)
    await installations.install(shop.now(), Grant("access", soon, "refresh", soon, oauth.SCOPES))
    http = client()
    monkeypatch.setattr(http, "_transport", httpx2.MockTransport(elsewhere))
    shopify = Shopify(http=http)
    with stamina.set_testing(True, attempts=1):
        with pytest.raises(Unanswered):
            await shopify.call(shop.now(), "ShopInfo")
        with pytest.raises(Refused):
            await oauth.by_code(http, shop.merchant.shop_domain, "c", shop.at)
        with pytest.raises(Unanswered):
            await bulk._download(http, httpx2.URL("https://storage.googleapis.com/file"), 4, io.BytesIO())
    assert asked == ["shopify.test", "shopify.test", "storage.googleapis.com"]
    await shopify.close()
