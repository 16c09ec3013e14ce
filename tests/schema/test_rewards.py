"""Rewards in the API: the catalogue, what a customer can take, and what a repeat and a stranger get."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import db
from domain.rewards import RewardKind, settling
from domain.scope import Actor, Door, Scope
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema
from tests.rewards import definition, offer, redeem, rich
from tests.schema.rows import errors, rows
from tests.shop import NOON, Shop

CREATE = """mutation ($input: RewardInput!) {
    rewardCreate(input: $input) {
        reward { kind status points currency amount percent quantity productIds minimumSubtotal limitPerCustomer stock tiers
            startsAt combinesWith validDays returnsUnused revision name(locale: "pt-BR")
            names { locale text } availability { available } }
        userErrors { code message field }
    }
}"""
UPDATE = """mutation ($id: ID!, $input: RewardInput!, $revision: Int) {
    rewardUpdate(id: $id, input: $input, revision: $revision) { reward { revision points } userErrors { code field } }
}"""
REDEEM = """mutation ($reward: ID!, $customer: ID, $key: String!) {
    rewardRedeem(rewardId: $reward, customerId: $customer, idempotencyKey: $key) {
        redemption { id kind name status points code expiresAt orderId failure createdAt updatedAt customerId rewardId }
        userErrors { code message field }
    }
}"""
CANCEL = "mutation ($id: ID!) { redemptionCancel(id: $id) { redemption { status code } userErrors { code field } } }"
CATALOGUE = """{ rewards(first: 10) { nodes { points availability { available obstacles pointsMissing } } } }"""
MINE = "{ redemptions(first: 10) { nodes { points } } }"
UPDATED = "subscription ($id: ID!) { redemptionUpdated(id: $id) { status code } }"
TREAT = {"kind": "AMOUNT_OFF", "names": [{"locale": "en", "text": "A treat"}], "points": 500, "amount": "5.00"}
SOON_S = 30


def reward_gid(reward: Any) -> str:
    return f"gid://loyalnest/Reward/{reward.id}"


async def test_a_reward_shows_all_that_it_says(shop: Shop) -> None:
    given = TREAT | {
        "names": [{"locale": "en", "text": "A treat"}, {"locale": "pt", "text": "Um mimo"}],
        "minimumSubtotal": "20.5",
        "limitPerCustomer": 2,
        "stock": 7,
        "tiers": ["gold"],
        "startsAt": "2026-01-01T00:00:00Z",
        "combinesWith": ["SHIPPING"],
        "validDays": 30,
        "returnsUnused": False,
    }
    payload = (await shop.data(CREATE, input=given))["rewardCreate"]
    assert payload == {
        "reward": {
            "kind": "AMOUNT_OFF",
            "status": "ACTIVE",
            "points": 500,
            "currency": "USD",
            "amount": "5.00",
            "percent": None,
            "quantity": 1,
            "productIds": [],
            "minimumSubtotal": "20.50",
            "limitPerCustomer": 2,
            "stock": 7,
            "tiers": ["gold"],
            "startsAt": "2026-01-01T00:00:00+00:00",
            "combinesWith": ["SHIPPING"],
            "validDays": 30,
            "returnsUnused": False,
            "revision": 1,
            "name": "Um mimo",
            "names": [{"locale": "en", "text": "A treat"}, {"locale": "pt", "text": "Um mimo"}],
            "availability": None,
        },
        "userErrors": [],
    }


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"amount": None}, "REWARD_INVALID", ["input", "amount"]),
        ({"amount": "5.001"}, "AMOUNT_INVALID", ["input", "amount"]),
        ({"minimumSubtotal": "-1"}, "REWARD_INVALID", ["input", "minimumSubtotal"]),
        ({"names": []}, "REWARD_INVALID", ["input", "names"]),
        ({"points": 0}, "REWARD_INVALID", ["input", "points"]),
        ({"kind": "PERCENTAGE", "amount": None, "percent": "12.505"}, "REWARD_INVALID", ["input", "percent"]),
        ({"kind": "PERCENTAGE", "amount": None, "percent": "١٢"}, "REWARD_INVALID", ["input", "percent"]),
        ({"kind": "PERCENTAGE", "amount": None, "percent": "100.01"}, "REWARD_INVALID", ["input", "percent"]),
        (
            {"kind": "FREE_PRODUCT", "amount": None, "productIds": ["gid://shopify/Order/1"]},
            "REWARD_INVALID",
            ["input", "productIds"],
        ),
        ({"startsAt": "2026-01-01T00:00:00"}, "REWARD_INVALID", ["input", "startsAt"]),
        ({"stock": -1}, "REWARD_INVALID", ["input", "stock"]),
        ({"validDays": 3651}, "REWARD_INVALID", ["input", "validDays"]),
    ],
)
async def test_an_input_that_breaks_a_rule_is_refused_with_its_field(
    shop: Shop, changes: dict[str, Any], code: str, field: list[str]
) -> None:
    before = await rows(shop)
    payload = (await shop.data(CREATE, input=TREAT | changes))["rewardCreate"]
    assert payload["reward"] is None
    assert [(one["code"], one["field"]) for one in payload["userErrors"]] == [(code, field)]
    assert await rows(shop) == before


async def test_an_edit_of_an_old_revision_is_refused(shop: Shop) -> None:
    reward = reward_gid(await offer(shop))
    first = (await shop.data(UPDATE, id=reward, input=TREAT | {"points": 600}, revision=1))["rewardUpdate"]
    assert first == {"reward": {"revision": 2, "points": 600}, "userErrors": []}
    second = (await shop.data(UPDATE, id=reward, input=TREAT, revision=1))["rewardUpdate"]
    assert second == {"reward": None, "userErrors": [{"code": "REWARD_CHANGED", "field": ["revision"]}]}


async def test_customers_and_partners_keep_no_catalogue(shop: Shop) -> None:
    customer = await rich(shop)
    tokens = (shop.customer_token(customer.id), await shop.partner_key())
    before = await rows(shop)
    for token in tokens:
        answer = await shop.ask(CREATE, token=token, input=TREAT)
        assert errors(answer) == [("FORBIDDEN", "This credential does not open this field.", ["rewardCreate"])]
    assert await rows(shop) == before


async def test_a_customer_sees_what_can_be_taken_and_what_is_missing(shop: Shop) -> None:
    customer = await rich(shop, 700)
    await offer(shop, definition(points=500))
    await offer(shop, definition(points=1000, tiers=["gold"]))
    nodes = (await shop.data(CATALOGUE, token=shop.customer_token(customer.id)))["rewards"]["nodes"]
    assert nodes == [
        {
            "points": 1000,
            "availability": {"available": False, "obstacles": ["TIER_REQUIRED", "INSUFFICIENT_POINTS"], "pointsMissing": 300},
        },
        {"points": 500, "availability": {"available": True, "obstacles": [], "pointsMissing": 0}},
    ]


async def test_the_same_key_gives_the_same_bytes(shop: Shop) -> None:
    customer, reward = await rich(shop), reward_gid(await offer(shop))
    token = shop.customer_token(customer.id)
    answers = await asyncio.gather(*(shop.ask(REDEEM, token=token, reward=reward, key="one") for _ in range(10)))
    payloads = [answer["data"] for answer in answers]
    assert payloads[0]["rewardRedeem"]["redemption"]["status"] == "HELD"
    assert all(payload == payloads[0] for payload in payloads)
    assert await shop.balance(customer.id) == (500, 0)


async def test_a_customer_takes_for_themself_alone(shop: Shop) -> None:
    customer, other, reward = await rich(shop), await rich(shop), await offer(shop)
    before = await rows(shop)
    payload = (
        await shop.data(
            REDEEM,
            token=shop.customer_token(customer.id),
            reward=reward_gid(reward),
            customer=f"gid://loyalnest/Customer/{other.id}",
            key="one",
        )
    )["rewardRedeem"]
    assert [(one["code"], one["field"]) for one in payload["userErrors"]] == [("NOT_FOUND", ["customerId"])]
    assert await rows(shop) == before
    taken = await redeem(shop, other, reward)
    token = shop.customer_token(customer.id)
    assert (await shop.data(MINE, token=token))["redemptions"]["nodes"] == []
    refused = (await shop.data(CANCEL, token=token, id=f"gid://loyalnest/Redemption/{taken.id}"))["redemptionCancel"]
    assert refused == {"redemption": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}


async def test_staff_say_for_whom(shop: Shop) -> None:
    customer, reward = await rich(shop), reward_gid(await offer(shop))
    theirs = f"gid://loyalnest/Customer/{customer.id}"
    nobody = (await shop.data(REDEEM, reward=reward, key="one"))["rewardRedeem"]
    assert nobody["userErrors"] == [
        {"code": "BAD_INPUT", "message": "Say whose points are to be spent.", "field": ["customerId"]}
    ]
    unknown = (await shop.data(REDEEM, reward=reward, customer=f"gid://loyalnest/Customer/{uuid4()}", key="one"))["rewardRedeem"]
    assert unknown["userErrors"][0]["code"] == "NOT_FOUND"
    taken = (await shop.data(REDEEM, reward=reward, customer=f"gid://loyalnest/Customer/{customer.id}", key="one"))[
        "rewardRedeem"
    ]
    assert taken["userErrors"] == []
    assert taken["redemption"]["customerId"] == theirs


async def test_points_that_are_missing_are_said(shop: Shop) -> None:
    customer, reward = await rich(shop, 120), reward_gid(await offer(shop))
    before = await rows(shop)
    payload = (await shop.data(REDEEM, token=shop.customer_token(customer.id), reward=reward, key="one"))["rewardRedeem"]
    assert payload == {
        "redemption": None,
        "userErrors": [{"code": "INSUFFICIENT_POINTS", "message": "The customer is 380 points short.", "field": ["rewardId"]}],
    }
    assert await rows(shop) == before


async def test_a_redemption_is_live(shop: Shop) -> None:
    """The code is not shown before it works, and is told when it does."""
    customer = await rich(shop)
    taken = await redeem(shop, customer, await offer(shop))
    bell = Doorbell()
    actor = Actor(Door.CUSTOMER, "test")
    context = Context(Scope(shop.merchant.id, actor, NOON, "request"), bell, lambda _: None, customer.id)
    stream: Any = await schema.subscribe(
        UPDATED, variable_values={"id": f"gid://loyalnest/Redemption/{taken.id}"}, context_value=context
    )
    assert await _next(stream) == {"status": "HELD", "code": None}
    async with db.transaction(scope := shop.now()):
        await settling.issued(scope, taken.id, "gid://shopify/DiscountCodeNode/1")
    bell.ring(shop.merchant.id, customer.id)
    assert await _next(stream) == {"status": "ISSUED", "code": taken.code}
    await stream.aclose()


async def test_the_stream_of_anothers_redemption_is_not_there(shop: Shop) -> None:
    customer, other = await rich(shop), await rich(shop)
    taken = await redeem(shop, other, await offer(shop))
    context = Context(
        Scope(shop.merchant.id, Actor(Door.CUSTOMER, "test"), NOON, "request"), Doorbell(), lambda _: None, customer.id
    )
    for identifier in (taken.id, uuid4()):
        stream: Any = await schema.subscribe(
            UPDATED, variable_values={"id": f"gid://loyalnest/Redemption/{identifier}"}, context_value=context
        )
        result = await anext(stream) if hasattr(stream, "__aiter__") else stream
        assert [error.extensions["code"] for error in result.errors] == ["NOT_FOUND"]


async def test_points_reserved_and_released(shop: Shop) -> None:
    customer = await rich(shop)
    await offer(shop, definition(RewardKind.PAY_WITH_POINTS))
    token = shop.customer_token(customer.id)
    document = """mutation ($points: Points!, $key: String!) { pointsReserve(points: $points, idempotencyKey: $key) {
        reservation { id points pointsUsed status attributeKey attributeValue } userErrors { code field } } }"""
    held = (await shop.data(document, token=token, points=400, key="one"))["pointsReserve"]["reservation"]
    number = held["id"].rpartition("/")[2]
    assert held == {
        "id": f"gid://loyalnest/PointsReservation/{UUID(number)}",
        "points": 400,
        "pointsUsed": 0,
        "status": "held",
        "attributeKey": "_loyalnest_reservation",
        "attributeValue": number,
    }
    again = (await shop.data(document, token=token, points=400, key="two"))["pointsReserve"]
    assert again == {"reservation": None, "userErrors": [{"code": "POINTS_RESERVED", "field": ["points"]}]}
    release = "mutation ($id: ID!) { reservationRelease(id: $id) { reservation { status } userErrors { code field } } }"
    assert (await shop.data(release, token=token, id=held["id"]))["reservationRelease"] == {
        "reservation": {"status": "leaving"},
        "userErrors": [],
    }


async def _next(stream: Any) -> Any:
    result = await asyncio.wait_for(anext(stream), SOON_S)
    assert result.errors is None
    return result.data["redemptionUpdated"]
