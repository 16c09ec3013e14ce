"""Installing the app: the code grant, token exchange on first load, and everything that only looks like it."""

import hmac
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import httpx
import jwt
import pytest
import stamina

from api.install import AUDIENCE, COOKIE, ISSUER
from domain import db, installations, merchants
from domain.merchants import stores
from domain.rewards import RewardKind
from domain.scope import system
from domain.settings import settings
from integrations.shopify.webhooks import PATH, needed
from local.shopify_stand_in.faults import Fault
from tests.conftest import CLIENT_ID, CLIENT_SECRET, PREVIOUS_SECRET
from tests.rewards import definition, offer
from tests.shop import Shop
from tests.stand_in import Beside, beside, work
from workers.installations import compare

Connection = asyncpg.Connection  # type: ignore[type-arg]
NOW = datetime.now(UTC)


@pytest.fixture
async def here(shop: Shop) -> AsyncGenerator[Beside, None]:
    """The application and the stand-in, with the application's own way to Shopify leading there."""
    with stamina.set_testing(True, attempts=2):
        async with beside(shop) as found:
            process = shop.application.state["process"]
            shop.application.state["process"] = replace(process, shopify=found.shopify)
            yield found
            shop.application.state["process"] = process


async def fetch(here: Beside, method: str, address: str, cookie: str | None = None, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=here.shop.application)
    given = headers | ({} if cookie is None else {"cookie": f"{COOKIE}={cookie}"})
    async with httpx.AsyncClient(transport=transport, base_url="https://loyalnest.test") as client:
        return await client.request(method, address, headers=given)


async def begin(here: Beside, shop: str) -> tuple[str, str]:
    """(cookie, the address to which Shopify sends the merchant back)."""
    begun = await fetch(here, "GET", f"/auth?shop={shop}")
    assert begun.status_code == 302, begun.text
    sent = await here.shopify.http.get(begun.headers["location"])
    assert sent.status_code == 302
    return begun.cookies[COOKIE], sent.headers["location"]


def signed(query: dict[str, str], secret: str = CLIENT_SECRET) -> str:
    """A query as Shopify signs it, by another hand than the one that is tested."""
    kept = {name: value for name, value in query.items() if name != "hmac"}
    message = "&".join(f"{name}={value}" for name, value in sorted(kept.items()))
    return urlencode(kept | {"hmac": hmac.digest(secret.encode(), message.encode(), "sha256").hex()})


def session_token(shop: str, secret: str = CLIENT_SECRET, **changes: Any) -> str:
    now = datetime.now(UTC)
    claims = {
        "iss": f"https://{shop}/admin",
        "dest": f"https://{shop}",
        "aud": CLIENT_ID,
        "sub": "42",
        "exp": now + timedelta(minutes=1),
        "nbf": now,
        "iat": now,
        "jti": "j",
        "sid": "s",
    }
    return jwt.encode(claims | changes, secret, "HS256")


async def installed(shop: str) -> installations.Installation | None:
    home = await merchants.home_of(shop)
    return None if home is None else await installations.current(system(home.id))


def fresh(here: Beside) -> str:
    """A shop that nobody knows yet."""
    return f"new-{here.shop.merchant.shop_domain}"


async def test_a_new_shop_installs_the_app(here: Beside, owner: Connection) -> None:
    shop = fresh(here)
    here.stand_in.shop(shop, "JPY")
    begun = await fetch(here, "GET", f"/auth?shop=https://{shop.upper()}/admin")
    kept = begun.headers["set-cookie"].lower()
    for part in ("httponly", "secure", "samesite=lax", "path=/", "max-age=600"):
        assert part in kept
    cookie, back = await begin(here, shop)
    assert back.startswith("http://loyalnest.test/auth/callback?")
    done = await fetch(here, "GET", back, cookie)
    assert (done.status_code, done.headers["location"]) == (302, f"http://shopify.test/{shop}/admin/apps/{CLIENT_ID}")
    assert f'{COOKIE}=""' in done.headers["set-cookie"] or f"{COOKIE}=;" in done.headers["set-cookie"]
    merchant = await merchants.by_shop_domain(shop)
    assert merchant is not None
    assert (merchant.name, merchant.currency) == ("Stand-in", "JPY")
    found = await installed(shop)
    assert found is not None
    assert here.stand_in.shop(shop).allows(found.access_token)
    await owner.execute("set role loyalnest_app")
    await owner.execute(f"set app.merchant = '{merchant.id}'")
    row = await owner.fetchrow("select access_token, refresh_token, webhooks_due_at from installations")
    assert row is not None
    assert found.access_token.encode() not in row["access_token"]
    assert row["webhooks_due_at"] is not None
    # The code is good once, and the browser has forgotten what it had begun.
    assert (await fetch(here, "GET", back, cookie)).status_code == 400
    assert (await fetch(here, "GET", back)).status_code == 401


