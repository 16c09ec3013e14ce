"""Balances at an instant and lots, as the API shows them."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.programs import Period, Unit
from tests.ledger import converge, spend
from tests.schema.rows import rows
from tests.shop import NOON, Shop, order, rate

BALANCE = """query ($customer: ID, $at: DateTime, $first: Int = 10, $after: String) {
    pointsBalance(customerId: $customer, asOf: $at) {
        customerId asOf pointsBalance pointsPending
        proof { version hash previousHash contentHash occurredAt headVersion headHash }
        changes(first: $first, after: $after) {
            nodes { occursAt kind points pointsPending balanceAfter pendingAfter } pageInfo { hasNextPage endCursor }
        }
    }
}"""
LOTS = """query ($customer: ID!, $first: Int!, $after: String) {
    customer(id: $customer) {
        pointsLots(first: $first, after: $after) {
            nodes { lot points remaining expired expiresAt } pageInfo { hasNextPage endCursor }
        }
    }
}"""


def gid(customer_id: UUID) -> str:
    return f"gid://loyalnest/Customer/{customer_id}"


async def balance(shop: Shop, customer_id: UUID, **variables: Any) -> dict[str, Any]:
    return (await shop.data(BALANCE, customer=gid(customer_id), **variables))["pointsBalance"]


async def two_orders(shop: Shop) -> UUID:
    """100 points and 50 points, booked long ago: the API's present is the real one."""
    await shop.publish(rate(10))
    customer = await shop.customer()
    for day, price in ((0, "10.00"), (1, "5.00")):
        shop.at = NOON - timedelta(days=100 - day)
        instant = shop.at.isoformat()
        await converge(shop, order(customer=customer.shopify_id, price=price, created_at=instant, updated_at=instant))
    return customer.id


async def test_a_past_balance_comes_with_what_proves_it(shop: Shop) -> None:
    customer_id = await two_orders(shop)
    first_day = NOON - timedelta(days=100)
    found = await balance(shop, customer_id, at=first_day.isoformat())
    assert (found["customerId"], found["pointsBalance"], found["pointsPending"]) == (gid(customer_id), 100, 0)
    assert datetime.fromisoformat(found["asOf"]) == first_day
    proof = found["proof"]
    numbers = b"".join(one.to_bytes(8, "big", signed=True) for one in (proof["version"], 100, 0))
    content = bytes.fromhex(proof["previousHash"]) + numbers + bytes.fromhex(proof["contentHash"])
    assert hashlib.sha256(content).hexdigest() == proof["hash"]
    assert (proof["version"], proof["headVersion"]) == (1, 2)
    assert found["changes"]["nodes"] == []
    present = await balance(shop, customer_id)
    assert (present["pointsBalance"], present["proof"]["version"], present["proof"]["previousHash"]) == (150, 2, proof["hash"])
    assert present["proof"]["hash"] == present["proof"]["headHash"] == proof["headHash"]
    before = await balance(shop, customer_id, at="2001-01-01T00:00:00Z")
    assert before["pointsBalance"] == 0
    assert {name: before["proof"][name] for name in ("version", "previousHash", "contentHash", "occurredAt")} == {
        "version": 0,
        "previousHash": None,
        "contentHash": None,
        "occurredAt": None,
    }
    assert before["proof"]["hash"] == proof["previousHash"]


