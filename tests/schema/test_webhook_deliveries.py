"""Deliveries in the API: what staff see of them, and running them again."""

import secrets
from typing import Any

import pytest

from api.ring import Ring
from domain import db, points
from tests.shop import Shop, order, rate
from workers.inbox import work_off

FIELDS = """
    id webhookId topic status attempts failure { code message path } waitsFor triggeredAt receivedAt dueAt requestId
"""
LIST = f"""
    query ($first: Int!, $after: String, $filter: WebhookDeliveryFilter) {{
        webhookDeliveries(first: $first, after: $after, filter: $filter) {{
            nodes {{ {FIELDS} }}
            pageInfo {{ hasNextPage endCursor }}
        }}
    }}
"""
RETRY = f"""
    mutation ($id: ID!) {{
        webhookDeliveryRetry(id: $id) {{ webhookDelivery {{ {FIELDS} }} userErrors {{ code message field }} }}
    }}
"""
RETRY_ALL = """
    mutation ($filter: WebhookDeliveryRetryFilter!) {
        webhookDeliveriesRetry(filter: $filter) { count userErrors { code message field } }
    }
"""
BAD = order(450789469, line_items="canary")


async def listed(shop: Shop, first: int = 10, **filter: Any) -> list[dict[str, Any]]:
    answer = await shop.data(LIST, first=first, filter=filter)
    return answer["webhookDeliveries"]["nodes"]


async def audited(shop: Shop) -> list[tuple[str, ...]]:
    async with db.connection(shop.scope()) as connection:
        rows = await connection.fetch(
            """
            select action, subject, actor, coalesce(before, after)::text from audit_entries
            where action like 'webhook%' order by at
            """
        )
    return [tuple(row) for row in rows]


