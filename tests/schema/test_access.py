"""Roles and keys: who may do what, who gives it, and that it holds from the next request on."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.auth import staff_token
from domain.access import STAFF_GRANTS, Permission, StaffRole
from domain.merchants import API_KEY_PREFIX
from tests.shop import Shop, rate

ASSIGN = """mutation ($userId: String!, $role: StaffRole!) {
    staffRoleAssign(userId: $userId, role: $role) { staffMember { userId role updatedBy } userErrors { code field } }
}"""
REMOVE = "mutation ($userId: String!) { staffRoleRemove(userId: $userId) { userErrors { code field } } }"
VIEWER = "{ viewer { actor permissions } }"
CREATE = """mutation ($name: String!, $scopes: [Permission!]!, $expiresAt: DateTime) {
    apiKeyCreate(name: $name, scopes: $scopes, expiresAt: $expiresAt) {
        apiKey { id name scopes createdBy expiresAt lastUsedAt replaces } secret userErrors { code field }
    }
}"""
ROTATE = """mutation ($id: ID!, $hours: Int!) {
    apiKeyRotate(id: $id, overlapHours: $hours) { apiKey { id replaces scopes } secret userErrors { code field } }
}"""
REVOKE = "mutation ($id: ID!) { apiKeyRevoke(id: $id) { userErrors { code field } } }"


def user(shop: Shop, number: str) -> str:
    """A member of the staff."""
    return staff_token(shop.merchant.shop_domain, number, datetime.now(UTC), timedelta(minutes=1))


async def assign(shop: Shop, token: str, number: str, role: str) -> list[Any]:
    data = await shop.data(ASSIGN, token=token, userId=number, role=role)
    return data["staffRoleAssign"]["userErrors"]


async def permissions(shop: Shop, token: str) -> list[str]:
    data = await shop.data(VIEWER, token=token)
    return data["viewer"]["permissions"]


def granted(role: StaffRole) -> list[str]:
    return sorted(one.name for one in STAFF_GRANTS[role])


async def test_everybody_owns_the_shop_until_an_owner_is_named(shop: Shop) -> None:
    first, second = user(shop, "1"), user(shop, "2")
    assert sorted(await permissions(shop, first)) == sorted(await permissions(shop, second)) == granted(StaffRole.OWNER)
    assert await assign(shop, first, "1", "OWNER") == []
    assert sorted(await permissions(shop, first)) == granted(StaffRole.OWNER)
    assert sorted(await permissions(shop, second)) == granted(StaffRole.ANALYST)
    answer = await shop.ask(ASSIGN, token=second, userId="2", role="OWNER")
    assert [one["extensions"]["code"] for one in answer["errors"]] == ["FORBIDDEN"]
    for role in StaffRole:
        assert await assign(shop, first, "2", role.name) == []
        assert sorted(await permissions(shop, second)) == granted(role)
    assert (await shop.data(REMOVE, token=first, userId="2"))["staffRoleRemove"] == {"userErrors": []}
    assert sorted(await permissions(shop, second)) == granted(StaffRole.ANALYST)


async def test_an_owner_remains(shop: Shop) -> None:
    first = user(shop, "1")
    await assign(shop, first, "1", "OWNER")
    refusal = [{"code": "LAST_OWNER", "field": ["userId"]}]
    assert await assign(shop, first, "1", "MANAGER") == refusal
    assert (await shop.data(REMOVE, token=first, userId="1"))["staffRoleRemove"]["userErrors"] == refusal
    await assign(shop, first, "2", "OWNER")
    # Two owners who put each other down at the same moment: one of them stays.
    await asyncio.gather(*(shop.ask(ASSIGN, token=user(shop, one), userId=other, role="ANALYST") for one, other in ("12", "21")))
    held = [await permissions(shop, user(shop, number)) for number in ("1", "2")]
    assert sorted(map(sorted, held)) == sorted([granted(StaffRole.OWNER), granted(StaffRole.ANALYST)])


@pytest.mark.parametrize("number", ["", "x", "1" * 21, "-1", "gid://shopify/Customer/1", "\u0661"])
async def test_who_is_no_member(shop: Shop, number: str) -> None:
    assert await assign(shop, user(shop, "1"), number, "OWNER") == [{"code": "BAD_INPUT", "field": ["userId"]}]


async def test_roles_stay_with_their_shop_and_are_audited(shop: Shop, other_shop: Shop) -> None:
    first = user(shop, "1")
    await assign(shop, first, "gid://shopify/StaffMember/1", "OWNER")
    await assign(shop, first, "3", "SUPPORT")
    assert sorted(await permissions(other_shop, user(other_shop, "3"))) == granted(StaffRole.OWNER)
    data = await shop.data(
        "{ staffMembers(first: 1) { nodes { userId role updatedBy } pageInfo { hasNextPage endCursor } } }", token=first
    )
    assert data["staffMembers"]["nodes"] == [{"userId": "1", "role": "OWNER", "updatedBy": "staff:1"}]
    audited = await shop.data(
        '{ auditEntries(first: 9, filter: {action: "staff.role_assigned"}) { nodes { actor subject before after } } }',
        token=first,
    )
    assert audited["auditEntries"]["nodes"] == [
        {
            "actor": "staff:1",
            "subject": f"gid://shopify/StaffMember/{number}",
            "before": '{"role": null}',
            "after": f'{{"role": "{role}"}}',
        }
        for number, role in (("3", "support"), ("1", "owner"))
    ]


async def test_an_analyst_sees_no_person(shop: Shop) -> None:
    await shop.customer()
    await assign(shop, user(shop, "1"), "1", "OWNER")
    document = "{ customers(first: 1) { nodes { pointsBalance email } } }"
    answer = await shop.ask(document, token=user(shop, "2"))
    assert answer["data"] == {"customers": {"nodes": [{"pointsBalance": 0, "email": None}]}}
    assert [one["extensions"]["code"] for one in answer["errors"]] == ["FORBIDDEN"]
    assert "errors" not in await shop.ask(document, token=user(shop, "1"))


async def test_a_key_is_made_used_replaced_and_ended(shop: Shop) -> None:
    made = (await shop.data(CREATE, name=" Klaviyo ", scopes=["READ", "POINTS"]))["apiKeyCreate"]
    assert made["userErrors"] == []
    assert made["secret"].startswith(API_KEY_PREFIX)
    assert made["apiKey"] | {"id": ""} == {
        "id": "",
        "name": "Klaviyo",
        "scopes": ["POINTS", "READ"],
        "createdBy": "staff:90210",
        "expiresAt": None,
        "lastUsedAt": None,
        "replaces": None,
    }
    assert await permissions(shop, made["secret"]) == ["POINTS", "READ"]
    [shown] = (await shop.data("{ apiKeys(first: 5) { nodes { lastUsedAt } } }"))["apiKeys"]["nodes"]
    assert abs(datetime.fromisoformat(shown["lastUsedAt"]) - datetime.now(UTC)) < timedelta(minutes=2)
    turned = (await shop.data(ROTATE, id=made["apiKey"]["id"], hours=1))["apiKeyRotate"]
    assert (turned["apiKey"]["replaces"], turned["apiKey"]["scopes"]) == (made["apiKey"]["id"], ["POINTS", "READ"])
    for secret in (made["secret"], turned["secret"]):
        assert await permissions(shop, secret) == ["POINTS", "READ"]
    again = (await shop.data(ROTATE, id=made["apiKey"]["id"], hours=1))["apiKeyRotate"]
    assert again["userErrors"] == [{"code": "ALREADY_EXISTS", "field": ["id"]}]
    assert (await shop.data(REVOKE, id=turned["apiKey"]["id"]))["apiKeyRevoke"] == {"userErrors": []}
    assert (await shop.ask(VIEWER, token=turned["secret"], status=401))["errors"]
    assert await permissions(shop, made["secret"]) == ["POINTS", "READ"]
    last = (await shop.data(REVOKE, id=turned["apiKey"]["id"]))["apiKeyRevoke"]
    assert last == {"userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    audited = await shop.ask('{ auditEntries(first: 9, filter: {actor: "staff:*"}) { nodes { action after } } }')
    nodes = audited["data"]["auditEntries"]["nodes"]
    assert [one["action"] for one in nodes] == ["api_key.revoked", "api_key.rotated", "api_key.created"]
    assert made["secret"] not in str(audited)


async def test_without_an_overlap_the_old_key_ends_at_once(shop: Shop) -> None:
    made = (await shop.data(CREATE, name="k", scopes=["READ"]))["apiKeyCreate"]
    turned = (await shop.data(ROTATE, id=made["apiKey"]["id"], hours=0))["apiKeyRotate"]
    assert (await shop.ask(VIEWER, token=made["secret"], status=401))["errors"]
    assert await permissions(shop, turned["secret"]) == ["READ"]


async def test_keys_that_cannot_be(shop: Shop) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    for given, expected in (
        ({"name": " ", "scopes": ["READ"]}, ("BLANK", "name")),
        ({"name": "x" * 101, "scopes": ["READ"]}, ("TOO_LONG", "name")),
        ({"name": "x", "scopes": []}, ("SCOPE_UNKNOWN", "scopes")),
        ({"name": "x", "scopes": ["READ", "PERSONAL"]}, ("SCOPE_UNKNOWN", "scopes")),
        ({"name": "x", "scopes": ["ACCESS"]}, ("SCOPE_UNKNOWN", "scopes")),
        ({"name": "x", "scopes": ["READ"], "expiresAt": past}, ("BAD_INPUT", "expiresAt")),
    ):
        payload = (await shop.data(CREATE, **given))["apiKeyCreate"]
        assert payload == {"apiKey": None, "secret": None, "userErrors": [{"code": expected[0], "field": [expected[1]]}]}
    made = (await shop.data(CREATE, name="k", scopes=["READ"]))["apiKeyCreate"]
    for hours in (-1, 169, 2**31 - 1):
        payload = (await shop.data(ROTATE, id=made["apiKey"]["id"], hours=hours))["apiKeyRotate"]
        assert payload["userErrors"] == [{"code": "BAD_INPUT", "field": ["overlapHours"]}]
    for identifier in ("x", "gid://loyalnest/Customer/1", "gid://loyalnest/ApiKey/x"):
        assert (await shop.data(REVOKE, id=identifier))["apiKeyRevoke"]["userErrors"][0]["code"] == "NOT_FOUND"


async def test_a_scope_opens_what_needs_it_and_nothing_else(shop: Shop) -> None:
    await shop.publish(rate(1))
    reader, writer = await shop.partner_key("read"), await shop.partner_key("write")
    assert "errors" not in await shop.ask("{ program { id } }", token=reader)
    assert (await shop.ask("{ program { id } }", token=writer))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert Permission.PERSONAL.value not in (await permissions(shop, reader))


async def test_the_audit_is_found_by_all_that_it_says(shop: Shop, other_shop: Shop) -> None:
    await shop.data(CREATE, name="a", scopes=["READ"])
    await assign(shop, shop.staff_token(), "7", "SUPPORT")

    async def found(**given: Any) -> list[str]:
        document = "query ($filter: AuditFilter) { auditEntries(first: 10, filter: $filter) { nodes { action } } }"
        return [one["action"] for one in (await shop.data(document, filter=given))["auditEntries"]["nodes"]]

    now = datetime.now(UTC)
    whole = ["staff.role_assigned", "api_key.created"]
    assert await found() == whole
    assert await found(actor="staff:*") == await found(actor="staff:90210") == whole
    assert await found(actor="staff:") == await found(actor="admin:*") == []
    assert await found(action="api_key.created") == whole[1:]
    assert await found(subject="gid://shopify/StaffMember/*") == whole[:1]
    assert await found(**{"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}) == whole
    assert await found(**{"from": (now + timedelta(hours=1)).isoformat()}) == []
    assert await found(to=(now - timedelta(hours=1)).isoformat()) == []
    assert await found(actor="%*") == await found(subject="_*") == []
    first = (await shop.data("{ auditEntries(first: 1) { nodes { action } pageInfo { endCursor } } }"))["auditEntries"]
    rest = await shop.data(
        "query ($after: String) { auditEntries(first: 9, after: $after) { nodes { action } } }",
        after=first["pageInfo"]["endCursor"],
    )
    assert [one["action"] for one in first["nodes"] + rest["auditEntries"]["nodes"]] == whole
    assert (await other_shop.data("{ auditEntries(first: 9) { nodes { action } } }"))["auditEntries"]["nodes"] == []