async def test_what_is_not_what_shopify_and_this_browser_began(here: Beside) -> None:
    shop, another = fresh(here), here.shop.merchant.shop_domain
    cookie, back = await begin(here, shop)
    foreign, _ = await begin(here, shop)
    other_shops, _ = await begin(here, another)
    query = dict(parse_qsl(urlsplit(back).query))
    stale = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW - timedelta(minutes=1), "state": query["state"], "shop": shop}
    secret = settings().token_secret.get_secret_value()
    day = str(int((NOW - timedelta(days=1, minutes=1)).timestamp()))
    wrong: list[tuple[str, str | None]] = [
        (signed(query), None),
        (signed(query), ""),
        (signed(query), "x.y.z"),
        (signed(query), foreign),
        (signed(query), other_shops),
        (signed(query), jwt.encode(stale, secret)),
        (signed(query), jwt.encode(stale | {"exp": NOW + timedelta(minutes=1)}, "another secret" * 4)),
        (signed(query), jwt.encode(stale | {"exp": NOW + timedelta(minutes=1), "aud": "loyalnest:staff"}, secret)),
        (signed(query, "another secret"), cookie),
        (signed(query | {"state": "another"}), cookie),
        (signed(query | {"state": "é"}), cookie),
        (signed(query | {"shop": another}), cookie),
        (signed(query | {"shop": "evil.example.com"}), cookie),
        (signed(query | {"timestamp": day}), cookie),
        (signed(query | {"timestamp": "soon"}), cookie),
        (signed(query | {"timestamp": "-1"}), cookie),
        (signed(query | {"timestamp": "9" * 11}), cookie),
        (urlencode(query | {"hmac": "é" * 64}), cookie),
        (urlencode(query | {"hmac": ""}), cookie),
        (urlencode(query | {"shop": another}), cookie),
        (signed(query) + f"&shop={another}", cookie),
        (signed({name: value for name, value in query.items() if name != "code"}), cookie),
        ("", cookie),
        ("x" * 5000, cookie),
        ("&".join(f"a{number}=1" for number in range(100)), cookie),
        ("%ff=%ff", cookie),
    ]
    for text, given in wrong:
        answer = await fetch(here, "GET", f"/auth/callback?{text}", given)
        assert answer.status_code == 401, (text, given)
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await merchants.home_of(shop) is None
    # The same with everything right, and signed by the secret that is being rotated out.
    assert (await fetch(here, "GET", f"/auth/callback?{signed(query, PREVIOUS_SECRET)}", cookie)).status_code == 302


