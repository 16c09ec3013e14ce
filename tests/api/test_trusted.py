"""Customers and staff name documents of ours by their ids; texts of their own are for partners, our own people and sandboxes."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets

from schema.trusted import MANIFEST, TRUSTED, Trusted, document_id, kept
from tests.api.admin import person
from tests.e2e.processes import Running, running
from tests.house.full_shop import Full, fill
from tests.shop import NOON, Shop, open_shop, rate

TEXT = "{ program { version } }"
BALANCE = next(one for one in TRUSTED.values() if one.name == "Balance")
VIEWER = next(one for one in TRUSTED.values() if one.name == "Viewer")
NOWHERE = "0" * 64


@pytest.fixture
def trusting(application: Any) -> Iterator[None]:
    """The application as it is in production, where customers and staff name documents."""
    process = application.state.process
    application.state.process = dataclasses.replace(process, any_documents=False)
    yield
    application.state.process = process


async def post(shop: Shop, token: str, **body: Any) -> httpx.Response:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    return await shop.post("/graphql", json.dumps(body).encode(), headers)


def refused(response: httpx.Response) -> tuple[int, list[str]]:
    return response.status_code, [one["extensions"]["code"] for one in response.json()["errors"]]


def persisted(identifier: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": identifier}}


FORMS: list[dict[str, Any]] = [
    {"documentId": f"sha256:{BALANCE.id}"},
    {"documentId": BALANCE.id},
    {"extensions": persisted(BALANCE.id)},
    {"documentId": BALANCE.id, "extensions": persisted(BALANCE.id), "query": None, "operationName": "Balance"},
    {"documentId": BALANCE.id, "query": "", "extensions": {"clientLibrary": {"name": "some"}}},
]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("form", FORMS)
async def test_a_customer_names_a_document(shop: Shop, form: dict[str, Any]) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    response = await post(shop, shop.customer_token(customer.id), **form)
    assert (response.status_code, response.json()["data"]["customer"]["pointsBalance"]) == (200, 0)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": TEXT}, "DOCUMENT_REQUIRED"),
        ({"query": BALANCE.body}, "DOCUMENT_REQUIRED"),
        ({"query": TEXT, "documentId": BALANCE.id}, "DOCUMENT_REQUIRED"),
        ({"query": BALANCE.body, "extensions": persisted(BALANCE.id)}, "DOCUMENT_REQUIRED"),
        ({"query": TEXT, "extensions": persisted(document_id(TEXT))}, "DOCUMENT_REQUIRED"),
        ({}, "DOCUMENT_REQUIRED"),
        ({"query": ""}, "DOCUMENT_REQUIRED"),
        ({"extensions": {"persistedQuery": None}}, "DOCUMENT_REQUIRED"),
        ({"documentId": NOWHERE}, "DOCUMENT_UNKNOWN"),
        ({"documentId": ""}, "DOCUMENT_UNKNOWN"),
        ({"documentId": "Balance"}, "DOCUMENT_UNKNOWN"),
        ({"documentId": BALANCE.id.upper()}, "DOCUMENT_UNKNOWN"),
        ({"documentId": f"sha256:sha256:{BALANCE.id}"}, "DOCUMENT_UNKNOWN"),
        ({"extensions": persisted(document_id(TEXT))}, "DOCUMENT_UNKNOWN"),
        ({"documentId": BALANCE.id, "extensions": persisted(VIEWER.id)}, "BAD_INPUT"),
        ({"documentId": 1}, "BAD_INPUT"),
        ({"extensions": {"persistedQuery": BALANCE.id}}, "BAD_INPUT"),
        ({"extensions": persisted(None)}, "BAD_INPUT"),
        ({"extensions": []}, "BAD_INPUT"),
        ({"documentId": BALANCE.id, "operationName": "History"}, "BAD_INPUT"),
    ],
)
async def test_whatever_else_they_send_is_refused_with_a_code(shop: Shop, body: dict[str, Any], code: str) -> None:
    customer = await shop.customer()
    for token in (shop.customer_token(customer.id), shop.staff_token()):
        assert refused(await post(shop, token, **body)) == (400, [code])


@pytest.mark.usefixtures("trusting")
async def test_who_may_not_see_a_field_does_not_see_it_by_an_id_either(shop: Shop) -> None:
    customer = await shop.customer()
    response = await post(shop, shop.customer_token(customer.id), documentId=VIEWER.id)
    assert refused(response)[1] == ["FORBIDDEN"]


@pytest.mark.usefixtures("trusting")
async def test_partners_our_own_people_and_sandboxes_send_texts(shop: Shop, application: object) -> None:
    await shop.publish(rate(10))
    admin = await person(shop)
    tokens = await admin.tokens()
    assert (await admin.ask(tokens["token"], TEXT, shop.merchant.shop_domain))["data"] == {"program": {"version": 1}}
    assert (await shop.ask(TEXT, token=await shop.partner_key()))["data"] == {"program": {"version": 1}}
    sandbox = await open_shop(application, sandbox=True)
    customer = await sandbox.customer()
    for token in (sandbox.staff_token(), sandbox.customer_token(customer.id)):
        assert (await sandbox.ask(TEXT, token=token))["data"] == {"program": None}


async def test_who_sends_a_text_may_send_its_hash_along(shop: Shop) -> None:
    """As Apollo's clients do to have it remembered: we remember nothing for them, but a hash that is wrong is a mistake."""
    await shop.publish(rate(10))
    token = await shop.partner_key()
    right = await post(shop, token, query=TEXT, extensions=persisted(document_id(TEXT)))
    assert right.json() == {"data": {"program": {"version": 1}}}
    assert refused(await post(shop, token, query=TEXT, extensions=persisted(BALANCE.id))) == (400, ["BAD_INPUT"])
    assert refused(await post(shop, token, extensions=persisted(document_id(TEXT)))) == (400, ["DOCUMENT_UNKNOWN"])
    assert refused(await post(shop, token)) == (400, ["BAD_INPUT"])
    assert refused(await post(shop, token, query="")) == (400, ["BAD_INPUT"])


