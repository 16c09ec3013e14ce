"""Instants that somebody tells, from the ends of the calendar and beyond: refused with a reason, and never a fault of ours."""

import json
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from domain import inbox
from domain.calendar import is_usable
from tests.api.test_reviews import judgeme, send, set_secret, yotpo
from tests.schema.test_actions import RECORD, SYNC
from tests.shop import NOON, Shop, open_shop, order, rate
from workers.inbox import work_off

EDGES = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "1899-12-31T23:59:59.999999Z",
    "3000-01-01T00:00:00Z",
)
NAIVE = "2026-03-02T12:00:00"
THE_ORDER, THE_CUSTOMER = 71, 72


async def failures(shop: Shop) -> list[tuple[str, str | None, str | None]]:
    """(status, code, path) of each delivery, in the order in which they came."""
    return [(row.status, row.failure, row.failure_path) for row in (await inbox.page(shop.scope(), 100, None))[::-1]]


async def delivered(shop: Shop, topic: str, payload: Any) -> None:
    assert (await shop.webhook(topic, payload)).status_code == 200
    await work_off(shop.now())


@pytest.mark.parametrize("at", [*EDGES, NAIVE])
@pytest.mark.parametrize("name", ["created_at", "updated_at"])
async def test_an_order_and_a_customer_of_no_time_are_set_aside(shop: Shop, at: str, name: str) -> None:
    await shop.publish(rate(1))
    await delivered(shop, "orders/create", order(THE_ORDER, customer=THE_CUSTOMER, **{name: at}))
    told = {"id": THE_CUSTOMER, "created_at": NOON.isoformat(), "updated_at": NOON.isoformat()}
    await delivered(shop, "customers/create", told | {name: at})
    assert await failures(shop) == [("failed", "ORDER_INVALID", name), ("failed", "CUSTOMER_INVALID", name)]


@pytest.mark.parametrize("at", [*EDGES, NAIVE])
async def test_an_account_closed_at_no_time_is_set_aside(shop: Shop, at: str) -> None:
    await delivered(shop, "customers/disable", {"id": THE_CUSTOMER, "updated_at": at})
    assert await failures(shop) == [("failed", "DELIVERY_INVALID", "updated_at")]
    assert (await shop.customer(THE_CUSTOMER)).state == "open"


@pytest.mark.parametrize("at", [*EDGES, NAIVE, "yesterday"])
async def test_what_is_told_of_an_order_besides_counts_without_its_instants(shop: Shop, at: str) -> None:
    """Of refunds, payments and disputes no instant is kept, so none can be wrong."""
    await shop.publish(rate(1))
    await delivered(shop, "orders/create", order(THE_ORDER, customer=THE_CUSTOMER))
    times = {"created_at": at, "processed_at": at, "initiated_at": at, "evidence_due_by": at, "finalized_on": at}
    money = {"kind": "refund", "status": "success", "amount": "10.00"}
    refund = {"id": 1, "order_id": THE_ORDER, "transactions": [money | {"id": 2} | times]}
    await delivered(shop, "refunds/create", refund | times)
    await delivered(shop, "order_transactions/create", money | {"id": 3, "order_id": THE_ORDER} | times)
    dispute = {"id": 4, "order_id": THE_ORDER, "type": "chargeback", "status": "lost", "amount": "10.00", "currency": "USD"}
    await delivered(shop, "disputes/create", dispute | times)
    assert {status for status, *_ in await failures(shop)} == {"done"}
    assert await shop.balance((await shop.customer(THE_CUSTOMER)).id) == (70, 0)


@pytest.mark.parametrize("at", [*EDGES, NAIVE])
async def test_the_instant_in_a_header_is_left_out_when_it_is_none(shop: Shop, at: str) -> None:
    body = json.dumps(order(THE_ORDER)).encode()
    headers = shop.webhook_headers("orders/create", body) | {"x-shopify-triggered-at": at}
    assert (await shop.post("/webhooks/shopify", body, headers)).status_code == 200
    [row] = await inbox.page(shop.scope(), 2, None)
    assert row.triggered_at is None


