"""Several shops of one merchant: a code, store credit and the metafield are where the customer is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import customers, db, identity, installations, rewards
from domain.customers import Customer
from domain.errors import Code, DomainError
from domain.merchants import stores
from domain.rewards import RewardKind, RewardStatus, publishing, settling
from integrations.shopify import oauth
from integrations.shopify.webhooks import register
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.shop import Json, ShopState
from tests.domain.test_rewards import refused
from tests.rewards import definition, give, offer, redeem, rich, state
from tests.shop import Shop, open_shop
from tests.stand_in import COAT, Beside, member, work
from workers.relay import relay
from workers.rewards import publish


@dataclass
class Outlet:
    """A shop that has joined the one of `here`, with the app, its webhooks and its own customers."""

    here: Beside
    shop: Shop

    @property
    def domain(self) -> str:
        return self.shop.merchant.shop_domain

    @property
    def state(self) -> ShopState:
        return self.here.stand_in.shop(self.domain)

    async def customer(self, points: int) -> Customer:
        """A customer whom the outlet has told of, with points."""
        customer = await rich(self.here.shop, points)
        self.state.add_customer(customer.shopify_id)
        body = json.dumps({"id": customer.shopify_id, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"})
        headers = self.shop.webhook_headers("customers/update", body.encode())
        assert (await self.here.shop.post("/webhooks/shopify", body.encode(), headers)).json() == {"status": "accepted"}
        return customer

    async def buy(self, customer: Customer, **more: Any) -> Json:
        """Check out there, deliver the webhooks and work them off."""
        order = checkout.check_out(self.state, Basket(customer.shopify_id, [(COAT, 1)], **more))
        payload = {key: value for key, value in order.items() if key != "refused_codes"}
        self.here.stand_in.deliveries.tell(self.state, "orders/paid", payload)
        await self.here.stand_in.deliveries.settled()
        await self.here.shop.work()
        return order

    def told(self, customer: Customer) -> Json:
        return json.loads(self.state.customers[customer.shopify_id]["metafields"]["$app", "loyalty"])


@pytest.fixture
async def outlet(here: Beside) -> Outlet:
    found = Outlet(here, await open_shop(here.shop.application))
    grant = await oauth.by_session_token(here.shopify.http, found.domain, "a session token", datetime.now(UTC))
    await installations.install(found.shop.now(), grant)
    await register(here.shopify, found.shop.now())
    async with db.transaction(here.shop.scope()):
        await stores.invite(here.shop.scope(), found.domain)
    async with db.transaction(found.shop.scope()):
        await stores.join(found.shop.scope(), here.shop.merchant.shop_domain)
    return found


async def taken_in(here: Beside, customer: Customer, reward: rewards.Reward, shop: str | None) -> rewards.Redemption:
    scope = here.shop.now()
    async with db.transaction(scope):
        return await rewards.redeem(
            scope, customer_id=customer.id, reward_id=reward.id, idempotency_key=f"{customer.id} in {shop}", shop_domain=shop
        )


async def united(here: Beside, outlet: Outlet, points: int = 1000) -> tuple[Customer, Customer]:
    """One person in both shops: (as the merchant's own shop knows them, as the outlet does)."""
    kept, gone = await member(here, points), await outlet.customer(points)
    scope = here.shop.now()
    async with db.transaction(scope):
        await identity.merge(scope, kept=kept.shopify_id, gone=gone.shopify_id)
    return kept, gone


@pytest.mark.parametrize("kind", [RewardKind.AMOUNT_OFF, RewardKind.FREE_PRODUCT, RewardKind.CASHBACK])
async def test_a_discount_is_made_where_the_customer_is(here: Beside, outlet: Outlet, kind: RewardKind) -> None:
    customer = await outlet.customer(1000)
    taken = await redeem(here.shop, customer, await offer(here.shop, definition(kind)))
    assert (taken.shop_domain, taken.customer_number) == (outlet.domain, customer.shopify_id)
    await work(here)
    assert (here.state.discounts, here.state.credits) == ({}, [])
    assert len(outlet.state.discounts) + len(outlet.state.credits) == 1
    now = await state(here.shop, taken.id)
    assert now.status == ("used" if kind is RewardKind.CASHBACK else "issued")
    if kind is RewardKind.AMOUNT_OFF:
        order = await outlet.buy(customer, codes=[now.code])
        assert (order["total_discounts"], (await state(here.shop, taken.id)).status) == ("5.00", "used")


async def test_a_code_is_taken_back_where_it_was_made(here: Beside, outlet: Outlet) -> None:
    customer = await outlet.customer(1000)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    await work(here)
    scope = here.shop.now()
    async with db.transaction(scope):
        await rewards.cancel(scope, taken.id)
    await work(here)
    assert (outlet.state.discounts, (await state(here.shop, taken.id)).status) == ({}, "cancelled")
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_who_is_in_both_shops_says_in_which(here: Beside, outlet: Outlet) -> None:
    kept, gone = await united(here, outlet)
    reward = await offer(here.shop)
    home = here.shop.merchant.shop_domain
    first, second = await taken_in(here, kept, reward, None), await taken_in(here, kept, reward, f" {home.upper()}")
    third = await taken_in(here, kept, reward, outlet.domain)
    assert [(one.shop_domain, one.customer_number) for one in (first, second, third)] == [
        (None, kept.shopify_id),
        (None, kept.shopify_id),
        (outlet.domain, gone.shopify_id),
    ]
    await work(here)
    assert sorted(one.code or "" for one in here.state.discounts.values()) == sorted([first.code or "", second.code or ""])
    [there] = outlet.state.discounts.values()
    assert (there.code, there.given["context"]["customers"]["add"]) == (third.code, [f"gid://shopify/Customer/{gone.shopify_id}"])
    await refused(taken_in(here, kept, reward, "nowhere.myshopify.com"), Code.NOT_FOUND)
    await refused(taken_in(here, await member(here), reward, outlet.domain), Code.NOT_FOUND)


async def test_a_shop_that_has_left_gives_the_points_back(here: Beside, outlet: Outlet) -> None:
    customer = await outlet.customer(1000)
    taken = await redeem(here.shop, customer, await offer(here.shop))
    async with db.transaction(here.shop.scope()):
        await stores.remove(here.shop.scope(), outlet.domain)
    await work(here)
    now = await state(here.shop, taken.id)
    assert (now.status, now.failure, outlet.state.discounts) == ("failed", "NOT_INSTALLED", {})
    assert await here.shop.balance(customer.id) == (1000, 0)


async def test_both_checkouts_are_told_of_one_balance_until_the_two_are_parted(here: Beside, outlet: Outlet) -> None:
    kept, gone = await united(here, outlet, 100)
    await give(here.shop, kept.id, 5)
    await relay(here.shop.now())
    await work(here)
    at_home = json.loads(here.state.customers[kept.shopify_id]["metafields"]["$app", "loyalty"])
    assert (at_home["balance"], outlet.told(gone)["balance"]) == (205, 205)
    scope = here.shop.now()
    async with db.transaction(scope):
        await identity.undo(scope, customer_id=gone.id)
    await relay(here.shop.now())
    await work(here)
    # The account is an older one again, and newer all the same.
    assert outlet.told(gone)["balance"] == 100
    assert outlet.told(gone)["turns"] == 2


async def test_points_are_paid_with_in_the_other_shop(here: Beside, outlet: Outlet) -> None:
    kept, gone = await united(here, outlet)
    way = await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    await work(here)
    assert [len(shop.discounts) for shop in (here.state, outlet.state)] == [1, 1]
    scope = here.shop.now()
    async with db.transaction(scope):
        held = await rewards.reserve(scope, customer_id=kept.id, points=600, idempotency_key="pay")
    await relay(here.shop.now())
    await work(here)
    order = await outlet.buy(gone, reservation=str(held.id))
    assert order["total_discounts"] == "6.00"
    found = await rewards.reservation(here.shop.scope(), held.id)
    assert found is not None
    assert (found.status, found.points_used, found.order_id) == ("captured", 600, order["id"])
    scope = here.shop.now()
    async with db.transaction(scope):
        await rewards.update(scope, way.id, way.definition, stock=None, status=RewardStatus.PAUSED, revision=None)
    await work(here)
    assert [one.active for shop in (here.state, outlet.state) for one in shop.discounts.values()] == [False, False]


async def test_a_shop_that_joins_takes_points_at_checkout_at_once(here: Beside) -> None:
    """And its own way to pay is off for as long as it speaks for another, and comes back when it leaves."""
    there = Outlet(here, await open_shop(here.shop.application))
    grant = await oauth.by_session_token(here.shopify.http, there.domain, "a session token", datetime.now(UTC))
    await installations.install(there.shop.now(), grant)
    ours = await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    theirs = await offer(there.shop, definition(RewardKind.PAY_WITH_POINTS))

    async def look() -> tuple[list[str], list[str]]:
        """Whose discounts work in the first shop, and whose in the other, once what waits is done; nothing waits for a day."""
        for shop in (here.shop, there.shop):
            await relay(shop.now())
        await work(here)
        await publish(there.shop.now(), here.shopify)
        return works_in(here.state), works_in(there.state)

    def works_in(shop: ShopState) -> list[str]:
        return [one.given["tags"][0].removeprefix("loyalnest-")[:36] for one in shop.discounts.values() if one.active]

    assert await look() == ([str(ours.id)], [str(theirs.id)])
    async with db.transaction(here.shop.scope()):
        await stores.invite(here.shop.scope(), there.domain)
    async with db.transaction(there.shop.now()):
        await stores.join(there.shop.now(), here.shop.merchant.shop_domain)
    assert await look() == ([str(ours.id)], [str(ours.id)])
    assert await look() == ([str(ours.id)], [str(ours.id)])
    async with db.transaction(here.shop.now()):
        await stores.remove(here.shop.now(), there.domain)
    found = await look()
    assert (found[0], str(theirs.id) in found[1]) == ([str(ours.id)], True)


async def test_who_joins_while_the_discount_is_looked_at_is_not_forgotten(here: Beside) -> None:
    """What was claimed before somebody joined does not put off what is to be done for them, whatever became of it."""
    await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    await work(here)
    for put_off in (False, True):
        for marks in (True, False):
            scope = here.shop.now()
            if marks:
                await publishing.again(scope)
            [claimed] = await publishing.claim(scope)
            if marks:
                await publishing.again(here.shop.now())
            if put_off:
                await publishing.put_off(here.shop.now(), claimed, scope.at)
            else:
                await publishing.published(here.shop.now(), claimed, scope.at, claimed.shopify_id, {})
        assert await publishing.claim(here.shop.now()) == []


async def test_a_token_of_the_other_shops_page_says_where_its_customer_is(here: Beside, outlet: Outlet) -> None:
    from tests.api.test_tokens import get, proxied  # noqa: PLC0415

    answer = await get(here.shop, f"/proxy/token?{proxied(outlet.shop, logged_in_customer_id='77001')}")
    assert answer.json()["token"]
    customer = await customers.by_shopify_id(here.shop.scope(), 77001)
    assert customer is not None
    assert await customers.known_by(here.shop.scope(), customer.id) == [customers.Known(outlet.domain, 77001)]


async def test_what_a_merged_customer_has_taken_is_the_kept_ones(here: Beside) -> None:
    kept, gone = await member(here), await member(here)
    reward = await offer(here.shop, definition(limit_per_customer=2))
    theirs, own = await redeem(here.shop, gone, reward), await redeem(here.shop, kept, reward)
    await work(here)
    await merged(here, kept, gone)
    await refused(redeem(here.shop, kept, reward), Code.REWARD_LIMIT_REACHED)
    token = here.shop.customer_token(kept.id)
    seen = await here.shop.data("{ redemptions(first: 5) { nodes { id code } } }", token=token)
    assert [one["id"].rpartition("/")[2] for one in seen["redemptions"]["nodes"]] == [str(own.id), str(theirs.id)]
    node = "query ($id: ID!) { node(id: $id) { ... on Redemption { code } } }"
    assert (await here.shop.data(node, token=token, id=f"gid://loyalnest/Redemption/{theirs.id}"))["node"] == {
        "code": theirs.code
    }
    stranger = here.shop.customer_token((await member(here)).id)
    assert (await here.shop.data(node, token=stranger, id=f"gid://loyalnest/Redemption/{theirs.id}"))["node"] is None
    cancel = "mutation ($id: ID!) { redemptionCancel(id: $id) { redemption { status } userErrors { code } } }"
    refusal = (await here.shop.data(cancel, token=stranger, id=f"gid://loyalnest/Redemption/{theirs.id}"))["redemptionCancel"]
    assert refusal == {"redemption": None, "userErrors": [{"code": "NOT_FOUND"}]}
    done = (await here.shop.data(cancel, token=token, id=f"gid://loyalnest/Redemption/{theirs.id}"))["redemptionCancel"]
    assert done == {"redemption": {"status": "CANCELLING"}, "userErrors": []}
    await work(here)
    assert await here.shop.balance(kept.id) == (1500, 0)
    assert await here.shop.balance(gone.id) == (0, 0)
    assert (await redeem(here.shop, kept, reward)).status == "held"


async def test_a_code_of_a_merged_customer_that_runs_out_or_is_restored(here: Beside) -> None:
    kept, gone = await member(here), await member(here)
    reward = await offer(here.shop, definition(valid_days=30))
    runs_out = await redeem(here.shop, gone, reward, at=datetime.now(UTC) - timedelta(days=29))
    used = await redeem(here.shop, gone, reward)
    await work(here)
    order = checkout.check_out(here.state, Basket(gone.shopify_id, [(COAT, 1)], [used.code or ""]))
    order.pop("refused_codes")
    await here.shop.deliver("orders/create", order)
    await here.shop.work()
    await merged(here, kept, gone)
    earned = (await here.shop.balance(kept.id))[0] - 1000
    await here.shop.deliver("orders/updated", checkout.cancel(here.state, order["id"]))
    await here.shop.work()
    assert (await state(here.shop, used.id)).status == "returned"
    assert await here.shop.balance(kept.id) == (1500, 0)
    assert earned >= 0
    late = here.shop.scope(datetime.now(UTC) + timedelta(days=2))
    async with db.transaction(late):
        [due] = [one for one in await settling.claim(late, 10) if one.id == runs_out.id]
    assert due.status == "expiring"
    here.state.discounts.clear()
    async with db.transaction(late):
        await settling.gone(late, runs_out.id)
    assert await here.shop.balance(kept.id) == (2000, 0)


async def test_an_order_that_is_late_charges_who_was_kept(here: Beside) -> None:
    """The code was taken back before the merge, and had been used; the kept customer has the points that came back."""
    kept, gone = await member(here), await member(here)
    taken = await redeem(here.shop, gone, await offer(here.shop))
    await work(here)
    order = checkout.check_out(here.state, Basket(gone.shopify_id, [(COAT, 1)], [taken.code or ""]))
    order.pop("refused_codes")
    next(iter(here.state.discounts.values())).used = 0
    scope = here.shop.now()
    async with db.transaction(scope):
        await rewards.cancel(scope, taken.id)
    await work(here)
    await merged(here, kept, gone)
    assert await here.shop.balance(kept.id) == (2000, 0)
    await here.shop.deliver("orders/create", order)
    await here.shop.work()
    now = await state(here.shop, taken.id)
    assert (now.status, now.customer_id) == ("used", kept.id)
    assert (await here.shop.balance(kept.id))[0] == 1500
    await here.shop.deliver("orders/updated", checkout.cancel(here.state, order["id"]))
    await here.shop.work()
    assert await here.shop.balance(kept.id) == (2000, 0)


async def test_points_that_a_merged_customer_set_aside(here: Beside) -> None:
    kept, gone = await member(here), await member(here)
    await offer(here.shop, definition(RewardKind.PAY_WITH_POINTS))
    scope = here.shop.now()
    async with db.transaction(scope):
        held = await rewards.reserve(scope, customer_id=gone.id, points=300, idempotency_key="pay")
    await merged(here, kept, gone)
    scope = here.shop.now()
    with pytest.raises(DomainError) as refusal:
        async with db.transaction(scope):
            await rewards.reserve(scope, customer_id=kept.id, points=300, idempotency_key="again")
    assert refusal.value.code is Code.POINTS_RESERVED
    await relay(here.shop.now())
    await work(here)
    told = json.loads(here.state.customers[kept.shopify_id]["metafields"]["$app", "loyalty"])
    assert told["reservation"] == {"id": str(held.id), "points": 300}
    release = "mutation ($id: ID!) { reservationRelease(id: $id) { reservation { status } userErrors { code } } }"
    token = here.shop.customer_token(kept.id)
    done = await here.shop.data(release, token=token, id=f"gid://loyalnest/PointsReservation/{held.id}")
    assert done["reservationRelease"]["reservation"] == {"status": "leaving"}
    later = here.shop.scope(datetime.now(UTC) + timedelta(minutes=3))
    async with db.transaction(later):
        await rewards.end_due(later, 10)
    assert await here.shop.balance(kept.id) == (2000, 0)


async def merged(here: Beside, kept: Customer, gone: Customer) -> None:
    scope = here.shop.now()
    async with db.transaction(scope):
        await identity.merge(scope, kept=kept.shopify_id, gone=gone.shopify_id)
