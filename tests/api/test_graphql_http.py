"""GraphQL over HTTP: whatever is sent, the answer is coded, numbered, and never a fault of ours."""

import json
from typing import Any

import httpx
import pytest

from api.graphql import BODY_MAX
from domain import audit, db, programs
from schema.documents import TOKENS_MAX
from tests.shop import Shop

BUG = "Something went wrong on our side."


async def send(shop: Shop, body: bytes, content_type: str = "application/json") -> httpx.Response:
    headers = {"content-type": content_type, "authorization": f"Bearer {shop.staff_token()}"}
    return await shop.post("/graphql", body, headers)


def coded(response: httpx.Response) -> list[str]:
    """The codes of an answer's errors, each of which carries the id that its header has."""
    request_id = response.headers["x-request-id"]
    errors: list[dict[str, Any]] = response.json()["errors"]
    assert {error["extensions"]["requestId"] for error in errors} == {request_id}
    assert all(error["message"] for error in errors)
    return [error["extensions"]["code"] for error in errors]


JUNK = {
    "null": b"null",
    "number": b"1",
    "text": b'"a"',
    "true": b"true",
    "list": b"[]",
    "batch": b'[{"query": "{ program { id } }"}]',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "deep variables": b'{"query": "{ program { id } }", "variables": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}",
    "no query": b"{}",
    "query is a number": b'{"query": 1}',
    "query is null": b'{"query": null}',
    "query is a list": b'{"query": ["{ program { id } }"]}',
    "variables a list": b'{"query": "{ program { id } }", "variables": []}',
    "variables a text": b'{"query": "{ program { id } }", "variables": "{}"}',
    "operation name a number": b'{"query": "{ program { id } }", "operationName": 1}',
    "extensions a list": b'{"query": "{ program { id } }", "extensions": []}',
    "empty": b"",
    "blank": b"  \n",
    "truncated": b'{"query": "{ program { id',
    "not utf-8": b'{"query": "\xff\xfe"}',
    "a lone surrogate": b'{"query": "\\ud800"}',
    "nul": b"\x00",
    "plain document": b"{ program { id } }",
    "two documents": b'{"query": "{ program { id } }"}{}',
}


@pytest.mark.parametrize("name", JUNK)
async def test_what_is_no_graphql_request(shop: Shop, name: str) -> None:
    response = await send(shop, JUNK[name])
    assert (response.status_code, coded(response)) == (400, ["BAD_INPUT"])
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/graphql", "", "x", "/"],
)
async def test_another_content_type(shop: Shop, content_type: str) -> None:
    response = await send(shop, b'{"query": "{ program { id } }"}', content_type)
    assert (response.status_code, coded(response)) == (400, ["BAD_INPUT"])


async def test_a_content_type_may_name_its_charset(shop: Shop) -> None:
    response = await send(shop, b'{"query": "{ program { id } }"}', "application/json; charset=utf-8")
    assert response.json() == {"data": {"program": None}}


async def test_a_body_that_is_too_large(shop: Shop) -> None:
    response = await send(shop, b'{"query": "' + b" " * BODY_MAX + b'"}')
    assert (response.status_code, coded(response)) == (413, ["TOO_LARGE"])


