"""Who is who, through GraphQL: states, merges taken back, and documents that are handed out once."""

import json
from typing import Any
from uuid import uuid4

from domain import db, identity
from tests.domain.test_guests import account
from tests.domain.test_merges import GONE, KEPT, give, merge, two
from tests.ledger import spend
from tests.schema.rows import errors
from tests.shop import Shop

BY_ID = "query ($id: ID) { customer(id: $id) { id state pointsBalance mergedInto { id state pointsBalance } } }"
BY_SHOPIFY = "query ($id: ID) { customer(shopifyId: $id) { id } }"
OWN = "{ customer { state mergedInto { id } } }"
UNDO = "mutation ($id: ID!) { customerMergeUndo(id: $id) { customer { id state mergedInto { id } } userErrors { code field } } }"
TAKE = """mutation ($id: ID!) {
    customerExportTake(id: $id) { customerExport { isWaiting takenBy customer { id } } document userErrors { code field } }
}"""
EXPORTS = """query ($first: Int!, $after: String) {
    customerExports(first: $first, after: $after) {
        nodes { id requestedAt isWaiting takenAt takenBy customer { shopifyId } } pageInfo { hasNextPage endCursor }
    }
}"""
NODE = "query ($id: ID!) { node(id: $id) { id ... on CustomerExport { isWaiting } } }"
FORBIDDEN = "This credential does not open this field."


def gid(kind: str, key: object) -> str:
    return f"gid://loyalnest/{kind}/{key}"


async def undo(shop: Shop, identifier: str, **options: Any) -> dict[str, Any]:
    return (await shop.data(UNDO, id=identifier, **options))["customerMergeUndo"]


async def test_a_merged_customer_leads_to_the_kept_one_and_back(shop: Shop) -> None:
    kept, gone = await two(shop)
    await give(shop, gone, 30, "g")
    await merge(shop)
    kept_id, gone_id = gid("Customer", kept.id), gid("Customer", gone.id)
    assert (await shop.data(BY_SHOPIFY, id=str(GONE)))["customer"] == {"id": kept_id}
    merged = {"id": gone_id, "state": "MERGED", "pointsBalance": 0}
    into = {"id": kept_id, "state": "OPEN", "pointsBalance": 30}
    assert (await shop.data(BY_ID, id=gone_id))["customer"] == {**merged, "mergedInto": into}
    assert (await shop.data(BY_ID, id=kept_id))["customer"] == {**into, "mergedInto": None}
    answer = await undo(shop, gone_id)
    assert answer == {"customer": {"id": gone_id, "state": "OPEN", "mergedInto": None}, "userErrors": []}
    assert (await shop.data(BY_SHOPIFY, id=str(GONE)))["customer"] == {"id": gone_id}
    assert (await shop.balance(kept.id), await shop.balance(gone.id)) == ((0, 0), (30, 0))


async def test_a_merge_that_cannot_be_taken_back_says_why(shop: Shop) -> None:
    kept, gone = await two(shop)
    gone_id = gid("Customer", gone.id)
    for nobody in (gone_id, gid("Customer", uuid4()), gid("Order", 7), "x\0", ""):
        assert await undo(shop, nobody) == {"customer": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    await give(shop, gone, 30, "g")
    await merge(shop)
    await spend(shop, kept.id, 1)
    before = await shop.balance(kept.id)
    assert await undo(shop, gone_id) == {"customer": None, "userErrors": [{"code": "MERGE_SPENT", "field": ["id"]}]}
    assert await shop.balance(kept.id) == before
    async with db.transaction(shop.scope()):
        await identity.redact(shop.scope(), KEPT)
    assert await undo(shop, gone_id) == {"customer": None, "userErrors": [{"code": "MERGE_CONFLICT", "field": ["id"]}]}


async def test_a_customer_sees_their_state_and_takes_nothing_apart(shop: Shop) -> None:
    kept, gone = await two(shop)
    await merge(shop)
    token = shop.customer_token(kept.id)
    answer = await shop.ask(OWN, token=token)
    assert answer["data"]["customer"] == {"state": "OPEN", "mergedInto": None}
    assert errors(answer) == [("FORBIDDEN", FORBIDDEN, ["customer", "mergedInto"])]
    for someone in (token, await shop.partner_key()):
        for name, operation, arguments in (
            ("customerMergeUndo", UNDO, {"id": gid("Customer", gone.id)}),
            ("customerExportTake", TAKE, {"id": gid("CustomerExport", uuid4())}),
            ("customerExports", EXPORTS, {"first": 1}),
        ):
            answer = await shop.ask(operation, token=someone, **arguments)
            assert errors(answer) == [("FORBIDDEN", FORBIDDEN, [name])]
    again = await shop.data(BY_ID, id=gid("Customer", gone.id))
    assert again["customer"]["state"] == "MERGED"


async def test_a_document_is_listed_and_taken_once(shop: Shop) -> None:
    await shop.deliver("customers/create", account(7, first_name="Gwen"))
    for number in (31, 32, 33):
        await shop.deliver("customers/data_request", {"customer": {"id": 7}, "data_request": {"id": number}})
    await shop.work()
    first = (await shop.data(EXPORTS, first=2))["customerExports"]
    assert first["pageInfo"]["hasNextPage"] is True
    second = (await shop.data(EXPORTS, first=2, after=first["pageInfo"]["endCursor"]))["customerExports"]
    listed = first["nodes"] + second["nodes"]
    assert len({node["id"] for node in listed}) == 3
    identifier = listed[0]["id"]
    assert listed[0] == {
        "id": identifier,
        "requestedAt": listed[1]["requestedAt"],
        "isWaiting": True,
        "takenAt": None,
        "takenBy": None,
        "customer": {"shopifyId": "gid://shopify/Customer/7"},
    }
    assert (await shop.data(NODE, id=identifier))["node"] == {"id": identifier, "isWaiting": True}
    assert (await shop.data(NODE, id=identifier, token=await shop.partner_key()))["node"] is None
    customer = await shop.customer(7)
    taken = (await shop.data(TAKE, id=identifier))["customerExportTake"]
    assert json.loads(taken.pop("document"))["customers"][0]["profile"]["first_name"] == "Gwen"
    by = taken["customerExport"].pop("takenBy")
    assert by.startswith("staff:")
    assert taken == {"customerExport": {"isWaiting": False, "customer": {"id": gid("Customer", customer.id)}}, "userErrors": []}
    for nothing in (identifier, gid("CustomerExport", uuid4()), gid("Customer", customer.id), ""):
        assert (await shop.data(TAKE, id=nothing))["customerExportTake"] == {
            "customerExport": None,
            "document": None,
            "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}],
        }
    assert [node["isWaiting"] for node in (await shop.data(EXPORTS, first=3))["customerExports"]["nodes"]] == [False, True, True]