async def test_a_failed_delivery_is_listed_with_its_reason_and_without_its_payload(shop: Shop) -> None:
    response = await shop.webhook("orders/create", BAD, webhook_id="b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
    await shop.work()
    [delivery] = await listed(shop)
    received = delivery.pop("receivedAt")
    assert delivery == {
        "id": "gid://loyalnest/WebhookDelivery/b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "webhookId": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "topic": "orders/create",
        "status": "FAILED",
        "attempts": 1,
        "failure": {"code": "ORDER_INVALID", "message": "Expected `array`, got `null`", "path": "line_items"},
        "waitsFor": None,
        "triggeredAt": "2026-03-02T12:00:00+00:00",
        "dueAt": None,
        "requestId": response.headers["x-request-id"],
    }
    assert received.endswith("+00:00")
    node = await shop.data(f"query ($id: ID!) {{ node(id: $id) {{ ... on WebhookDelivery {{ {FIELDS} }} }} }}", id=delivery["id"])
    assert node["node"] == delivery | {"receivedAt": received}


async def test_an_odd_but_possible_id_is_found_again(shop: Shop) -> None:
    for webhook_id in ("a/b c%2F?é"[:9], "../..", "%", "gid://shopify/Order/1"):
        assert (await shop.webhook("orders/create", BAD, webhook_id=webhook_id)).json() == {"status": "accepted"}
        found = await shop.data("query ($id: ID!) { node(id: $id) { id } }", id=(await listed(shop))[0]["id"])
        assert found["node"] == {"id": (await listed(shop))[0]["id"]}


async def test_pages_and_filters(shop: Shop) -> None:
    await shop.publish(rate(1))
    for number in range(3):
        await shop.webhook("orders/create", BAD, webhook_id=f"bad-{number}")
        await shop.webhook("customers/update", {"id": "x"}, webhook_id=f"person-{number}")
    await shop.webhook("orders/paid", order(), webhook_id="good")
    await shop.work()
    await shop.webhook("orders/paid", order(), webhook_id="new")

    async def ids(**filter: Any) -> list[str]:
        return [one["webhookId"] for one in await listed(shop, **filter)]

    everything = ["new", "good", "person-2", "bad-2", "person-1", "bad-1", "person-0", "bad-0"]
    assert await ids() == everything
    assert await ids(status="FAILED") == everything[2:]
    assert await ids(status="DONE") == ["good"]
    assert await ids(status="PENDING") == ["new"]
    assert await ids(status="PARKED") == []
    assert await ids(topic="orders/create") == ["bad-2", "bad-1", "bad-0"]
    assert await ids(topic="orders/create", status="DONE") == []
    found, after = [], None
    while True:
        page = (await shop.data(LIST, first=3, after=after))["webhookDeliveries"]
        found += [one["webhookId"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == everything


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "`first` is between 1 and 100."),
        ({"first": 101}, "`first` is between 1 and 100."),
        ({"first": 1, "after": "nonsense"}, "This cursor is not one of this list's."),
        # A cursor that is one of this list's but for the character that cannot be stored.
        ({"first": 1, "after": "WyIyMDI2LTAzLTAyVDEyOjAwOjAwWiIsIlx1MDAwMCJd"}, "This cursor is not one of this list's."),
        ({"first": 1, "filter": {"topic": "orders/\u0000"}}, "This is no topic that is received."),
    ],
)
async def test_what_cannot_be_asked(shop: Shop, variables: dict[str, Any], message: str) -> None:
    [error] = (await shop.ask(LIST, **variables))["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("BAD_INPUT", message)


async def test_what_failed_through_us_is_run_again_and_worked_off_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await shop.webhook("orders/create", order(customer=customer.shopify_id), webhook_id="one")

    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(points, "post", broken)
        for _ in range(6):
            await work_off(shop.scope())
            async with db.connection(shop.scope()) as connection:
                await connection.execute("update inbox set due_at = received_at")
    [delivery] = await listed(shop, status="FAILED")
    message = "A fault of ours. It is in the logs, under the id of the request."
    assert delivery["failure"] == {"code": "INTERNAL", "message": message, "path": None}
    assert delivery["attempts"] == 5
    rung: list[Any] = []
    monkeypatch.setattr(Ring, "__call__", lambda ring, merchant_id: rung.append((ring, merchant_id)))
    answer = (await shop.data(RETRY, id=delivery["id"]))["webhookDeliveryRetry"]
    assert answer["userErrors"] == []
    assert (answer["webhookDelivery"]["status"], answer["webhookDelivery"]["attempts"]) == ("PENDING", 5)
    assert (shop.application.state.process.wake_inbox, shop.merchant.id) in rung
    await shop.work()
    assert await shop.balance(customer.id) == (1000, 0)
    [delivery] = await listed(shop)
    assert (delivery["status"], delivery["attempts"], delivery["failure"], delivery["dueAt"]) == ("DONE", 6, None, None)
    answer = (await shop.data(RETRY, id=delivery["id"]))["webhookDeliveryRetry"]
    assert answer == {
        "webhookDelivery": None,
        "userErrors": [
            {
                "code": "DELIVERY_DONE",
                "message": "The delivery has been worked off, and nothing is kept to run again.",
                "field": ["id"],
            }
        ],
    }
    [(action, subject, actor, before)] = await audited(shop)
    assert (action, subject, before) == ("webhookDeliveryRetry", "delivery/one", '{"status": "failed"}')
    assert actor.startswith("staff:")


async def test_what_is_run_again_in_vain_is_set_aside_again(shop: Shop) -> None:
    await shop.webhook("orders/create", BAD)
    for attempts in (1, 2, 3):
        await shop.work()
        [delivery] = await listed(shop)
        assert (delivery["status"], delivery["attempts"]) == ("FAILED", attempts)
        await shop.data(RETRY, id=delivery["id"])
    assert len(await audited(shop)) == 3


async def test_often_in_vain_is_no_overflow(shop: Shop) -> None:
    await shop.webhook("orders/create", BAD)
    async with db.connection(shop.scope()) as connection:
        await connection.execute("update inbox set attempts = 2147483000")
    await shop.work()
    assert [one["status"] for one in await listed(shop)] == ["FAILED"]


@pytest.mark.parametrize(
    "identifier", ["", "one", "gid://loyalnest/Order/1", "gid://loyalnest/WebhookDelivery/", "x" * 999, "\0"]
)
async def test_what_is_not_there_cannot_be_run_again(shop: Shop, identifier: str) -> None:
    for one in (identifier, f"gid://loyalnest/WebhookDelivery/{identifier}%00"):
        answer = (await shop.data(RETRY, id=one))["webhookDeliveryRetry"]
        refusal = {"code": "NOT_FOUND", "message": "There is no such delivery.", "field": ["id"]}
        assert answer == {"webhookDelivery": None, "userErrors": [refusal]}
    assert await audited(shop) == []


async def test_all_of_a_filter_are_run_again(shop: Shop, other_shop: Shop) -> None:
    for topic, payload in (("orders/create", BAD), ("orders/paid", BAD), ("customers/update", {"id": "x"})):
        for one in (shop, other_shop):
            await one.webhook(topic, payload, webhook_id=f"{topic} {secrets.token_hex(4)}")
    await shop.work()
    await other_shop.work()

    async def again(**filter: Any) -> Any:
        return (await shop.data(RETRY_ALL, filter=filter))["webhookDeliveriesRetry"]

    assert await again(topic="orders/paid") == {"count": 1, "userErrors": []}
    assert [one["topic"] for one in await listed(shop, status="PENDING")] == ["orders/paid"]
    assert await again() == {"count": 2, "userErrors": []}
    assert await again() == {"count": 0, "userErrors": []}
    assert await again(status="PARKED") == {"count": 0, "userErrors": []}
    done = "What has been worked off is not kept to run again."
    assert await again(status="DONE") == {
        "count": None,
        "userErrors": [{"code": "DELIVERY_DONE", "message": done, "field": ["filter", "status"]}],
    }
    topic = {"code": "BAD_INPUT", "message": "This is no topic that is received.", "field": ["filter", "topic"]}
    assert await again(topic="x") == {"count": None, "userErrors": [topic]}
    assert [one["status"] for one in await listed(other_shop)] == ["FAILED"] * 3
    assert (await audited(shop))[0][3] == '{"count": 1, "topic": "orders/paid", "status": "failed"}'
    assert await audited(other_shop) == []


async def test_only_staff_see_deliveries(shop: Shop) -> None:
    await shop.webhook("orders/create", BAD, webhook_id="one")
    customer = await shop.customer()
    identifier = "gid://loyalnest/WebhookDelivery/one"
    before = await listed(shop)
    for token in (shop.customer_token(customer.id), await shop.partner_key()):
        for query, variables in ((LIST, {"first": 1}), (RETRY, {"id": identifier}), (RETRY_ALL, {"filter": {}})):
            answer = await shop.ask(query, token=token, **variables)
            assert answer.get("data") is None
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
        found = await shop.data("query ($id: ID!) { node(id: $id) { id } }", token=token, id=identifier)
        assert found == {"node": None}
    assert await listed(shop) == before
