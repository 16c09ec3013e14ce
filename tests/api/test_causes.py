"""What a request has caused can be followed through the workers' logs, by the id that its caller was told."""

import json
from pathlib import Path
from typing import Any

import httpx

from domain import outbox
from local.trace import lines
from tests.rewards import offer, rich
from tests.shop import Shop, order, rate
from workers.broker import broker
from workers.inbox import work_off
from workers.relay import relay

REDEEM = """mutation ($reward: ID!) { rewardRedeem(rewardId: $reward, idempotencyKey: "k") { userErrors { code } } }"""


def naming(logged: list[str], request_id: str) -> list[str]:
    """The events of the lines that name a request."""
    return [line.partition("'event': '")[2].partition("'")[0] for line in logged if request_id in line]


async def test_a_delivery_is_named_when_it_is_worked_off(shop: Shop, logged: list[str]) -> None:
    await shop.publish(rate(10))
    customer = await shop.customer()
    taken = await shop.webhook("orders/create", order(customer=customer.shopify_id))
    other = await shop.webhook("orders/create", order(customer=customer.shopify_id))
    await work_off(shop.scope())
    for response in (taken, other):
        assert naming(logged, response.headers["x-request-id"]) == ["inbox.worked"]
    assert await shop.balance(customer.id) == (2_000, 0)


async def test_a_delivery_that_is_set_aside_names_its_request(shop: Shop, logged: list[str]) -> None:
    await shop.publish(rate(10))
    good = await shop.webhook("orders/create", order())
    broken = await shop.webhook("orders/create", order(currency="XXXX"))
    await work_off(shop.scope())
    assert naming(logged, broken.headers["x-request-id"]) == ["inbox.set_aside"]
    assert naming(logged, good.headers["x-request-id"]) == ["inbox.worked"]


async def redeem(shop: Shop) -> str:
    """Take a reward as a customer. Returns the request's id."""
    await shop.publish(rate(10))
    customer, reward = await rich(shop), await offer(shop)
    body = json.dumps({"query": REDEEM, "variables": {"reward": f"gid://loyalnest/Reward/{reward.id}"}}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {shop.customer_token(customer.id)}"}
    response: httpx.Response = await shop.post("/graphql", body, headers)
    assert response.json() == {"data": {"rewardRedeem": {"userErrors": []}}}
    return response.headers["x-request-id"]


async def test_a_redemption_is_followed_into_the_job_that_settles_it(shop: Shop, logged: list[str], monkeypatch: Any) -> None:
    request_id = await redeem(shop)
    sent: list[tuple[Any, ...]] = []
    settle = broker.get_actor("rewards.settle")
    monkeypatch.setattr(settle, "send", lambda *given, **named: sent.append((given, named)))
    await relay(shop.scope())
    assert await outbox.unsent(shop.scope(), 10) == []
    [(given, named)] = sent
    assert (given, named) == ((str(shop.merchant.id),), {"causes": [request_id]})
    work: Any = settle.fn
    await work.__wrapped__(*given, **named)
    assert naming(logged, request_id)[:2] == ["graphql.answered", "outbox.relayed"]
    assert naming(logged, request_id)[-1] == "job.done"
    done = next(line for line in logged if "job.done" in line)
    assert f"'merchant_id': '{shop.merchant.id}'" in done
    assert "'job': 'rewards.settle'" in done


async def test_a_job_that_nobody_in_particular_has_caused_says_nothing(shop: Shop, logged: list[str]) -> None:
    work: Any = broker.get_actor("orders.mature").fn
    await work.__wrapped__(str(shop.merchant.id))
    assert logged == []


async def test_what_a_line_holds_is_found_by_the_trace(shop: Shop, logged: list[str], tmp_path: Path) -> None:
    await shop.publish(rate(10))
    taken = await shop.webhook("orders/create", order())
    await work_off(shop.scope())
    tmp_path.joinpath("workers.log").write_text("\n".join(logged))
    [(log, line)] = lines(tmp_path, taken.headers["x-request-id"])
    assert (log, "inbox.worked" in line) == ("workers", True)
