"""Deliveries of Yotpo and Judge.me at the door: proven, kept without the person, and answered the same to every stranger."""

import hmac
import json
from typing import Any

import pytest

from api.reviews import BODY_MAX
from domain import actions, db
from domain.actions import InvalidReview, Provider
from domain.errors import Code, DomainError
from tests.shop import NOON, Shop

SECRET = "a secret of the shop's own"
CANARY = "canary.person@example.com"


def judgeme(**changes: Any) -> dict[str, Any]:
    """A review as Judge.me tells of it."""
    review = {
        "id": 81,
        "title": "Canary title",
        "body": "Canary body",
        "rating": 5,
        "product_external_id": 632910392,
        "reviewer": {"id": 4, "external_id": 7, "email": CANARY, "name": "Canary Person", "phone": None},
        "source": "web",
        "curated": "ok",
        "published": True,
        "hidden": False,
        "verified": "buyer",
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
    }
    return {"event": "review/created", "review": review | changes}


def yotpo(event: str = "review_updated", **changes: Any) -> dict[str, Any]:
    """A review as Yotpo tells of it since 2024."""
    review = {
        "id": 219,
        "title": "Canary title",
        "content": "Canary body",
        "score": 5,
        "deleted": False,
        "created_at": "2026-03-02T12:00:00.000Z",
        "updated_at": "2026-03-02T12:00:00.000Z",
        "archived": False,
        "escalated": False,
        "customer_email": CANARY,
    }
    return {"event": event, "data": review | changes}


async def set_secret(shop: Shop) -> None:
    async with db.transaction(shop.scope()):
        for provider in Provider:
            await actions.set_source(shop.scope(), provider, SECRET)


