"""The platform's own people: password and code, tokens that turn, and ends that hold at once."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.auth import admin_token
from api.process import Process
from api.throttle import Throttle
from api.tokens import SIGN_IN_COST
from domain import admins, db
from domain.admins.rules import (
    FAILURES_MAX,
    LOCK_MAX_S,
    STEP_S,
    code_at,
    hash_password,
    inside,
    is_password,
    lock_seconds,
    step_of,
)
from domain.db import Connection
from domain.scope import NOBODY
from tests.api.admin import Person, person
from tests.shop import Shop

MERCHANTS = "query ($query: String) { merchants(first: 5, query: $query) { nodes { shopDomain name } } }"
AUDITED = "select action from platform_audit_entries where subject = $1 order by id"


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["extensions"]["code"] for one in answer.get("errors", [])]


async def test_in_with_password_and_code(shop: Shop) -> None:
    someone = await person(shop)
    response = await someone.sign_in()
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    token = response.json()["token"]
    answer = await someone.ask(token, MERCHANTS, query=shop.merchant.shop_domain)
    assert answer == {"data": {"merchants": {"nodes": [{"shopDomain": shop.merchant.shop_domain, "name": "Test"}]}}}


async def test_an_address_is_found_in_any_letter_case(shop: Shop) -> None:
    someone = await person(shop)
    assert (await someone.sign_in(email=f"  {someone.email.upper()} ")).status_code == 200


async def test_what_does_not_open(shop: Shop) -> None:
    someone = await person(shop)
    for changes in (
        {"password": "wrong password"},
        {"password": ""},
        {"code": "000000"},
        {"code": ""},
        {"code": "abc"},
        {"code": someone.code() + "0"},
        {"email": "nobody@example.com"},
        {"email": ""},
    ):
        response = await someone.sign_in(**changes)
        assert response.status_code == 401, changes
        [error] = response.json()["errors"]
        assert (error["extensions"]["code"], error["message"]) == ("UNAUTHENTICATED", "This does not open anything.")
        if "email" not in changes:
            # Few enough in a row not to lock the account.
            await forgive(someone)
    assert (await someone.sign_in()).status_code == 200


async def forgive(someone: Person) -> None:

    async with db.reference() as connection:
        await connection.execute("update admins set failures = 0, locked_until = null where id = $1", someone.admin_id)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"email": 1, "password": "x", "code": "1"}', b"[" * 4_000, b'{"email": "\xff"}', b"x" * 100],
)
async def test_junk_at_the_sign_in(shop: Shop, body: bytes) -> None:
    for path in ("/admin/sessions", "/admin/sessions/refresh"):
        response = await shop.post(path, body, {"content-type": "application/json"})
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_INPUT")
    response = await shop.post("/admin/sessions", b"x" * 5_000, {})
    assert response.status_code == 413


async def test_a_code_opens_once(shop: Shop) -> None:
    someone = await person(shop)
    code = someone.code()
    answers = await asyncio.gather(*(someone.sign_in(code=code) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401, 401]


async def test_failures_lock_and_a_lock_is_not_told(shop: Shop, owner: Connection) -> None:
    someone = await person(shop)
    for _ in range(FAILURES_MAX):
        assert (await someone.sign_in(password="wrong password")).status_code == 401
    assert (await someone.sign_in()).status_code == 401
    until = await owner.fetchval("select locked_until from admins where id = $1", someone.admin_id)
    assert until > datetime.now(UTC)
    await owner.execute("update admins set locked_until = now() - interval '1 second' where id = $1", someone.admin_id)
    assert (await someone.sign_in()).status_code == 200
    row = await owner.fetchrow("select failures, locked_until from admins where id = $1", someone.admin_id)
    assert tuple(row) == (0, None)


def test_a_lock_grows_and_ends() -> None:
    assert [lock_seconds(failures) for failures in (0, 4, 5, 6, 7, 100)] == [0, 0, 60, 120, 240, LOCK_MAX_S]


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238's own example for SHA-1, in six digits, and codes of the neighbouring steps."""
    secret = b"12345678901234567890"
    assert code_at(secret, 59 // STEP_S) == "287082"
    at = datetime.fromtimestamp(1_111_111_109, UTC)
    step = 1_111_111_109 // STEP_S
    assert code_at(secret, step) == "081804"
    assert [step_of(secret, code_at(secret, step + shift), at, 0) for shift in (-2, -1, 0, 1, 2)] == [
        None,
        step - 1,
        step,
        step + 1,
        None,
    ]
    assert step_of(secret, "081804", at, step) is None
    assert step_of(secret, "081 804", at, step - 1) == step


def test_passwords_are_argon2id_with_their_own_salt() -> None:
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert (is_password("correct horse", first), is_password("correct horse ", first)) == (True, False)


def test_networks() -> None:
    assert inside("203.0.113.9", [])
    assert inside("203.0.113.9", ["198.51.100.0/24", "203.0.113.0/24"])
    assert inside("2001:db8::1", ["2001:db8::/32"])
    assert not inside("203.0.114.9", ["203.0.113.0/24"])
    assert not inside("2001:db8::1", ["203.0.113.0/24"])
    assert not inside("", ["203.0.113.0/24"])


async def test_only_from_the_networks_that_are_named(shop: Shop, owner: Connection) -> None:
    someone = await person(shop, networks=["203.0.113.0/24"])
    assert (await someone.sign_in()).status_code == 401
    await owner.execute("update admins set networks = '{127.0.0.0/8}' where id = $1", someone.admin_id)
    tokens = await someone.tokens()
    assert codes(await someone.ask(tokens["token"], MERCHANTS)) == []
    # Moving a session elsewhere ends what it opens, at once.
    await owner.execute("update admins set networks = '{203.0.113.0/24}' where id = $1", someone.admin_id)
    assert codes(await someone.ask(tokens["token"], MERCHANTS)) == ["UNAUTHENTICATED"]
    response = await someone.post("/admin/sessions/refresh", {"refreshToken": tokens["refreshToken"]})
    assert response.status_code == 401


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(shop: Shop, owner: Connection) -> None:
    someone = await person(shop)
    first = await someone.tokens()
    second = (await someone.post("/admin/sessions/refresh", {"refreshToken": first["refreshToken"]})).json()
    third = (await someone.post("/admin/sessions/refresh", {"refreshToken": second["refreshToken"]})).json()
    assert codes(await someone.ask(third["token"], MERCHANTS)) == []
    stolen = await someone.post("/admin/sessions/refresh", {"refreshToken": first["refreshToken"]})
    assert stolen.status_code == 401
    # Whoever holds the newest one is out as well: nobody can tell owner from thief.
    assert (await someone.post("/admin/sessions/refresh", {"refreshToken": third["refreshToken"]})).status_code == 401
    assert codes(await someone.ask(third["token"], MERCHANTS)) == ["UNAUTHENTICATED"]
    actions = await owner.fetch(AUDITED, f"gid://loyalnest/Admin/{someone.admin_id}")
    assert [row["action"] for row in actions] == ["admin.created", "admin.signed_in", "admin.refresh_reused"]


async def test_two_refreshes_at_once_are_one_too_many(shop: Shop) -> None:
    someone = await person(shop)
    tokens = await someone.tokens()
    body = {"refreshToken": tokens["refreshToken"]}
    answers = await asyncio.gather(*(someone.post("/admin/sessions/refresh", body) for _ in range(2)))
    assert sorted(one.status_code for one in answers) == [200, 401]
    assert codes(await someone.ask(tokens["token"], MERCHANTS)) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("token", ["", "x", "lna_", "lna_x.y", "lna_" + "0" * 32 + ".x", "lna_" + "0" * 32])
async def test_what_is_no_refresh_token(shop: Shop, token: str) -> None:
    someone = await person(shop)
    assert (await someone.post("/admin/sessions/refresh", {"refreshToken": token})).status_code == 401


async def test_a_session_that_is_not_refreshed_is_over(shop: Shop, owner: Connection) -> None:
    someone = await person(shop)
    tokens = await someone.tokens()
    await owner.execute("update admin_sessions set expires_at = now() where admin_id = $1", someone.admin_id)
    assert codes(await someone.ask(tokens["token"], MERCHANTS)) == ["UNAUTHENTICATED"]
    assert (await someone.post("/admin/sessions/refresh", {"refreshToken": tokens["refreshToken"]})).status_code == 401


async def test_signing_out_ends_the_session_at_once(shop: Shop) -> None:
    someone = await person(shop)
    tokens = await someone.tokens()
    transport = httpx.ASGITransport(app=shop.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
        refused = await client.delete("/admin/sessions", headers={"authorization": f"Bearer {shop.staff_token()}"})
        ended = await client.delete("/admin/sessions", headers={"authorization": f"Bearer {tokens['token']}"})
    assert (refused.status_code, ended.status_code) == (401, 200)
    assert codes(await someone.ask(tokens["token"], MERCHANTS)) == ["UNAUTHENTICATED"]


async def test_a_token_lasts_a_quarter_of_an_hour(shop: Shop) -> None:
    someone = await person(shop)
    tokens = await someone.tokens()
    lasts = datetime.fromisoformat(tokens["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < lasts <= timedelta(minutes=15)
    session = await admins.sign_in(
        admins.anonymous(datetime.now(UTC), "r", ""),
        email=someone.email,
        password=someone.password,
        code=someone.code(),
        address="127.0.0.1",
    )
    old = admin_token(session.admin_id, session.session_id, datetime.now(UTC) - timedelta(hours=1), timedelta(minutes=15))
    assert codes(await someone.ask(old, MERCHANTS)) == ["UNAUTHENTICATED"]
    # Somebody else's session is nobody's.
    other = await person(shop)
    mixed = admin_token(other.admin_id, session.session_id, datetime.now(UTC), timedelta(minutes=15))
    assert codes(await someone.ask(mixed, MERCHANTS)) == ["UNAUTHENTICATED"]


async def test_attempts_from_one_network_are_few(shop: Shop) -> None:
    """Ten at once; the tests' own buckets are larger, so one of the size of the real one stands in."""
    someone = await person(shop)
    kept: Process = shop.application.state.process
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, 1)
    # Another run on this machine may have used up the bucket of the network that all tests share.
    await throttle._redis.delete(f"cost:{{{NOBODY}}}:sign-in/127.0.0.0/24", f"cost:{{{NOBODY}}}")
    shop.application.state.process = replace(kept, throttle=throttle)
    try:
        answers = [await someone.post("/admin/sessions", {"email": "x", "password": "x", "code": "x"}) for _ in range(14)]
    finally:
        shop.application.state.process = kept
        await throttle.close()
    assert 1_000 // SIGN_IN_COST == 10
    assert {one.status_code for one in answers[:9]} == {401}
    assert {one.status_code for one in answers[11:]} == {429}
    assert answers[-1].json()["errors"][0]["extensions"]["code"] == "THROTTLED"
