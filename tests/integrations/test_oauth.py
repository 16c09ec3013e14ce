"""Grants and signatures, as Shopify makes them."""

import hmac
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from integrations.shopify import Refused, Unanswered, oauth, signing
from local.shopify_stand_in.faults import Fault
from local.shopify_stand_in.server import StandIn
from tests.conftest import CLIENT_ID, CLIENT_SECRET, PREVIOUS_SECRET

SHOP = "cedar.myshopify.com"
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRETS = (CLIENT_SECRET, PREVIOUS_SECRET)


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(CLIENT_ID, CLIENT_SECRET)


@pytest.fixture
async def http(stand_in: StandIn) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stand_in.app())) as client:
        yield client
    await stand_in.deliveries.http.aclose()


async def test_the_code_grant_ends_with_expiring_tokens(http: httpx2.AsyncClient) -> None:
    sent = await http.get(oauth.authorize_url(SHOP, "state-1", "http://loyalnest.test/auth/callback"))
    assert sent.status_code == 302
    query = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
    assert query["state"] == "state-1"
    assert signing.redirect_is_signed(query, SECRETS)
    assert not signing.redirect_is_signed({**query, "shop": "other.myshopify.com"}, SECRETS)
    assert not signing.redirect_is_signed({key: query[key] for key in query if key != "hmac"}, SECRETS)
    grant = await oauth.by_code(http, SHOP, query["code"], AT)
    assert (grant.expires_at - AT).total_seconds() == 3600
    assert (grant.refresh_expires_at - AT).days == 90
    with pytest.raises(Refused) as refusal:
        await oauth.by_code(http, SHOP, query["code"], AT)
    assert refusal.value.code == "invalid_grant"


async def test_an_old_refresh_token_lives_until_its_successor_is_used(http: httpx2.AsyncClient) -> None:
    first = await oauth.by_session_token(http, SHOP, "session", AT)
    second = await oauth.by_refresh_token(http, SHOP, first.refresh_token, AT)
    third = await oauth.by_refresh_token(http, SHOP, first.refresh_token, AT)
    await oauth.by_refresh_token(http, SHOP, third.refresh_token, AT)
    with pytest.raises(Refused):
        await oauth.by_refresh_token(http, SHOP, first.refresh_token, AT)
    assert second.access_token != third.access_token


async def test_a_token_endpoint_in_trouble_is_no_refusal(stand_in: StandIn, http: httpx2.AsyncClient) -> None:
    stand_in.faults.coming.append(Fault("oauth", "unavailable"))
    with pytest.raises(Unanswered):
        await oauth.by_session_token(http, SHOP, "session", AT)


def signed_proxy_query(pairs: list[tuple[str, str]], secret: str = CLIENT_SECRET) -> list[tuple[str, str]]:
    gathered = parse_qs("&".join(f"{key}={value}" for key, value in pairs), keep_blank_values=True)
    message = "".join(sorted(f"{key}={','.join(values)}" for key, values in gathered.items()))
    return [*pairs, ("signature", hmac.new(secret.encode(), message.encode(), "sha256").hexdigest())]


PAIRS = [
    ("extra", "1"),
    ("extra", "2"),
    ("shop", SHOP),
    ("logged_in_customer_id", ""),
    ("path_prefix", "/apps/loyalty"),
    ("timestamp", str(int(AT.timestamp()))),
]


def test_shopifys_own_example_of_an_app_proxy_signature() -> None:
    """The example of Shopify's documentation, with its secret `hush`."""
    query = [
        ("extra", "1"),
        ("extra", "2"),
        ("shop", "shop-name.myshopify.com"),
        ("logged_in_customer_id", "1"),
        ("path_prefix", "/apps/awesome_reviews"),
        ("timestamp", "1317327555"),
        ("signature", "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"),
    ]
    assert oauth.proxy_is_signed(query, ["hush"], datetime.fromtimestamp(1317327555, UTC))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_proxy_request_is_taken(secret: str) -> None:
    assert oauth.proxy_is_signed(signed_proxy_query(PAIRS, secret), SECRETS, AT)


@pytest.mark.parametrize(
    "change",
    [
        lambda query: query[:-1],
        lambda query: [*query, ("shop", SHOP)],
        lambda query: [*query, query[-1]],
        lambda query: [("extra", "9"), *query[1:]],
        lambda query: [*query[:-1], ("signature", "é" * 64)],
        lambda _: signed_proxy_query(PAIRS, "another secret"),
        lambda _: signed_proxy_query([*PAIRS[:-1], ("timestamp", str(int(AT.timestamp()) - 91))]),
        lambda _: signed_proxy_query([*PAIRS[:-1], ("timestamp", "soon")]),
        lambda _: signed_proxy_query([*PAIRS[:-1], ("timestamp", "9" * 400)]),
        lambda _: [],
    ],
)
def test_a_proxy_request_that_shopify_did_not_sign_is_not_taken(change: object) -> None:
    assert not oauth.proxy_is_signed(change(signed_proxy_query(PAIRS)), SECRETS, AT)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("cedar", SHOP),
        (" HTTPS://Cedar.MyShopify.com/admin ", SHOP),
        ("cedar.myshopify.com:443", None),
        ("cedar.myshopify.com.evil.com", None),
        ("evil.com/https://cedar.myshopify.com", None),
        ("cedar@cedar.myshopify.com", None),
        ("http://[", None),
        ("c\0dar", None),
        ("", None),
        ("c" * 400, None),
    ],
)
def test_what_a_merchant_may_type_for_a_shop(text: str, domain: str | None) -> None:
    assert signing.shop_domain(text) == domain


def test_delimiters_in_a_redirect_are_not_moved() -> None:
    """Two queries that would be one text without it have two signatures."""
    query = {"code": "1&shop=a", "state": "s"}
    message = "code=1%26shop=a&state=s"
    whole = query | {"hmac": hmac.new(CLIENT_SECRET.encode(), message.encode(), "sha256").hexdigest()}
    assert signing.redirect_is_signed(whole, SECRETS)
    assert not signing.redirect_is_signed({"code": "1", "shop": "a", "state": "s", "hmac": whole["hmac"]}, SECRETS)


@pytest.mark.parametrize(
    ("granted", "covered"),
    [
        (oauth.SCOPES, True),
        (oauth.SCOPES.replace("read_orders", "write_orders"), True),
        (oauth.SCOPES.replace("write_discounts", "read_discounts"), False),
        ("", False),
        ("everything", False),
    ],
)
def test_whether_a_grant_is_enough(granted: str, covered: bool) -> None:
    assert signing.covers(granted, oauth.SCOPES) is covered