async def send(shop: Shop, payload: Any, *, secret: str = SECRET, domain: str | None = None) -> tuple[int, str]:
    """What is answered to a delivery: of Judge.me when it has a review, else of Yotpo."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    of = domain or shop.merchant.shop_domain
    if b'"review"' in body:
        proof = hmac.digest(secret.encode(), body, "sha256").hex()
        response = await shop.post(f"/webhooks/judgeme?shop={of}", body, {"judgeme-hmac-sha256": proof})
    else:
        response = await shop.post(f"/webhooks/yotpo?shop={of}&key={secret}", body, {"content-type": "application/json"})
    return response.status_code, response.json()["status"]


async def kept(shop: Shop) -> list[tuple[str, str, bool, bool]]:
    """(provider, id, whether published, whether the writer can be found) of what is stored."""
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch(
            "select provider, review_id, published, email_term is not null from reviews where merchant_id = $1 order by 1, 2",
            shop.merchant.id,
        )
    return [tuple(row) for row in rows]


async def test_a_proven_review_is_kept_once_and_without_the_person(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    await set_secret(shop)
    for payload in (judgeme(), yotpo()):
        assert await send(shop, payload) == (200, "accepted")
        assert await send(shop, payload) == (200, "duplicate")
    assert await kept(shop) == [("judgeme", "81", True, True), ("yotpo", "219", True, True)]
    async with db.connection(shop.scope()) as connection:
        stored = str(await connection.fetch("select * from reviews where merchant_id = $1", shop.merchant.id))
    written = capfd.readouterr()
    for word in ("canary", "Canary", SECRET):
        assert word not in stored + written.out + written.err


async def test_strangers_learn_nothing(shop: Shop) -> None:
    """An unknown shop, a shop without a secret and a wrong proof are answered alike, and keep nothing."""
    refused = (401, "bad_signature")
    for payload in (judgeme(), yotpo()):
        assert await send(shop, payload) == refused
        assert await send(shop, payload, secret="") == refused
    await set_secret(shop)
    for payload in (judgeme(), yotpo()):
        assert await send(shop, payload, secret="another") == refused
        assert await send(shop, payload, secret="") == refused
        assert await send(shop, payload, domain="nobody.myshopify.com") == refused
        assert await send(shop, payload, domain="%00") == refused
    changed = json.dumps(judgeme()).encode()
    proof = hmac.digest(SECRET.encode(), changed, "sha256").hex()
    where = f"/webhooks/judgeme?shop={shop.merchant.shop_domain}"
    for body, given in ((changed + b" ", proof), (changed, proof.upper()), (changed, proof[:-1]), (changed, "")):
        response = await shop.post(where, body, {"judgeme-hmac-sha256": given})
        assert response.status_code == 401
    assert await send(shop, yotpo(), secret="%C3%A9") == refused
    assert await kept(shop) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"1",
        b'{"review"',
        b'{"review": ' + b"[" * 100_000,
        b"[" * 100_000,
        b"\xff\xfe",
        {"review": None},
        judgeme(id=None),
        judgeme(id=""),
        judgeme(id="x" * 101),
        judgeme(id="a\u0000b"),
        judgeme(published="perhaps"),
        judgeme(created_at="2026-03-02T12:00:00"),
        judgeme(created_at="0001-01-01T00:00:00+14:00"),
        judgeme(updated_at="9999-12-31T23:59:59-14:00"),
        judgeme(reviewer=7),
        {"event": "review_create"},
        yotpo(id=None),
        yotpo(created_at="yesterday"),
        yotpo(created_at="2026-03-02 12:00:00"),
        yotpo(updated_at="0001-01-01T00:00:00+14:00"),
        yotpo(customer_email={}),
    ],
)
async def test_what_is_no_review_is_refused(shop: Shop, payload: Any) -> None:
    await set_secret(shop)
    assert await send(shop, payload) == (400, "not_a_review")
    assert await kept(shop) == []


async def test_a_body_has_a_size(shop: Shop) -> None:
    await set_secret(shop)
    response = await shop.post(f"/webhooks/yotpo?shop={shop.merchant.shop_domain}&key={SECRET}", b" " * (BODY_MAX + 1), {})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("payload", "published"),
    [
        (judgeme(), True),
        (judgeme(published=False), False),
        (judgeme(hidden=True), False),
        (yotpo("review_create"), False),
        (yotpo(), True),
        (yotpo(archived=True), False),
        (yotpo(deleted="true"), False),
        (yotpo(escalated=True), False),
        (yotpo(published=False), False),
        # As Yotpo wrote before 2024: everything is a text.
        (yotpo(id="219", deleted="false", archived="false", created_at="2018-02-20 14:12:13 UTC"), True),
    ],
)
async def test_only_a_review_that_is_shown_counts_as_published(shop: Shop, payload: Any, published: bool) -> None:
    await set_secret(shop)
    assert await send(shop, payload) == (200, "accepted")
    assert [row[2] for row in await kept(shop)] == [published]


async def test_a_review_without_an_address_is_kept(shop: Shop) -> None:
    await set_secret(shop)
    for payload in (judgeme(reviewer=None), judgeme(id=82, reviewer={"email": ""}), yotpo(customer_email=None)):
        assert await send(shop, payload) == (200, "accepted")
    assert [row[3] for row in await kept(shop)] == [False, False, False]


@pytest.mark.parametrize("secret", ["", "x" * 15, "x" * 201, "sécret of the shop!", "a secret\nof the shop"])
async def test_a_secret_that_cannot_be_one_is_refused(shop: Shop, secret: str) -> None:
    with pytest.raises(DomainError) as refused:
        async with db.transaction(shop.scope()):
            await actions.set_source(shop.scope(), Provider.YOTPO, secret)
    assert (refused.value.code, refused.value.field) == ("SECRET_INVALID", ("secret",))


async def test_a_new_secret_replaces_the_old_one_and_opens_no_other_shop(shop: Shop, other_shop: Shop) -> None:
    await set_secret(shop)
    async with db.transaction(shop.scope()):
        await actions.set_source(shop.scope(), Provider.YOTPO, "another secret of theirs")
    assert await send(shop, yotpo()) == (401, "bad_signature")
    assert await send(shop, yotpo(), secret="another secret of theirs") == (200, "accepted")
    assert await send(shop, judgeme(), domain=other_shop.merchant.shop_domain) == (401, "bad_signature")


def test_a_refusal_quotes_nothing() -> None:
    with pytest.raises(InvalidReview) as refused:
        actions.read(Provider.JUDGEME, json.dumps({"review": CANARY}).encode())
    assert refused.value.code is Code.REVIEW_INVALID
    assert "canary" not in str(refused.value)
