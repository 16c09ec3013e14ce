"""Makes in Shopify what redemptions have promised, and settles whatever a crash, a refusal or a lost answer has left."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from domain import customers, merchants, rewards
from domain.log import log
from domain.rewards import Redemption, RewardKind, RewardStatus, publishing, settling, standings
from domain.rewards.queries import Reward
from domain.rewards.standings import Wanted
from domain.scope import Scope
from integrations.shopify import NotInstalled, Refused, Shopify, ShopifyError, Throttled, tell
from integrations.shopify import standings as at_checkout
from integrations.shopify.discounts import (
    ensure_code,
    ensure_credit,
    ensure_way_to_pay,
    find_code,
    remove_code,
    remove_way_to_pay,
)
from workers.broker import SHOPIFY
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 16
"""How many redemptions of a merchant one job leases and works on side by side."""

ATTEMPTS_MAX = 9
"""After so many, which take about ten minutes, a redemption that Shopify has not made is given up."""

RENEW_S = 2.5
"""A quarter of a lease, so that one renewal that fails loses nothing."""

RENEW_TIMEOUT_S = 5.0


@cache
def shopify() -> Shopify:
    """This process's way to Shopify, on the loop of its jobs."""
    return Shopify()


async def settle(within: Scope, through: Shopify | None = None) -> None:
    """Settle every redemption of the merchant that is due, and ring for it."""
    client = through or shopify()
    while True:
        now = within.present()
        leased = await in_transaction(now, lambda at=now: settling.claim(at, BATCH))
        mistakes = await _settle_side_by_side(now, client, leased)
        await relay(now)
        # A mistake of ours in one of them is told when those beside it are done; it comes again when its lease is over.
        for mistake in mistakes:
            raise mistake
        if len(leased) < BATCH:
            return


async def _settle_side_by_side(within: Scope, client: Shopify, leased: list[Redemption]) -> list[BaseException]:
    """Bring all a step further and hold them as long as that takes. Returns what went wrong and was not expected."""
    steps = {kept.id: asyncio.ensure_future(_settle_one(within, client, kept)) for kept in leased}
    holding = asyncio.create_task(_hold(within, steps))
    try:
        outcomes = await asyncio.gather(*steps.values(), return_exceptions=True)
    finally:
        holding.cancel()
    # Only `_hold` cancels one of them: then it is another worker's, and no mistake.
    return [one for one in outcomes if one is not None and not isinstance(one, asyncio.CancelledError)]


async def _hold(within: Scope, steps: Mapping[UUID, "asyncio.Future[None]"]) -> None:
    """Renew the leases of what is being worked on; what is not ours any more is let go before it can be done twice."""
    since = within.at
    while True:
        await asyncio.sleep(RENEW_S)
        now = within.present()
        working = [redemption_id for redemption_id, step in steps.items() if not step.done()]
        try:
            async with asyncio.timeout(RENEW_TIMEOUT_S):
                ours = await in_transaction(now, lambda at=now, ids=working, was=since: settling.renew(at, ids, was))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("lease.not_renewed", error=type(error).__name__, merchant_id=str(within.merchant_id))
            if now.at - since < settling.LEASE:
                continue
            ours = set[UUID]()
        for redemption_id in working:
            if redemption_id not in ours:
                steps[redemption_id].cancel()
        since = now.at


async def _settle_one(within: Scope, client: Shopify, kept: Redemption) -> None:
    """Bring one redemption a step further. Whatever is in the way, it stays due."""
    try:
        match kept.status:
            case "held":
                await _make(within, client, kept)
            case "cancelling" | "expiring":
                await _unmake(within, client, kept)
            case _:
                await _sweep_stray(within, client, kept)
    except ShopifyError as error:
        tell(error, within, f"redemption {kept.status}")
        await _book(within, lambda at: settling.put_off(at, kept))


