"""Allowances: shared by all processes, spent exactly, and small but there while Redis is away."""

import asyncio
import os
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest

from api.process import Process
from api.throttle import AWAY_S, LEASE_S, LOCAL_PART, MERCHANT_FACTOR, Throttle, Throttled
from domain.scope import Actor, Door
from tests.shop import Shop

NOWHERE = "redis://127.0.0.1:1/0"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def spend_all(throttle: Throttle, merchant_id: UUID, credential: str, points: int = 10) -> int:
    """How many points can be spent until it refuses."""
    spent = 0
    try:
        while spent < 10_000_000:
            await throttle.spend(merchant_id, credential, points)
            spent += points
    except Throttled:
        return spent
    raise AssertionError("it never refused")


# A rate so low that no machine regains a point while a test runs.
SLOW = 1


async def test_a_bucket_is_spent_to_the_last_point_and_not_beyond() -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    spent = await spend_all(throttle, uuid4(), "a")
    assert 990 <= spent <= 1_020
    await throttle.close()


async def test_two_processes_share_one_bucket() -> None:
    first, second = (Throttle(os.environ["REDIS_URL"], 1_000, SLOW) for _ in range(2))
    merchant_id = uuid4()
    both = await asyncio.gather(spend_all(first, merchant_id, "a"), spend_all(second, merchant_id, "a"))
    assert 980 <= sum(both) <= 1_020
    # Another credential of the merchant has a bucket of its own.
    assert await spend_all(second, merchant_id, "b") >= 990
    await first.close()
    await second.close()


async def test_a_merchants_credentials_together_have_a_limit_too() -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    merchant_id = uuid4()
    spent = [await spend_all(throttle, merchant_id, str(number), 100) for number in range(MERCHANT_FACTOR + 5)]
    assert MERCHANT_FACTOR * 980 <= sum(spent) <= MERCHANT_FACTOR * 1_020
    assert sum(one == 0 for one in spent) >= 4
    assert await spend_all(throttle, uuid4(), "0", 100) >= 900
    await throttle.close()


async def test_what_is_spent_at_once_is_counted_once() -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    merchant_id = uuid4()
    answers = await asyncio.gather(*(throttle.spend(merchant_id, "a", 10) for _ in range(300)), return_exceptions=True)
    allowed = sum(one is None for one in answers)
    assert {type(one) for one in answers if one is not None} == {Throttled}
    assert 90 <= allowed <= 102
    await throttle.close()


async def test_what_was_not_used_can_be_spent() -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    merchant_id = uuid4()
    for _ in range(20):
        await throttle.spend(merchant_id, "a", 500)
        throttle.give_back("a", 490)
    # 200 points are used.
    assert 770 <= await spend_all(throttle, merchant_id, "a") <= 830
    await throttle.close()


async def test_points_taken_ahead_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW, clock)
    merchant_id = uuid4()
    await throttle.spend(merchant_id, "a", 10)
    assert throttle.available("a") == pytest.approx(990, abs=2)
    clock.now += LEASE_S + 1
    # The lease of 100 is gone; the rest of the bucket is in Redis.
    assert 870 <= await spend_all(throttle, merchant_id, "a") <= 910
    await throttle.close()


async def test_without_redis_a_part_is_granted_and_no_more(logged: list[str]) -> None:
    clock = Clock()
    throttle = Throttle(NOWHERE, 1_000, 100, clock)
    merchant_id = uuid4()
    assert await spend_all(throttle, merchant_id, "a") == 1_000 // LOCAL_PART
    clock.now += 1
    assert await spend_all(throttle, merchant_id, "a", 5) == 100 // LOCAL_PART
    # Redis is asked anew after a while, and not by every request.
    assert 1 <= sum("throttle.alone" in line for line in logged) <= 2
    await throttle.close()


async def test_redis_is_used_again_when_it_is_back() -> None:
    clock = Clock()
    throttle = Throttle(NOWHERE, 1_000, SLOW, clock)
    merchant_id = uuid4()
    assert await spend_all(throttle, merchant_id, "a") == 250
    back = Throttle(os.environ["REDIS_URL"], 1_000, SLOW, clock)
    throttle._take, throttle._redis = back._take, back._redis
    clock.now += AWAY_S + LEASE_S
    assert await spend_all(throttle, merchant_id, "a") >= 980
    await back.close()


async def ask(shop: Shop, document: str, throttle: Throttle, **headers: str) -> httpx.Response:
    """An answer over HTTP, charged to these buckets."""
    state = shop.application.state
    kept: Process = state.process
    state.process = replace(kept, throttle=throttle)
    try:
        transport = httpx.ASGITransport(app=shop.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
            given = {"authorization": f"Bearer {shop.staff_token()}", **headers}
            return await client.post("/graphql", json={"query": document}, headers=given)
    finally:
        state.process = kept


async def test_an_answer_tells_its_cost_when_asked(shop: Shop) -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    document = "{ customers(first: 50) { nodes { id } } }"
    silent = await ask(shop, document, throttle)
    assert silent.json() == {"data": {"customers": {"nodes": []}}}
    told = (await ask(shop, document, throttle, **{"x-loyalnest-cost": "1"})).json()
    status = told["extensions"]["cost"].pop("throttleStatus")
    assert told == {
        "data": {"customers": {"nodes": []}},
        "extensions": {"cost": {"requestedQueryCost": 51, "actualQueryCost": 1}},
    }
    assert (status["maximumAvailable"], status["restoreRate"]) == (1_000, SLOW)
    assert 990 <= status["currentlyAvailable"] <= 1_000
    await throttle.close()


async def test_who_spends_too_fast_is_told_so(shop: Shop) -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    await spend_all(throttle, shop.merchant.id, f"{shop.merchant.id}/{Actor(Door.STAFF, '90210')}", 1)
    response = await ask(shop, "{ customers(first: 50) { nodes { id } } }", throttle)
    answer = response.json()
    assert [one["extensions"]["code"] for one in answer["errors"]] == ["THROTTLED"]
    assert (response.status_code, answer.get("data")) == (200, None)
    assert answer["extensions"]["cost"]["requestedQueryCost"] == 51
    assert answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] <= 10
    # What is only read in vain is charged too.
    refused = await ask(shop, "{ nothing }", throttle)
    assert [one["extensions"]["code"] for one in refused.json()["errors"]] == ["THROTTLED"]
    await throttle.close()


async def test_what_no_bucket_could_hold_is_refused_for_good(shop: Shop) -> None:
    throttle = Throttle(os.environ["REDIS_URL"], 1_000, SLOW)
    document = "{ customers(first: 100) { nodes { pointsTransactions(first: 100) { nodes { id } } } } }"
    answer = (await ask(shop, document, throttle)).json()
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "COST_EXCEEDED"
    assert error["message"] == "The operation may cost 10201 points, and one operation may cost at most 1000."
    await throttle.close()
