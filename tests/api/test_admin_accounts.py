"""The platform's people manage each other, and act in a merchant's house, audited there."""

import itertools
from typing import Any

import asyncpg
import pytest

from domain.access import ADMIN_GRANTS, AdminRole, Permission
from tests.api.admin import Person, person, secret_of
from tests.api.test_admins import AUDITED, MERCHANTS, codes
from tests.shop import Shop

PUT_OUT = "update admins set disabled_at = now() where id <> $1 and disabled_at is null returning id"
Connection = asyncpg.Connection  # type: ignore[type-arg]

CREATE = """mutation ($email: String!, $name: String!, $role: AdminRole!, $networks: [String!]) {
    adminCreate(email: $email, name: $name, role: $role, networks: $networks) {
        admin { id email name role networks } password totpUrl userErrors { code field }
    }
}"""


async def test_accounts_are_made_changed_and_ended(shop: Shop, owner: Connection) -> None:
    boss = await person(shop)
    token = (await boss.tokens())["token"]
    email = f"new.{shop.merchant.id.hex}@example.com"
    answer = await boss.ask(token, CREATE, email=f" {email.upper()} ", name="New", role="SUPPORT", networks=["127.0.0.1/8"])
    made = answer["data"]["adminCreate"]
    assert made["userErrors"] == []
    assert made["admin"] | {"id": ""} == {"id": "", "email": email, "name": "New", "role": "SUPPORT", "networks": ["127.0.0.0/8"]}
    again = await boss.ask(token, CREATE, email=email, name="Again", role="FULL")
    assert again["data"]["adminCreate"]["userErrors"] == [{"code": "ALREADY_EXISTS", "field": ["email"]}]
    fresh = Person(shop, email, made["password"], secret_of(made["totpUrl"]), None)
    tokens = await fresh.tokens()
    assert codes(await fresh.ask(tokens["token"], CREATE, email="x@example.com", name="x", role="FULL")) == ["FORBIDDEN"]
    assert codes(await fresh.ask(tokens["token"], MERCHANTS)) == []
    update = "mutation ($id: ID!) { adminUpdate(id: $id, role: ANALYTICS) { admin { role name } userErrors { code } } }"
    changed = await boss.ask(token, update, id=made["admin"]["id"])
    assert changed["data"]["adminUpdate"] == {"admin": {"role": "ANALYTICS", "name": "New"}, "userErrors": []}
    disable = "mutation ($id: ID!) { adminDisable(id: $id) { admin { disabledAt } userErrors { code } } }"
    ended = await boss.ask(token, disable, id=made["admin"]["id"])
    assert ended["data"]["adminDisable"]["admin"]["disabledAt"] is not None
    assert codes(await fresh.ask(tokens["token"], MERCHANTS)) == ["UNAUTHENTICATED"]
    assert (await fresh.sign_in()).status_code == 401
    rows = await owner.fetch(AUDITED, made["admin"]["id"])
    assert [row["action"] for row in rows] == [
        "admin.created",
        "admin.signed_in",
        "admin.updated",
        "admin.disabled",
        "admin.sign_in_failed",
    ]


async def test_a_reset_gives_what_the_first_sign_in_needs(shop: Shop) -> None:
    boss, someone = await person(shop), await person(shop)
    token, old = (await boss.tokens())["token"], await someone.tokens()
    reset = "mutation ($id: ID!) { adminReset(id: $id) { password totpUrl userErrors { code } } }"
    answer = await boss.ask(token, reset, id=f"gid://loyalnest/Admin/{someone.admin_id}")
    made = answer["data"]["adminReset"]
    assert codes(await someone.ask(old["token"], MERCHANTS)) == ["UNAUTHENTICATED"]
    assert (await someone.sign_in()).status_code == 401
    someone.password, someone.secret = made["password"], secret_of(made["totpUrl"])
    assert (await someone.sign_in()).status_code == 200


async def test_a_password_of_ones_own(shop: Shop) -> None:
    someone = await person(shop, AdminRole.ANALYTICS)
    token = (await someone.tokens())["token"]
    change = """mutation ($current: String!, $password: String!) {
        adminPasswordChange(current: $current, password: $password) { userErrors { code field } }
    }"""

    async def refused(current: str, password: str) -> list[Any]:
        answer = await someone.ask(token, change, current=current, password=password)
        return [tuple(one.values()) for one in answer["data"]["adminPasswordChange"]["userErrors"]]

    assert await refused("wrong", "long enough and new") == [("NOT_FOUND", ["current"])]
    for weak in ("short", "x" * 201, "a" * 20, "my password 123", "loyalnest forever", f"{someone.email.partition('@')[0]} too"):
        assert await refused(someone.password, weak) == [("PASSWORD_WEAK", ["password"])], weak
    assert await refused(someone.password, "long enough and new") == []
    # Every session ended with the old password, this one too.
    assert codes(await someone.ask(token, MERCHANTS)) == ["UNAUTHENTICATED"]
    someone.password = "long enough and new"
    assert (await someone.sign_in()).status_code == 200


