"""The way to Shopify: tokens, cost, retries and the circuit, against the stand-in and its faults."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio
import stamina

from domain import db, installations
from domain.settings import settings
from integrations.shopify import NotInstalled, Refused, Shopify, Throttled, Unanswered
from integrations.shopify import client as client_module
from integrations.shopify import throttle as throttle_module
from integrations.shopify.breaker import FAILURES_MAX, PAUSE_S, Breaker, CircuitOpen
from integrations.shopify.throttle import Status, Throttle, _keys
from integrations.shopify.tokens import token
from local.shopify_stand_in.faults import Fault, Kind
from tests.shop import Shop
from tests.stand_in import Beside, beside


@pytest.fixture(autouse=True)
def _no_waiting() -> Any:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
async def here(shop: Shop) -> AsyncGenerator[Beside, None]:
    async with beside(shop) as found:
        yield found


async def test_a_call_answers_with_its_root_field(here: Beside) -> None:
    answer = await here.shopify.call(here.shop.now(), "ShopInfo")
    assert answer == {
        "name": "Stand-in",
        "myshopifyDomain": here.shop.merchant.shop_domain,
        "currencyCode": "USD",
        "ianaTimezone": "America/New_York",
    }


@pytest.mark.parametrize("kind", ["unavailable", "lost", "garbled", "throttled", "too_many"])
async def test_what_passes_is_tried_again(here: Beside, kind: Kind) -> None:
    here.stand_in.faults.coming.append(Fault("ShopInfo", kind, times=2))
    assert (await here.shopify.call(here.shop.now(), "ShopInfo"))["name"] == "Stand-in"
    assert here.state.calls["ShopInfo"] == 3


@pytest.mark.parametrize(
    ("kind", "error"), [("unavailable", Unanswered), ("lost", Unanswered), ("throttled", Throttled), ("too_many", Throttled)]
)
async def test_what_stays_is_told(here: Beside, kind: Kind, error: type[Exception]) -> None:
    here.stand_in.faults.coming.append(Fault("ShopInfo", kind, times=99))
    with pytest.raises(error):
        await here.shopify.call(here.shop.now(), "ShopInfo")
    assert here.state.calls["ShopInfo"] == 3


async def test_a_call_that_must_not_be_repeated_is_not(here: Beside) -> None:
    here.stand_in.faults.coming.append(Fault("ShopInfo", "lost", times=99))
    with pytest.raises(Unanswered):
        await here.shopify.call(here.shop.now(), "ShopInfo", repeatable=False)
    assert here.state.calls["ShopInfo"] == 1


async def test_a_refusal_is_final(here: Beside) -> None:
    here.stand_in.faults.coming.append(Fault("ShopInfo", "refused"))
    with pytest.raises(Refused) as refusal:
        await here.shopify.call(here.shop.now(), "ShopInfo")
    assert refusal.value.code == "ACCESS_DENIED"
    with pytest.raises(Refused) as refusal:
        await here.shopify.call(here.shop.now(), "CodeDelete", id="gid://shopify/DiscountCodeNode/1")
    assert refusal.value.code == "INVALID"


async def test_fifty_callers_with_one_expired_token_make_one_refresh(here: Beside) -> None:
    await expire(here)
    clients = [Shopify(http=here.shopify.http) for _ in range(5)]
    answers = await asyncio.gather(*(one.call(here.shop.now(), "ShopInfo") for one in clients for _ in range(10)))
    assert {answer["name"] for answer in answers} == {"Stand-in"}
    assert here.state.tokens.refreshes == 1
    found = await installations.current(here.shop.now())
    assert found is not None
    assert found.revision == 2


async def test_a_process_that_dies_while_it_renews_costs_a_wait_and_no_token(here: Beside) -> None:
    await expire(here)
    at = datetime.now(UTC)
    # The one that dies has asked Shopify, which has renewed, and never stores what it got.
    assert await installations.claim_refresh(here.shop.scope(at - timedelta(seconds=21)), 1)
    assert here.state.refreshed(await refresh_token(here)) is not None
    assert (await here.shopify.call(here.shop.now(), "ShopInfo"))["name"] == "Stand-in"
    assert here.state.tokens.refreshes == 2


async def test_one_lease_at_a_time(here: Beside) -> None:
    scope = here.shop.now()
    assert await installations.claim_refresh(scope, 1)
    assert not await installations.claim_refresh(scope, 1)
    assert not await installations.claim_refresh(scope.later(scope.at + timedelta(seconds=19)), 1)
    assert await installations.claim_refresh(scope.later(scope.at + timedelta(seconds=20)), 1)
    assert not await installations.claim_refresh(scope.later(scope.at + timedelta(seconds=60)), 2)


async def test_a_revoked_token_is_renewed(here: Beside) -> None:
    here.state.tokens.access.clear()
    assert (await here.shopify.call(here.shop.now(), "ShopInfo"))["name"] == "Stand-in"
    assert here.state.tokens.refreshes == 1


async def test_a_shop_that_took_its_access_back_is_not_installed_any_more(here: Beside) -> None:
    await expire(here)
    here.state.tokens.refresh.clear()
    with pytest.raises(NotInstalled):
        await here.shopify.call(here.shop.now(), "ShopInfo")
    assert await installations.current(here.shop.now()) is None
    with pytest.raises(NotInstalled):
        await token(here.shop.now(), here.shopify.http, here.shop.merchant.shop_domain)


async def test_tokens_lie_sealed(here: Beside, owner: Any) -> None:
    found = await installations.current(here.shop.now())
    assert found is not None
    await owner.execute("set role loyalnest_app")
    await owner.execute(f"set app.merchant = '{here.shop.merchant.id}'")
    row = await owner.fetchrow("select access_token, refresh_token from installations")
    for secret in (found.access_token, found.refresh_token):
        assert secret.encode() not in row["access_token"] + row["refresh_token"]


async def test_steady_load_is_never_throttled(here: Beside) -> None:
    """Two processes share a small, quick bucket: they wait for what flows in, and Shopify never has to say no."""
    bucket = here.state.bucket
    bucket.maximum, bucket.rate, bucket.left = 100.0, 400.0, 100.0
    one, other = here.shopify, Shopify(http=here.shopify.http)
    await one.call(here.shop.now(), "ShopInfo")

    async def caller(client: Shopify) -> None:
        for _ in range(25):
            await client.call(here.shop.now(), "CodeFind", code="NONE")

    await asyncio.gather(*(caller(client) for client in (one, other) for _ in range(4)))
    assert bucket.throttled == 0
    # Most of it had to flow in meanwhile, and was waited for.
    assert bucket.spent > 3 * bucket.maximum
    assert here.state.calls["CodeFind"] == 200


async def test_answers_that_are_read_late_give_back_nothing(here: Beside) -> None:
    """Of two calls that overlap, the first answer is read last: what it says was left has been spent since."""
    throttle, merchant_id = Throttle(here.shopify.cache), uuid4()

    async def left() -> float:
        return round(float(await here.shopify.cache.hget(_keys(merchant_id)[0], "left") or 0), 1)

    async def call(cost: float, left: float, spent: float) -> None:
        await throttle.give_back(merchant_id, await throttle.take(merchant_id, cost), Status(100, left, 0.001, spent))

    await call(20, 100, 10)
    # Alone, so that Shopify's word counts.
    assert await left() == 100
    first, second = await throttle.take(merchant_id, 20), await throttle.take(merchant_id, 20)
    assert await left() == 60
    # Shopify had the first before it: 100 less 15 less 20. The first may still be under way, for all that is known.
    await throttle.give_back(merchant_id, second, Status(100, 65, 0.001, 20))
    assert await left() == 45
    # This was said before the second was made; of the 20 that were held for it, 15 were spent.
    await throttle.give_back(merchant_id, first, Status(100, 85, 0.001, 15))
    assert await left() == 50
    await call(20, 45, 20)
    assert await left() == 45
    await call(20, 65, 20)
    assert await left() == 65
    # Who has waited in vain holds nothing, and what was not answered may have been spent.
    await throttle.give_back(merchant_id, "unknown", Status(100, 55, 0.001, 10))
    assert await left() == 55
    await throttle.give_back(merchant_id, await throttle.take(merchant_id, 5), None)
    assert await left() == 50
    # What Shopify says is less counts always: somebody else has the app's allowance too.
    await throttle.give_back(merchant_id, "unknown", Status(100, 7, 0.001, 0))
    assert await left() == 7


async def test_who_comes_first_is_served_first_whatever_they_need(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle, merchant_id = Throttle(here.shopify.cache), uuid4()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(throttle_module, "WAIT_MAX_S", 200_000)
    # So slow that what flows in meanwhile counts for nothing.
    await throttle.give_back(merchant_id, "unknown", Status(1000, 10, 0.001, 0))
    for cost in (10, 100, 10):
        await throttle.take(merchant_id, cost)
    # Small ones that come later do not take what the large one waits for.
    assert waited == [0, pytest.approx(100_000, abs=1_000), pytest.approx(110_000, abs=1_000)]
    with pytest.raises(Throttled):
        await throttle.take(merchant_id, 110)
    # Who was refused owes nothing.
    await throttle.take(merchant_id, 80)
    assert waited[-1] == pytest.approx(190_000, abs=1_000)


async def test_without_redis_calls_go_out_unpaced(here: Beside) -> None:
    shopify = Shopify(http=here.shopify.http, cache=redis.asyncio.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1))
    assert (await shopify.call(here.shop.now(), "ShopInfo"))["name"] == "Stand-in"


def test_the_circuit_opens_waits_tries_once_and_closes() -> None:
    at = [0.0]
    breaker = Breaker(clock=lambda: at[0])

    def fail() -> None:
        with pytest.raises(Unanswered), breaker.call():
            raise Unanswered("no")

    for _ in range(FAILURES_MAX):
        fail()
    with pytest.raises(CircuitOpen), breaker.call():
        raise AssertionError("an open circuit lets nothing through")
    at[0] += PAUSE_S
    with breaker.call(), pytest.raises(CircuitOpen), breaker.call():
        raise AssertionError("half open, one tries for all")
    assert breaker.failures == 0
    for _ in range(FAILURES_MAX):
        fail()
    at[0] += PAUSE_S
    fail()
    with pytest.raises(CircuitOpen), breaker.call():
        raise AssertionError("the try failed, so the pause begins anew")
    at[0] += PAUSE_S
    with pytest.raises(Refused), breaker.call():
        raise Refused("X", "a refusal is an answer")
    assert breaker.failures == 0


async def test_a_shop_that_does_not_answer_is_left_in_peace(here: Beside) -> None:
    here.stand_in.faults.coming.append(Fault("ShopInfo", "unavailable", times=99))
    for _ in range(2):
        with pytest.raises((Unanswered, CircuitOpen)):
            await here.shopify.call(here.shop.now(), "ShopInfo")
    assert here.state.calls["ShopInfo"] == FAILURES_MAX


@pytest.mark.parametrize("errors", ["text", ["text"], [{"message": "m"}], {"message": "m"}, [{"extensions": 1}], [None]])
def test_errors_of_any_shape_are_read(errors: Any) -> None:
    assert [code for code, _ in client_module._errors(errors)] == ["INVALID"]


def test_the_stand_in_is_where_the_settings_say() -> None:
    assert settings().shopify_url == "http://shopify.test/{shop}"


async def expire(here: Beside) -> None:
    """Let the stored token have no time left, here and at the stand-in."""
    found = await installations.current(here.shop.now())
    assert found is not None
    past = datetime.now(UTC) - timedelta(seconds=1)
    grant = installations.Grant(found.access_token, past, found.refresh_token, found.refresh_expires_at, found.scopes)
    scope = here.shop.now()
    await installations.uninstall(scope)
    await installations.install(scope, grant)
    here.state.tokens.access[found.access_token] = 0.0
    # Installing again counts as a revision.
    assert await reset_revision(here) == 1


async def reset_revision(here: Beside) -> int:
    """Count from one again, so that the tests read as they are meant."""
    scope = here.shop.now()
    async with db.connection(scope) as connection:
        return await connection.fetchval(
            "update installations set revision = 1 where merchant_id = $1 returning revision", scope.merchant_id
        )


async def refresh_token(here: Beside) -> str:
    """The stored refresh token."""
    found = await installations.current(here.shop.now())
    assert found is not None
    return found.refresh_token