async def test_a_body_that_grows_too_large_while_it_comes(shop: Shop) -> None:
    """Without a length in the header, the bytes are counted."""

    async def chunks() -> Any:
        for _ in range(BODY_MAX // 1024 + 1):
            yield b" " * 1024

    transport = httpx.ASGITransport(app=shop.application)
    headers = {"content-type": "application/json", "authorization": f"Bearer {shop.staff_token()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
        response = await client.post("/graphql", content=chunks(), headers=headers)
    assert (response.status_code, coded(response)) == (413, ["TOO_LARGE"])


DOCUMENTS = {
    "comment": "# nothing",
    "syntax": "{ program { id }",
    "unbalanced": "}}}}",
    "control characters": "{ program\u0000 }",
    "emoji": "{ \U0001f600 }",
    "unknown field": "{ programme { id } }",
    "unknown argument": "{ program(id: 1) { id } }",
    "unknown type": "query ($a: Nothing) { program { id } }",
    "unknown fragment": "{ ...Nothing }",
    "unknown directive": "{ program @nothing { id } }",
    "circular fragments": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "no selection": "{ program }",
    "selection on a leaf": "{ program { version { number } } }",
    "missing argument": "{ customers { nodes { id } } }",
    "text for a number": '{ customers(first: "ten") { nodes { id } } }',
    "fraction for a number": "{ customers(first: 1.5) { nodes { id } } }",
    "too large for a number": "{ customers(first: 99999999999) { nodes { id } } }",
    "object for an id": "{ node(id: {a: 1}) { id } }",
    "fragment on a scalar": "{ ... on Points { id } }",
    "two anonymous operations": "{ program { id } } { program { id } }",
    "variable without a value": "query ($first: Int!) { customers(first: $first) { nodes { id } } }",
    "points as text": (
        'mutation { pointsAdjust(customerId: "x", points: "5", reason: "x", idempotencyKey: "k") { userErrors { code } } }'
    ),
    "points as a fraction": (
        'mutation { pointsAdjust(customerId: "x", points: 5.0, reason: "x", idempotencyKey: "k") { userErrors { code } } }'
    ),
    "no idempotency key": 'mutation { pointsAdjust(customerId: "x", points: 5, reason: "x") { userErrors { code } } }',
    "null idempotency key": (
        'mutation { pointsAdjust(customerId: "x", points: 5, reason: "x", idempotencyKey: null) { userErrors { code } } }'
    ),
    "money as a number": '{ simulateOrder(order: {currency: "USD", lines: [{unitPrice: 5}]}) { points } }',
    "money in words": '{ simulateOrder(order: {currency: "USD", lines: [{unitPrice: "five"}]}) { points } }',
    "currency in small letters": '{ simulateOrder(order: {currency: "usd", lines: []}) { points } }',
    "instant in words": '{ pointsTransactions(first: 1, filter: {from: "yesterday"}) { nodes { id } } }',
    "unknown enum value": "{ pointsTransactions(first: 1, filter: {type: STOLEN}) { nodes { id } } }",
}


@pytest.mark.parametrize("document", ["", "subscription { balanceUpdated { version } }", "fragment A on Query { __typename }"])
async def test_a_document_without_an_operation_for_this_door(shop: Shop, document: str) -> None:
    response = await send(shop, json.dumps({"query": document}).encode())
    assert (response.status_code, coded(response)) == (400, ["BAD_INPUT"])
    assert "data" not in response.json()


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_document_that_cannot_be_run(shop: Shop, name: str) -> None:
    response = await send(shop, json.dumps({"query": DOCUMENTS[name]}).encode())
    assert response.status_code == 200
    codes = coded(response)
    assert set(codes) == {"BAD_INPUT"}
    assert response.json().get("data") is None
    assert BUG not in response.text


VARIABLES: dict[str, tuple[str, Any]] = {
    "points above the range": ("Points!", 2**53),
    "points below the range": ("Points!", -(2**53)),
    "points as text": ("Points!", "5"),
    "points as a fraction": ("Points!", 5.5),
    "points as a truth": ("Points!", True),
    "points as a list": ("Points!", [5]),
    "points missing": ("Points!", None),
}


@pytest.mark.parametrize("name", VARIABLES)
async def test_a_variable_that_cannot_be_read(shop: Shop, name: str) -> None:
    kind, value = VARIABLES[name]
    customer = await shop.customer()
    document = f"""mutation ($points: {kind}) {{
        pointsAdjust(customerId: "gid://loyalnest/Customer/{customer.id}", points: $points, reason: "x", idempotencyKey: "k") {{
            userErrors {{ code }}
        }}
    }}"""
    response = await send(shop, json.dumps({"query": document, "variables": {"points": value}}).encode())
    assert (response.status_code, coded(response)) == (200, ["BAD_INPUT"])
    assert response.json().get("data") is None
    assert await shop.balance(customer.id) == (0, 0)


async def test_an_operation_that_is_not_in_the_document(shop: Shop) -> None:
    document = "query A { program { id } } query B { programDraft { revision } }"
    for name in ("C", ""):
        response = await send(shop, json.dumps({"query": document, "operationName": name}).encode())
        assert coded(response) == ["BAD_INPUT"]
        assert response.status_code in (200, 400)
        assert response.json().get("data") is None
    response = await send(shop, json.dumps({"query": document, "operationName": "B"}).encode())
    assert response.json() == {"data": {"programDraft": None}}


async def test_nothing_is_suggested_to_a_guesser(shop: Shop) -> None:
    for document in (
        "{ custome { id } }",
        "{ program { versio } }",
        "{ customers(firs: 1) { nodes { id } } }",
        "{ ... on Custome { id } }",
        "{ pointsTransactions(first: 1, filter: {type: ERN}) { nodes { id } } }",
    ):
        response = await send(shop, json.dumps({"query": document}).encode())
        assert set(coded(response)) == {"BAD_INPUT"}
        assert "Did you mean" not in response.text


async def test_a_document_with_too_many_tokens(shop: Shop) -> None:
    document = "{ " + "a " * TOKENS_MAX + " }"
    response = await send(shop, json.dumps({"query": document}).encode())
    assert (response.status_code, coded(response)) == (200, ["BAD_INPUT"])


@pytest.mark.parametrize(
    "document",
    [
        "{" * 1_900,
        "{ a" * 900 + " }" * 900,
        "{ node(id: " + "[" * 900 + "]" * 900 + ") { id } }",
        "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { program { id } }",
        "{ program { " + "... { " * 600 + "id" + " }" * 600 + " } }",
        "{ " + "... on Query { " * 450 + "__typename" + " }" * 450 + " }",
    ],
)
async def test_a_document_that_is_very_deep(shop: Shop, document: str) -> None:
    response = await send(shop, json.dumps({"query": document}).encode())
    assert response.status_code == 200
    assert BUG not in response.text
    if "errors" in response.json():
        assert set(coded(response)) == {"BAD_INPUT"}


async def test_a_get_runs_nothing(shop: Shop) -> None:
    transport = httpx.ASGITransport(app=shop.application)
    headers = {"authorization": f"Bearer {shop.staff_token()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test", headers=headers) as client:
        read = await client.get("/graphql", params={"query": "{ program { id } }"})
        others = [await client.request(method, "/graphql") for method in ("PUT", "DELETE", "PATCH")]
    assert "application/json" not in read.headers["content-type"]
    assert '"data"' not in read.text
    assert [one.status_code for one in others] == [405] * 3
    assert [coded(one) for one in others] == [["BAD_INPUT"]] * 3


async def test_an_unknown_path_is_coded_too(shop: Shop) -> None:
    response = await shop.post("/nowhere", b"", {})
    assert response.status_code in (404, 405)
    assert coded(response) == ["BAD_INPUT"]


async def test_a_bug_tells_the_client_nothing_and_the_log_everything(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(programs, "live", fail)
    document = '{ program { id } customers(first: 1, query: "canary.person@example.com") { nodes { id } } }'
    response = await send(shop, json.dumps({"query": document}).encode())
    assert (response.status_code, coded(response)) == (200, ["INTERNAL"])
    assert response.json()["errors"][0]["message"] == BUG
    assert response.json()["errors"][0]["path"] == ["program"]
    assert response.json()["data"] == {"program": None, "customers": {"nodes": []}}
    assert "secret" not in response.text
    everything = "\n".join(logged)
    assert "the secret inside" in everything
    assert response.headers["x-request-id"] in everything
    assert "canary" not in everything


async def test_a_bug_in_a_command_undoes_the_command(shop: Shop, monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret inside")

    customer = await shop.customer()
    monkeypatch.setattr(audit, "record", fail)
    document = f"""mutation {{
        pointsAdjust(customerId: "gid://loyalnest/Customer/{customer.id}", points: 5, reason: "x", idempotencyKey: "k") {{
            userErrors {{ code }}
        }}
    }}"""
    response = await send(shop, json.dumps({"query": document}).encode())
    assert (response.status_code, coded(response)) == (200, ["INTERNAL"])
    assert "secret" not in response.text
    assert any("the secret inside" in line for line in logged)
    monkeypatch.undo()
    assert await shop.balance(customer.id) == (0, 0)
    async with db.connection(shop.scope()) as connection:
        assert await connection.fetchval("select count(*) from idempotency_keys") == 0
    assert db.database().idle_count()[0] == db.database().idle_count()[1]


async def test_an_answer_is_one_line_in_the_log_and_quotes_nothing(shop: Shop, logged: list[str]) -> None:
    """Whoever mistypes does not fill the log, and what was mistyped may be anybody's address."""
    for document in ("{ nothing }", "{ customers(first: 0) { nodes { id } } }", "{"):
        await send(shop, json.dumps({"query": document}).encode())
    assert [("'event': 'graphql.answered'" in line, "'codes': ['BAD_INPUT']" in line) for line in logged] == [(True, True)] * 3
    assert [line for line in logged if "nothing" in line or "customers" in line] == []


async def test_introspection_answers_in_development(shop: Shop) -> None:
    data = await shop.data('{ __schema { queryType { name } } __type(name: "Points") { kind } }')
    assert data == {"__schema": {"queryType": {"name": "Query"}}, "__type": {"kind": "SCALAR"}}