async def test_somebody_can_always_manage_the_others(shop: Shop, owner: Connection) -> None:
    boss = await person(shop)
    # Everybody else is put out for the moment, so that this is the last one.
    ended = await owner.fetch(PUT_OUT, boss.admin_id)
    token = (await boss.tokens())["token"]
    own = f"gid://loyalnest/Admin/{boss.admin_id}"
    disable = "mutation ($id: ID!) { adminDisable(id: $id) { userErrors { code field } } }"
    update = "mutation ($id: ID!) { adminUpdate(id: $id, role: SUPPORT) { userErrors { code field } } }"
    refusal = [{"code": "LAST_ADMIN", "field": ["id"]}]
    assert (await boss.ask(token, disable, id=own))["data"]["adminDisable"]["userErrors"] == refusal
    assert (await boss.ask(token, update, id=own))["data"]["adminUpdate"]["userErrors"] == refusal
    await owner.execute("update admins set disabled_at = null where id = any ($1)", [row["id"] for row in ended])


@pytest.mark.parametrize(
    ("email", "name", "networks", "expected"),
    [
        ("no address", "A", [], ("BAD_INPUT", ["email"])),
        ("@example.com", "A", [], ("BAD_INPUT", ["email"])),
        ("a@example.com", " ", [], ("BLANK", ["name"])),
        ("a@example.com", "x" * 101, [], ("TOO_LONG", ["name"])),
        ("a@example.com", "A", ["203.0.113.0/24", "nowhere"], ("BAD_INPUT", ["networks", "1"])),
        ("a@example.com", "A", ["10.0.0.0/8"] * 51, ("TOO_LONG", ["networks"])),
        ("a\u0000@example.com", "A", [], ("BAD_INPUT", ["email"])),
    ],
)
async def test_an_account_that_cannot_be(shop: Shop, email: str, name: str, networks: list[str], expected: Any) -> None:
    boss = await person(shop)
    token = (await boss.tokens())["token"]
    answer = await boss.ask(token, CREATE, email=email, name=name, role="FULL", networks=networks)
    [error] = answer["data"]["adminCreate"]["userErrors"]
    assert (error["code"], error["field"][: len(expected[1])]) == expected


async def test_nothing_of_a_person_lies_open(shop: Shop, owner: Connection) -> None:
    someone = await person(shop)
    row = await owner.fetchrow("select * from admins where id = $1", someone.admin_id)
    everything = repr(dict(row)).casefold()
    assert someone.email.casefold() not in everything
    assert someone.password.casefold() not in everything
    assert someone.secret not in bytes(row["totp_secret"])
    tokens = await someone.tokens()
    session = await owner.fetchrow("select * from admin_sessions where admin_id = $1", someone.admin_id)
    assert tokens["refreshToken"].rpartition(".")[2] not in repr(dict(session))


ADJUST = """mutation ($id: ID!, $key: String!) {
    pointsAdjust(customerId: $id, points: 5, reason: "goodwill", idempotencyKey: $key) { userErrors { code } }
}"""
_keys = itertools.count(1)


@pytest.mark.parametrize("role", list(AdminRole))
async def test_who_may_move_a_merchants_points(shop: Shop, other_shop: Shop, role: AdminRole) -> None:
    someone = await person(shop, role)
    token = (await someone.tokens())["token"]
    customer = await shop.customer()
    given = {"id": f"gid://loyalnest/Customer/{customer.id}", "key": f"k{next(_keys)}"}
    answer = await someone.ask(token, ADJUST, shop.merchant.shop_domain, **given)
    if Permission.POINTS not in ADMIN_GRANTS[role]:
        assert codes(answer) == ["FORBIDDEN"]
        assert await shop.balance(customer.id) == (0, 0)
        return
    assert answer == {"data": {"pointsAdjust": {"userErrors": []}}}
    assert await shop.balance(customer.id) == (5, 0)
    rows = await shop.data("{ auditEntries(first: 1) { nodes { actor action subject origin } } }")
    assert rows["auditEntries"]["nodes"] == [
        {
            "actor": f"admin:{someone.admin_id}",
            "action": "points.adjusted",
            "subject": f"gid://loyalnest/Customer/{customer.id}",
            "origin": "127.0.0.0/24",
        }
    ]
    # In another shop there is no such customer, and without a shop there is nothing.
    elsewhere = await someone.ask(token, ADJUST, other_shop.merchant.shop_domain, **given)
    assert elsewhere["data"]["pointsAdjust"]["userErrors"] == [{"code": "NOT_FOUND"}]
    assert codes(await someone.ask(token, ADJUST, **given)) == ["BAD_INPUT"]
    assert codes(await someone.ask(token, ADJUST, "nobody.myshopify.com", **given)) == ["NOT_FOUND"]
    assert codes(await someone.ask(token, MERCHANTS, shop.merchant.shop_domain)) == ["BAD_INPUT"]


async def test_nobody_else_can_choose_a_shop(shop: Shop, other_shop: Shop) -> None:
    await other_shop.customer()
    document = {"query": "{ customers(first: 5) { nodes { id } } }"}
    someone = await person(shop)
    for token in (shop.staff_token(), await shop.partner_key()):
        headers = {"authorization": f"Bearer {token}", "x-loyalnest-shop": other_shop.merchant.shop_domain}
        response = await someone.post("/graphql", document, **headers)
        assert response.json() == {"data": {"customers": {"nodes": []}}}