async def _make(within: Scope, client: Shopify, kept: Redemption) -> None:
    customer_number, currency = await _facts(within, kept)
    try:
        there = await at_shop(within, kept.shop_domain)
        if kept.definition.kind is RewardKind.CASHBACK:
            shopify_id = await ensure_credit(client, there, kept, customer_number, currency)
        else:
            shopify_id = await ensure_code(client, there, kept, customer_number, currency)
    except Refused as error:
        tell(error, within, "making a discount")
        code = error.code
        await _book(within, lambda at: settling.failed(at, kept.id, code))
    except NotInstalled:
        await _book(within, lambda at: settling.failed(at, kept.id, "NOT_INSTALLED"))
    except Throttled:
        # A crowd is no reason to give up.
        raise
    except ShopifyError:
        # Given up only when Shopify says that there is nothing; while it does not answer, nobody can know.
        given_up = kept.attempts >= ATTEMPTS_MAX and kept.code is not None
        if not given_up or await find_code(client, await at_shop(within, kept.shop_domain), kept) is not None:
            raise
        await _book(within, lambda at: settling.failed(at, kept.id, "UNANSWERED"))
    else:
        await _book(within, lambda at: settling.issued(at, kept.id, shopify_id))


async def _unmake(within: Scope, client: Shopify, kept: Redemption) -> None:
    if kept.definition.kind is not RewardKind.COUPON and not await _is_removed(within, client, kept):
        await _book(within, lambda at: settling.used(at, kept.id, None))
    else:
        await _book(within, lambda at: settling.gone(at, kept.id))


async def _is_removed(within: Scope, client: Shopify, kept: Redemption) -> bool:
    try:
        return await remove_code(client, await at_shop(within, kept.shop_domain), kept)
    except NotInstalled:
        # A shop without the app has none of its discounts either.
        return True


async def _sweep_stray(within: Scope, client: Shopify, kept: Redemption) -> None:
    """The points are back: a discount that was made after all must go. One that was used is charged by the order."""
    try:
        if kept.code is not None:
            await remove_code(client, await at_shop(within, kept.shop_domain), kept)
    except (Refused, NotInstalled) as error:
        # Another's discount with this code, or a shop that is closed to us. What it refuses for the moment passes.
        if isinstance(error, Refused) and error.code != "TAKEN" and kept.attempts < ATTEMPTS_MAX:
            raise
        tell(error, within, "looking for a stray discount")
    await _book(within, lambda at: settling.settled(at, kept.id))


async def _facts(within: Scope, kept: Redemption) -> tuple[int, str]:
    """The customer's number and the shop's currency, which all shops of a merchant have."""
    if kept.customer_number is not None:
        return kept.customer_number, await merchants.currency(within)
    customer = await customers.by_id(within, kept.customer_id)
    assert customer is not None, "a redemption's customer is never deleted"
    return customer.shopify_id, await merchants.currency(within)


async def _book(within: Scope, act: Callable[[Scope], Awaitable[object]]) -> None:
    """Book an outcome at the instant at which it is known."""
    now = within.present()
    await in_transaction(now, lambda: act(now))


async def publish(within: Scope, through: Shopify | None = None) -> None:
    """Make the discount by which points are paid with be as the catalogue says."""
    client = through or shopify()
    now = within.present()
    for wanted in await in_transaction(now, lambda: publishing.claim(now)):
        before: dict[str | None, str | None] = {None: wanted.shopify_id, **publishing.elsewhere(wanted)}
        made: dict[str | None, str | None] = {None: None}
        try:
            shops = await _shops(now)
            for shop in shops if None in shops else [None]:
                here = wanted.status == RewardStatus.ACTIVE and shop in shops
                made[shop] = await _publish_one(now, client, wanted, shop, before.get(shop), here)
        except ShopifyError as error:
            tell(error, now, "publishing a reward")
            await _book(within, lambda at, one=wanted: publishing.put_off(at, one, now.at))
            continue
        own, others = made.pop(None), {shop: one for shop, one in made.items() if shop and one}
        await _book(within, lambda at, one=wanted, a=own, b=others: publishing.published(at, one, now.at, a, b))