@pytest.fixture
async def full(application: object) -> Full:
    """A shop with something of everything."""
    return await fill(await open_shop(application), "juniper")


def variables_of(full: Full, client: str) -> dict[str, Any]:
    """What the queries' variables are, by their names."""
    customer = f"gid://loyalnest/Customer/{full.customer_id}"
    return {
        "first": 10,
        "locale": "en",
        "asOf": NOON.isoformat(),
        "shopifyId": str(full.order_number),
        "id": f"gid://loyalnest/PointsTransaction/{full.customer_id}.1" if client == "widget" else customer,
        "customerId": customer,
        "order": {"currency": "USD", "lines": [{"unitPrice": "10", "productId": "1", "collectionIds": ["2"]}]},
    }


@pytest.mark.usefixtures("trusting")
async def test_every_query_finds_something(full: Full) -> None:
    tokens = {"widget": full.shop.customer_token(full.customer_id), "dashboard": full.shop.staff_token()}
    queries = [one for one in kept(MANIFEST) if one.type == "query"]
    assert len(queries) > 20
    for one in queries:
        given = {name: value for name, value in variables_of(full, one.client_name).items() if f"${name}:" in one.body}
        response = await post(full.shop, tokens[one.client_name], documentId=one.id, variables=given)
        answer = response.json()
        assert "errors" not in answer, (one.name, answer)
        assert None not in answer["data"].values(), (one.name, answer)


def command(name: str) -> Trusted:
    return next(one for one in kept(MANIFEST) if one.name == name)


@pytest.mark.usefixtures("trusting")
async def test_commands_by_their_ids_do_what_they_say(full: Full) -> None:
    shop, customer = full.shop, full.shop.customer_token(full.customer_id)
    before = (await post(shop, customer, documentId=BALANCE.id)).json()["data"]["customer"]["pointsBalance"]
    given = {"customerId": f"gid://loyalnest/Customer/{full.customer_id}", "points": 7, "reason": "sorry", "idempotencyKey": "T1"}
    for _ in range(2):
        adjusted = await post(shop, shop.staff_token(), documentId=command("PointsAdjust").id, variables=given)
        assert adjusted.json()["data"]["pointsAdjust"]["pointsTransaction"]["points"] == 7
    taken = {"rewardId": f"gid://loyalnest/Reward/{full.reward_id}", "idempotencyKey": "T2"}
    answer = (await post(shop, customer, documentId=command("Redeem").id, variables=taken)).json()["data"]["rewardRedeem"]
    assert (answer["userErrors"], answer["redemption"]["points"]) == ([], 1)
    after = (await post(shop, customer, documentId=BALANCE.id)).json()["data"]["customer"]["pointsBalance"]
    assert after == before + 7 - 1


async def test_the_log_names_the_document(shop: Shop, logged: list[str]) -> None:
    customer = await shop.customer()
    await post(shop, shop.customer_token(customer.id), documentId=BALANCE.id)
    await post(shop, shop.staff_token(), query=TEXT)
    lines = [line for line in logged if "graphql.answered" in line]
    assert ["'document': 'Balance'" in line for line in lines] == [True, False]


@pytest.fixture(scope="module")
def api() -> Iterator[Running]:
    """A process as in production, which no variable has told otherwise."""
    with running() as application:
        del application.environment["LOYALNEST_DOCUMENTS"]
        application.start("api")
        yield application


async def over_a_socket(api: Running, token: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The first message that answers an operation."""
    await api.ready()
    url = api.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        return json.loads(await socket.recv())


async def test_over_a_socket_documents_are_named_too(api: Running, shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    token = shop.customer_token(customer.id)
    live = command("BalanceUpdated")
    for payload in ({"documentId": live.id}, {"extensions": persisted(live.id), "variables": {}}):
        answer = await over_a_socket(api, token, payload)
        assert (answer["type"], answer["payload"]["data"]["balanceUpdated"]["pointsBalance"]) == ("next", 0)
    for payload, code in (
        ({"query": live.body}, "DOCUMENT_REQUIRED"),
        ({"query": TEXT, "documentId": live.id}, "DOCUMENT_REQUIRED"),
        ({}, "DOCUMENT_REQUIRED"),
        ({"documentId": NOWHERE}, "DOCUMENT_UNKNOWN"),
        ({"documentId": live.id, "extensions": persisted(BALANCE.id)}, "BAD_INPUT"),
    ):
        answer = await over_a_socket(api, token, payload)
        assert (answer["type"], [one["extensions"]["code"] for one in answer["payload"]]) == ("error", [code])
    answer = await over_a_socket(api, await shop.partner_key(), {"query": TEXT})
    assert answer["payload"]["data"] == {"program": {"version": 1}}