@pytest.mark.parametrize("at", [*EDGES[:3], NAIVE])
async def test_a_review_of_no_time_is_refused(shop: Shop, at: str) -> None:
    await set_secret(shop)
    for payload in (judgeme(created_at=at), judgeme(updated_at=at), yotpo(created_at=at), yotpo(updated_at=at)):
        status, said = await send(shop, payload)
        assert (status, said) == (400, "not_a_review")


@pytest.mark.parametrize("at", [*EDGES, NAIVE])
async def test_what_partners_and_tills_tell_of_no_time_is_refused(shop: Shop, at: str) -> None:
    await shop.publish(rate(1))
    partner = await shop.partner_key()
    customer = f"gid://loyalnest/Customer/{(await shop.customer()).id}"
    event = {"name": "quiz", "customerId": customer, "occurredAt": at, "id": "q1"}
    told = (await shop.data(RECORD, token=partner, input=event))["eventRecord"]
    assert told["userErrors"] == [{"code": "INSTANT_INVALID", "field": ["input", "occurredAt"]}]
    sale = {"clientId": "s", "movement": "SALE", "occurredAt": at, "amount": "1.00", "currency": "USD", "customerId": customer}
    [result] = (await shop.data(SYNC, token=partner, entries=[sale]))["pointsSync"]["results"]
    assert result["userErrors"] == [{"code": "INSTANT_INVALID", "field": ["entries", "0", "occurredAt"]}]


ASKED = (
    "query ($at: DateTime!) { auditEntries(first: 1, filter: {from: $at}) { nodes { id } } }",
    "query ($at: DateTime!) { auditEntries(first: 1, filter: {to: $at}) { nodes { id } } }",
    "query ($at: DateTime!) { pointsTransactions(first: 1, filter: {from: $at}) { nodes { id } } }",
    "query ($at: DateTime!) { pointsTransactions(first: 1, filter: {until: $at}) { nodes { id } } }",
    'mutation ($at: DateTime!) { apiKeyCreate(name: "a", scopes: [READ], expiresAt: $at) { userErrors { code field } } }',
    "mutation ($at: DateTime!) { sandboxClockAdvance(until: $at) { userErrors { code field } } }",
    """mutation ($at: DateTime!) { rewardCreate(
        input: {kind: FREE_SHIPPING, names: [{locale: "en", name: "a"}], points: 1, startsAt: $at}
    ) { userErrors { code field } } }""",
    """mutation ($at: DateTime!) { programDraftUpdate(input: {actions: {goals: [
        {id: "a", points: 1, spend: "1.00", currency: "USD", startsAt: $at}
    ]}}) { userErrors { code field } } }""",
)


@pytest.mark.parametrize("at", [*EDGES, NAIVE])
@pytest.mark.parametrize("document", ASKED)
async def test_no_instant_in_a_question_is_a_fault_of_ours(application: object, document: str, at: str) -> None:
    shop = await open_shop(application, sandbox=True)
    answer = await shop.ask(document, at=at)
    assert {one["extensions"]["code"] for one in answer.get("errors", ())} <= {"BAD_INPUT"}, answer


@pytest.mark.parametrize("at", EDGES)
@pytest.mark.parametrize(
    ("name", "rest"),
    [("actionClaims", ("sale", "1")), ("webhookDeliveries", ("1",)), ("pointsTransactions", (str(UUID(int=1)), 1))],
)
async def test_no_instant_in_a_cursor_is_a_fault_of_ours(shop: Shop, name: str, rest: tuple[Any, ...], at: str) -> None:
    cursor = urlsafe_b64encode(json.dumps([at, *rest]).encode()).decode().rstrip("=")
    answer = await shop.ask(f'query {{ {name}(first: 1, after: "{cursor}") {{ nodes {{ __typename }} }} }}')
    assert {one["extensions"]["code"] for one in answer.get("errors", ())} <= {"BAD_INPUT"}, answer


def test_usable_is_from_1900_to_2999() -> None:
    assert [is_usable(datetime.fromisoformat(at)) for at in (*EDGES, NAIVE)] == [False] * 5
    assert is_usable(datetime.fromisoformat("1900-01-01T00:00:00Z"))
    assert is_usable(datetime.fromisoformat("2999-12-31T23:59:59.999999-12:00")) is False
    assert is_usable(datetime.fromisoformat("2999-12-31T23:59:59.999999Z"))