async def _publish_one(
    within: Scope, client: Shopify, wanted: Reward, shop: str | None, before: str | None, is_active: bool
) -> str | None:
    """Make one shop have the discount, or not have it. A shop without the app has none of its discounts either."""
    made = None
    try:
        there = await at_shop(within, shop)
        if is_active:
            made = await ensure_way_to_pay(client, there, wanted, await merchants.currency(within))
        if before is not None and before != made:
            await remove_way_to_pay(client, there, before)
    except NotInstalled:
        return None
    return made


async def _shops(within: Scope) -> list[str | None]:
    """The merchant's shops; None is their own, which comes first. It is not among them while it has joined another merchant."""
    known = [one for one in await merchants.stores.of_merchant(within, within.merchant_id) if one.connected_at is not None]
    own = await merchants.shop_domain(within)
    return [None if one.shop_domain == own else one.shop_domain for one in known]


async def at_shop(within: Scope, shop_domain: str | None) -> Scope:
    """The scope in which a shop of the merchant is spoken to: that of the shop's own tenant, where its token lies.

    None is the merchant's own shop. Raises NotInstalled for a shop that has left.
    """
    if shop_domain is None:
        return within
    home, speaks_for = await merchants.home_of(shop_domain), await merchants.by_shop_domain(shop_domain)
    if home is None or speaks_for is None or speaks_for.id != within.merchant_id:
        raise NotInstalled("The shop has left the merchant.")
    return replace(within, merchant_id=home.id)


async def tell_checkout(within: Scope, through: Shopify | None = None) -> None:
    """Write the metafields of all customers of the merchant that have changed, 25 a call."""
    client = through or shopify()
    while True:
        now = within.present()
        wanted = await in_transaction(now, lambda at=now: standings.claim(at))
        if not wanted:
            return
        answered = [await _tell_shop(now, client, shop, ones) for shop, ones in _by_shop(wanted)]
        if len(wanted) < standings.BATCH or not all(answered):
            return


def _by_shop(wanted: list[Wanted]) -> list[tuple[str | None, list[Wanted]]]:
    shops = dict.fromkeys(one.shop_domain for one in wanted)
    return [(shop, [one for one in wanted if one.shop_domain == shop]) for shop in shops]


async def _tell_shop(within: Scope, client: Shopify, shop: str | None, wanted: list[Wanted]) -> bool:
    """Write the metafields of one shop's customers. Returns False when it must be tried later."""
    try:
        done = await at_checkout.write(client, await at_shop(within, shop), wanted)
    except NotInstalled:
        done = []
    except ShopifyError as error:
        tell(error, within, "telling checkout")
        await _book(within, lambda at: standings.put_off(at, wanted))
        return False
    unknown = {one.customer_id for one in wanted} - {customer_id for customer_id, *_ in done}
    await _book(within, lambda at: _told(at, done, unknown))
    return True


async def _told(within: Scope, done: list[tuple[UUID, int, str | None]], unknown: set[UUID]) -> None:
    await standings.written(within, done)
    for customer_id in unknown:
        await standings.refused(within, customer_id)


async def end(within: Scope) -> None:
    """End the reservations whose time has come, and have checkout told."""
    while True:
        now = within.present()
        ended = await in_transaction(now, lambda at=now: rewards.end_due(at, BATCH))
        await relay(now)
        if ended.leaving:
            await asyncio.to_thread(tell_standings.send, str(within.merchant_id))
        if ended.leaving + ended.released < BATCH:
            return


async def _settle(within: Scope) -> None:
    await settle(within)


async def _publish(within: Scope) -> None:
    await publish(within)


async def _tell(within: Scope) -> None:
    await tell_checkout(within)


settle_redemptions = job("rewards.settle", SHOPIFY)(_settle)
publish_rewards = job("rewards.publish", SHOPIFY)(_publish)
tell_standings = job("rewards.tell", SHOPIFY)(_tell)
end_reservations = job("rewards.end_reservations")(end)