@pytest.mark.parametrize("text", ["", "evil.com", "a.b.myshopify.com", "x.myshopify.com@evil.com", "[", "x%00", "é", "x" * 5000])
async def test_what_is_no_shop(here: Beside, text: str) -> None:
    answer = await fetch(here, "GET", f"/auth?shop={text}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"


async def test_a_shop_that_grants_less_is_not_installed(here: Beside) -> None:
    shop = fresh(here)
    cookie, back = await begin(here, shop)
    here.stand_in.shop(shop).scopes = "read_orders"
    answer = await fetch(here, "GET", back, cookie)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert await merchants.home_of(shop) is None


@pytest.mark.parametrize("fault", [Fault("oauth", "unavailable"), Fault("ShopInfo", "unavailable"), Fault("ShopInfo", "garbled")])
async def test_a_shopify_that_does_not_answer(here: Beside, fault: Fault) -> None:
    shop = fresh(here)
    cookie, back = await begin(here, shop)
    here.stand_in.faults.coming.append(fault)
    assert (await fetch(here, "GET", back, cookie)).status_code == 503
    assert await merchants.home_of(shop) is None


async def test_the_first_load_exchanges_the_session_token_and_the_next_does_not(here: Beside) -> None:
    shop = fresh(here)
    for _ in range(3):
        answer = await fetch(here, "POST", "/auth/session", authorization=f"Bearer {session_token(shop)}")
        assert (answer.status_code, answer.json()) == (200, {"installed": True})
    assert here.stand_in.shop(shop).tokens.exchanges == 1
    assert await installed(shop) is not None


async def test_a_first_load_with_what_is_no_session_token(here: Beside) -> None:
    shop = fresh(here)
    for token in (
        "",
        "x",
        here.shop.customer_token((await here.shop.customer()).id),
        session_token(shop, "another secret" * 4),
        session_token(shop, exp=NOW - timedelta(minutes=5)),
        session_token(shop, aud="another"),
        session_token("evil.example.com"),
        session_token(shop, iss="https://other.myshopify.com/admin"),
    ):
        answer = await fetch(here, "POST", "/auth/session", authorization=f"Bearer {token}")
        assert answer.status_code == 401, token
    assert (await fetch(here, "POST", "/auth/session")).status_code == 401
    assert (await merchants.home_of(shop), here.stand_in.shop(shop).tokens.exchanges) == (None, 0)


async def removed(here: Beside, shop: str, at: datetime) -> None:
    """`app/uninstalled`, as it is delivered for a shop."""
    body = b'{"id": 1, "myshopify_domain": "%s"}' % shop.encode()
    headers = here.shop.webhook_headers("app/uninstalled", body)
    headers |= {"x-shopify-shop-domain": shop, "x-shopify-triggered-at": at.isoformat()}
    assert (await here.shop.post("/webhooks/shopify", body, headers)).status_code == 200
    here.shop.at = datetime.now(UTC)
    await here.shop.work()


async def test_removing_the_app_ends_its_tokens_and_installing_it_again_begins_anew(here: Beside) -> None:
    shop = here.shop.merchant.shop_domain
    before = await installed(shop)
    assert before is not None
    await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    await work(here)
    assert len(here.state.discounts) == 1
    await removed(here, shop, datetime.now(UTC))
    assert await installed(shop) is None
    here.state.discounts.clear()
    cookie, back = await begin(here, shop)
    assert (await fetch(here, "GET", back, cookie)).status_code == 302
    after = await installed(shop)
    assert after is not None
    assert after.access_token != before.access_token
    # What Shopify has removed together with the app is made again.
    await work(here)
    assert len(here.state.discounts) == 1


async def test_word_of_a_removal_that_comes_after_the_next_installation_is_old(here: Beside) -> None:
    shop = here.shop.merchant.shop_domain
    key = await here.shop.partner_key("read")
    await removed(here, shop, datetime.now(UTC) - timedelta(hours=1))
    assert await installed(shop) is not None
    assert (await here.shop.data("{ viewer { actor } }", token=key))["viewer"]["actor"].startswith("partner:")


async def test_a_shop_that_joined_another_keeps_its_own_tokens(here: Beside) -> None:
    shop = fresh(here)
    await fetch(here, "POST", "/auth/session", authorization=f"Bearer {session_token(shop)}")
    home = await merchants.home_of(shop)
    assert home is not None
    async with db.transaction(here.shop.scope()):
        await stores.invite(here.shop.scope(), shop)
    async with db.transaction(system(home.id)):
        await stores.join(system(home.id), here.shop.merchant.shop_domain)
    assert (await fetch(here, "POST", "/auth/session", authorization=f"Bearer {session_token(shop)}")).status_code == 200
    assert here.stand_in.shop(shop).tokens.exchanges == 1
    await removed(here, shop, datetime.now(UTC))
    assert await installed(shop) is None
    assert await installed(here.shop.merchant.shop_domain) is not None


async def test_webhooks_are_registered_once_and_what_is_wrong_is_mended(here: Beside, owner: Connection) -> None:
    uri = f"http://loyalnest.test{PATH}"
    wrong = [
        {"topic": "ORDERS_CREATE", "uri": "https://old.example.com/webhooks/shopify"},
        {"topic": "ORDERS_PAID", "uri": uri, "format": "XML"},
        {"topic": "ORDERS_UPDATED", "uri": uri, "filter": "total_price:>100"},
        {"topic": "REFUNDS_CREATE", "uri": uri, "includeFields": ["id"]},
        {"topic": "CUSTOMERS_MERGE", "uri": uri},
        {"topic": "CUSTOMERS_MERGE", "uri": "https://old.example.com/twice"},
        {"topic": "THEMES_CREATE", "uri": uri},
    ]
    plain = {"format": "JSON", "filter": None, "includeFields": [], "failures": 0}
    here.state.subscriptions += [plain | one | {"id": f"gid://shopify/WebhookSubscription/{n}"} for n, one in enumerate(wrong, 1)]
    # The first answer of each kind is lost.
    here.stand_in.faults.coming += [Fault(name, "lost") for name in ("WebhookCreate", "WebhookUpdate", "WebhookDelete")]
    for _ in range(4):
        await due(here, owner)
        await compare(here.shop.now(), here.shopify)
    right = {(topic, uri, "JSON", None, ()) for topic in needed()}
    found = [
        (one["topic"], one["uri"], one["format"], one["filter"], tuple(one["includeFields"])) for one in here.state.subscriptions
    ]
    assert len(found) == len(set(found)) == len(right)
    assert set(found) == right
    calls = dict(here.state.calls)
    await due(here, owner)
    await compare(here.shop.now(), here.shopify)
    assert {name: here.state.calls[name] - calls[name] for name in calls if here.state.calls[name] != calls[name]} == {
        "Webhooks": 1
    }
    # Not due again before tomorrow.
    await compare(here.shop.now(), here.shopify)
    assert here.state.calls["Webhooks"] == calls["Webhooks"] + 1


async def due(here: Beside, owner: Connection) -> None:
    await owner.execute("set role loyalnest_app")
    await owner.execute(f"set app.merchant = '{here.shop.merchant.id}'")
    await owner.execute("update installations set webhooks_due_at = now() - interval '1 second'")


async def test_an_owner_has_the_webhooks_compared(here: Beside, other_shop: Shop) -> None:
    await compare(here.shop.now(), here.shopify)
    check = "mutation { webhooksCheck { userErrors { code } } }"
    assert await here.shop.data(check) == {"webhooksCheck": {"userErrors": []}}
    here.state.subscriptions.clear()
    await compare(here.shop.now(), here.shopify)
    assert len(here.state.subscriptions) == len(needed())
    assert await other_shop.data(check) == {"webhooksCheck": {"userErrors": [{"code": "NOT_FOUND"}]}}