async def test_a_future_balance_comes_with_what_leads_to_it(shop: Shop) -> None:
    shop.at = datetime.fromisoformat("2100-01-01T12:00:00Z")
    await shop.publish(rate(10, hold_days=3, points_expire_after=Period(30, Unit.DAYS)))
    customer = await shop.customer()
    instant = shop.at.isoformat()
    await converge(shop, order(customer=customer.shopify_id, price="10.00", created_at=instant, updated_at=instant))
    before = await rows(shop)
    found = await balance(shop, customer.id, at="2100-03-01T00:00:00Z")
    assert (found["pointsBalance"], found["pointsPending"], found["proof"]) == (0, 0, None)
    confirmed = {
        "occursAt": "2100-01-04T12:00:00+00:00",
        "kind": "CONFIRMED",
        "points": 100,
        "pointsPending": -100,
        "balanceAfter": 100,
        "pendingAfter": 0,
    }
    expired = {
        "occursAt": "2100-02-04T00:00:00+00:00",
        "kind": "EXPIRED",
        "points": -100,
        "pointsPending": 0,
        "balanceAfter": 0,
        "pendingAfter": 0,
    }
    assert found["changes"]["nodes"] == [confirmed, expired]
    page = (await balance(shop, customer.id, at="2100-03-01T00:00:00Z", first=1))["changes"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([confirmed], True)
    page = (await balance(shop, customer.id, at="2100-03-01T00:00:00Z", first=1, after=page["pageInfo"]["endCursor"]))["changes"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([expired], False)
    assert await rows(shop) == before


async def test_a_customer_sees_their_own_balance_and_no_other(shop: Shop, other_shop: Shop) -> None:
    customer_id = await two_orders(shop)
    other, foreign = await shop.customer(), await other_shop.customer()
    token = shop.customer_token(customer_id)
    for variables in ({}, {"customer": gid(customer_id)}):
        assert (await shop.data(BALANCE, token=token, **variables))["pointsBalance"]["pointsBalance"] == 150
    assert (await shop.data(BALANCE, token=token, customer=gid(other.id)))["pointsBalance"] is None
    for nobody in (gid(foreign.id), gid(uuid4()), "x"):
        assert (await shop.data(BALANCE, customer=nobody))["pointsBalance"] is None


@pytest.mark.parametrize(
    ("variables", "field", "message"),
    [
        ({"at": "2026-01-01T00:00:00"}, ["asOf"], "An instant needs a time zone, such as 2026-11-21T12:00:00Z."),
        ({"at": "0001-01-01T00:00:00+14:00"}, ["asOf"], "The instant is outside the years 1 to 9999."),
        ({"at": "9999-12-31T23:59:59-14:00"}, ["asOf"], "The instant is outside the years 1 to 9999."),
        ({"customer": None}, ["customerId"], "Pass `customerId`."),
        ({"first": 0}, ["first"], None),
        ({"after": "x"}, ["after"], None),
    ],
)
async def test_bad_questions_get_a_code(shop: Shop, variables: dict[str, Any], field: list[str], message: str | None) -> None:
    customer = await shop.customer()
    answer = await shop.ask(BALANCE, **({"customer": gid(customer.id)} | variables))
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert message is None or error["message"] == message
    assert field[0] in error["extensions"].get("field", field)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_the_ends_of_the_calendar_are_answered(shop: Shop, at: str) -> None:
    customer_id = await two_orders(shop)
    found = await balance(shop, customer_id, at=at)
    assert found["pointsBalance"] in (0, 150)


async def test_lots_come_in_the_order_in_which_they_are_spent(shop: Shop) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    await converge(shop, order(customer=customer.shopify_id, price="10.00"))
    await shop.publish(rate(10, points_expire_after=Period(30, Unit.DAYS)), at=NOON + timedelta(minutes=1))
    shop.at = NOON + timedelta(hours=1)
    instant = shop.at.isoformat()
    await converge(shop, order(customer=customer.shopify_id, price="6.00", created_at=instant, updated_at=instant))
    await spend(shop, customer.id, 10)
    expiring = {"lot": 2, "points": 60, "remaining": 50, "expired": 0, "expiresAt": "2026-04-02T00:00:00+00:00"}
    lasting = {"lot": 1, "points": 100, "remaining": 100, "expired": 0, "expiresAt": None}
    found = (await shop.data(LOTS, customer=gid(customer.id), first=10))["customer"]["pointsLots"]
    assert (found["nodes"], found["pageInfo"]["hasNextPage"]) == ([expiring, lasting], False)
    page = (await shop.data(LOTS, customer=gid(customer.id), first=1))["customer"]["pointsLots"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([expiring], True)
    after = page["pageInfo"]["endCursor"]
    page = (await shop.data(LOTS, customer=gid(customer.id), first=1, after=after))["customer"]["pointsLots"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([lasting], False)
