"""The merchant and the time machine, through GraphQL: exact answers, coded refusals, and the same time at every door."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from api.ring import Ring
from domain import db, merchants
from domain.access import Permission
from domain.scope import Actor, Door, Scope
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema
from tests.shop import NOON, Shop, open_shop, order, rate

MERCHANT = "{ merchant { name shopDomain currency sandbox now } }"
ADVANCE = """mutation ($days: Int, $until: DateTime) {
    sandboxClockAdvance(days: $days, until: $until) { merchant { sandbox now } userErrors { code field } }
}"""
ADJUST = """mutation ($id: ID!) {
    pointsAdjust(customerId: $id, points: 5, reason: "gift", idempotencyKey: "k") {
        pointsTransaction { occurredAt } userErrors { code }
    }
}"""
OWN = "{ customer { pointsTransactions(first: 1) { nodes { occurredAt } } } }"
DAY = timedelta(days=1)


@pytest.fixture
async def sandbox(application: object) -> Shop:
    return await open_shop(application, sandbox=True)


def real() -> datetime:
    return datetime.now(UTC)


async def advance(shop: Shop, **target: Any) -> dict[str, Any]:
    return (await shop.data(ADVANCE, **target))["sandboxClockAdvance"]


async def test_a_merchant_sees_themself(shop: Shop) -> None:
    before = real()
    merchant = (await shop.data(MERCHANT))["merchant"]
    assert before <= datetime.fromisoformat(merchant.pop("now")) <= real()
    assert merchant == {"name": "Test", "shopDomain": shop.merchant.shop_domain, "currency": "USD", "sandbox": False}


async def test_the_clock_of_a_sandbox_moves_for_everybody_of_it(sandbox: Shop) -> None:
    customer = await sandbox.customer()
    before = real()
    moved = await advance(sandbox, days=400)
    assert moved["userErrors"] == []
    assert moved["merchant"]["sandbox"] is True
    assert before + 400 * DAY <= datetime.fromisoformat(moved["merchant"]["now"]) <= real() + 400 * DAY
    adjusted = await sandbox.data(ADJUST, id=f"gid://loyalnest/Customer/{customer.id}")
    at = adjusted["pointsAdjust"]["pointsTransaction"]["occurredAt"]
    assert before + 400 * DAY <= datetime.fromisoformat(at) <= real() + 400 * DAY
    # Credentials live in real time: the same tokens open the same doors.
    own = await sandbox.data(OWN, token=sandbox.customer_token(customer.id))
    assert own == {"customer": {"pointsTransactions": {"nodes": [{"occurredAt": at}]}}}
    await sandbox.data("{ program { id } }", token=await sandbox.partner_key())


async def test_until_is_exact(sandbox: Shop) -> None:
    until = (real() + 10 * DAY).replace(microsecond=0)
    assert (await advance(sandbox, until=until.isoformat()))["userErrors"] == []
    answer = await advance(sandbox, until=until.isoformat())
    assert answer == {"merchant": None, "userErrors": [{"code": "CLOCK_BACKWARDS", "field": ["until"]}]}


@pytest.mark.parametrize(
    ("target", "code", "field"),
    [
        ({}, "BAD_INPUT", ["days"]),
        ({"days": 1, "until": "2100-01-01T00:00:00Z"}, "BAD_INPUT", ["days"]),
        ({"until": "2027-01-01T00:00:00"}, "BAD_INPUT", ["until"]),
        ({"days": 0}, "CLOCK_BACKWARDS", ["days"]),
        ({"days": -(2**31)}, "CLOCK_BACKWARDS", ["days"]),
        ({"until": "2020-01-01T00:00:00Z"}, "CLOCK_BACKWARDS", ["until"]),
        ({"until": "0001-01-01T00:00:00+14:00"}, "CLOCK_BACKWARDS", ["until"]),
        ({"days": 3654}, "CLOCK_TOO_FAR", ["days"]),
        ({"days": 2**31 - 1}, "CLOCK_TOO_FAR", ["days"]),
        ({"until": "9999-12-31T23:59:59.999999-14:00"}, "CLOCK_TOO_FAR", ["until"]),
    ],
)
async def test_a_clock_that_cannot_go_there(sandbox: Shop, target: dict[str, Any], code: str, field: list[str]) -> None:
    assert await advance(sandbox, **target) == {"merchant": None, "userErrors": [{"code": code, "field": field}]}
    assert await merchants.clock_offset(sandbox.merchant.id) == timedelta()


@pytest.mark.parametrize("until", ["tomorrow", "", 5, "2027-13-01T00:00:00Z"])
async def test_junk_for_an_instant_is_bad_input(sandbox: Shop, until: Any) -> None:
    answer = await sandbox.ask(ADVANCE, until=until)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_INPUT"]


async def test_a_merchant_who_is_no_sandbox_is_refused(shop: Shop) -> None:
    assert await advance(shop, days=1) == {"merchant": None, "userErrors": [{"code": "SANDBOX_REQUIRED", "field": []}]}


async def test_only_staff_know_and_move_the_clock(sandbox: Shop) -> None:
    customer = await sandbox.customer()
    for token in (sandbox.customer_token(customer.id), await sandbox.partner_key()):
        for document in (MERCHANT, ADVANCE):
            answer = await sandbox.ask(document, token=token)
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert await merchants.clock_offset(sandbox.merchant.id) == timedelta()


async def test_another_sandbox_keeps_its_time(sandbox: Shop, application: object) -> None:
    other = await open_shop(application, sandbox=True)
    await advance(sandbox, days=5)
    assert await merchants.clock_offset(other.merchant.id) == timedelta()


async def test_only_a_sandboxs_customers_pay_for_its_clock(shop: Shop, sandbox: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def counted(merchant_id: object) -> timedelta:
        asked.append(merchant_id)
        return timedelta()

    monkeypatch.setattr(merchants, "clock_offset", counted)
    for one in (shop, sandbox):
        customer = await one.customer()
        await one.data("{ customer { pointsBalance } }", token=one.customer_token(customer.id))
    assert asked == [sandbox.merchant.id]


async def test_a_delivery_is_received_in_the_merchants_time(sandbox: Shop) -> None:
    await sandbox.publish(rate(10))
    await advance(sandbox, days=30)
    before = real()
    assert (await sandbox.webhook("orders/create", order())).status_code == 200
    async with db.connection(sandbox.scope()) as connection:
        [row] = await connection.fetch("select received_at, due_at from inbox")
    assert before + 30 * DAY <= row["received_at"] == row["due_at"] <= real() + 30 * DAY


async def test_the_workers_are_woken_once_the_new_time_can_be_seen(
    sandbox: Shop, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    woken: list[object] = []
    scope = Scope(sandbox.merchant.id, Actor(Door.STAFF, "42"), NOON, "r")

    async def run(document: str) -> Any:
        context = Context(
            scope,
            Doorbell(),
            lambda _: None,
            permissions=frozenset({Permission.WRITE}),
            wake=lambda merchant_id: woken.append((merchant_id, committed())),
        )
        return await schema.execute(document, context_value=context)

    def committed() -> bool:
        return db._held.get() is None

    refused = await run("mutation { sandboxClockAdvance(days: 0) { userErrors { code } } }")
    assert refused.data == {"sandboxClockAdvance": {"userErrors": [{"code": "CLOCK_BACKWARDS"}]}}
    assert woken == []
    moved = await run("mutation { sandboxClockAdvance(days: 1) { userErrors { code } } }")
    assert moved.data == {"sandboxClockAdvance": {"userErrors": []}}
    assert woken == [(sandbox.merchant.id, True)]
    assert await owner.fetchval("select clock_offset from merchants where id = $1", sandbox.merchant.id) == DAY


async def test_the_server_rings_for_what_is_due_and_only_for_a_clock_that_moved(
    sandbox: Shop, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[Ring, object]] = []
    monkeypatch.setattr(Ring, "__call__", lambda ring, merchant_id: rung.append((ring, merchant_id)))
    process = sandbox.application.state.process
    await advance(shop, days=1)
    assert rung == []
    await advance(sandbox, days=1)
    assert rung == [(process.wake_outbox, sandbox.merchant.id), (process.wake_due, sandbox.merchant.id)]
