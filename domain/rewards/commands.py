"""Taking rewards, and taking them back."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain import audit, customers, db, idempotency, memberships, merchants, outbox
from domain.customers import Known
from domain.errors import NotFound
from domain.identifiers import new_id
from domain.rewards import ledger
from domain.rewards.queries import REDEMPTION, Redemption, Reward, is_theirs, reward, taken
from domain.rewards.rules import (
    IN_SHOPIFY,
    WITH_CODE,
    NotCancellable,
    Obstacle,
    RewardKind,
    RewardUnavailable,
    Standing,
    obstacles,
    refusal,
)
from domain.scope import Scope

CODE_PREFIX = "LN-"
CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 12
"""Sixty random bits: nobody guesses one, and no shop meets one twice."""

SOURCE = "redemption"


async def redeem(
    scope: Scope, *, customer_id: UUID, reward_id: UUID, idempotency_key: str, shop_domain: str | None = None
) -> Redemption:
    """Take a reward for a customer: its points leave the balance now, and the workers make the discount in Shopify.

    shop_domain: in which of the merchant's shops it is to be used; left out, the one that the customer is in.
    Precondition: an open transaction. A pool's coupon is there at once; all else is `held` until Shopify has it.
    Refusals: NOT_FOUND, INSUFFICIENT_POINTS, REWARD_UNAVAILABLE, REWARD_NOT_FOR_CUSTOMER, REWARD_LIMIT_REACHED,
    REWARD_OUT_OF_STOCK, and those of `idempotency`. The same key with the same input gives the redemption as it was then.
    """
    idempotency.check(idempotency_key)
    given = [str(customer_id), str(reward_id), *([] if shop_domain is None else [shop_domain])]
    repeated = await idempotency.earlier(scope, idempotency_key, "rewardRedeem", given)
    if repeated is not None:
        return msgspec.json.decode(repeated, type=Redemption)
    customer = await customers.by_id(scope, customer_id)
    wanted = await reward(scope, reward_id)
    if customer is None:
        raise NotFound("There is no such customer.", field=("customerId",))
    if wanted is None:
        raise NotFound("There is no such reward.", field=("rewardId",))
    definition = wanted.definition
    if definition.kind is RewardKind.PAY_WITH_POINTS:
        raise RewardUnavailable("Points are paid with at checkout: reserve them instead.", field=("rewardId",))
    place = await _place(scope, customer_id, shop_domain)
    before = await taken(scope, customer_id, [reward_id])
    await _check(scope, wanted, customer_id, customer.balance, before.get(reward_id, 0))
    redemption_id = new_id()
    position = await ledger.take(scope, customer_id, definition.points, SOURCE, redemption_id)
    # The account is locked from here on, so that of two that run at once the second sees what the first has taken.
    before = await taken(scope, customer_id, [reward_id])
    await _check(scope, wanted, customer_id, definition.points, before.get(reward_id, 0))
    await _take_one(scope, wanted)
    kept = await _keep(scope, wanted, customer_id, redemption_id, position, place)
    await outbox.add(scope, "redemption.held", customer_id=str(customer_id), version=position)
    after = {"customerId": str(customer_id), "rewardId": str(reward_id), "points": definition.points}
    await audit.record_for_others(scope, "reward.redeemed", f"gid://loyalnest/Redemption/{redemption_id}", after=after)
    await idempotency.remember(scope, idempotency_key, "rewardRedeem", given, msgspec.json.encode(kept).decode())
    return kept


async def _place(scope: Scope, customer_id: UUID, shop_domain: str | None) -> Known:
    """In which shop, and by which number there, the customer is meant. Raises NotFound for a shop that does not know them."""
    known = await customers.known_by(scope, customer_id)
    if shop_domain is None:
        return known[0]
    domain = shop_domain.strip().lower()
    wanted = None if domain == await merchants.shop_domain(scope) else domain
    for one in known:
        if one.shop_domain == wanted:
            return one
    raise NotFound("No such shop of the merchant knows this customer.", field=("shopDomain",))


async def _check(scope: Scope, wanted: Reward, customer_id: UUID, balance: int, before: int) -> None:
    standing = Standing(balance, before, await memberships.only(scope, customer_id))
    found, missing = obstacles(wanted.definition, wanted.status, wanted.stock, standing, scope.at)
    if found:
        raise refusal(found[0], missing)


async def _take_one(scope: Scope, wanted: Reward) -> None:
    """Count one down where the reward is counted."""
    if wanted.stock is None:
        return
    async with db.connection(scope) as connection:
        left = await connection.fetchval(
            "update rewards set stock = stock - 1 where merchant_id = $1 and id = $2 and stock > 0 returning stock",
            scope.merchant_id,
            wanted.id,
        )
    if left is None:
        raise refusal(Obstacle.OUT_OF_STOCK, 0)


async def _keep(scope: Scope, wanted: Reward, customer_id: UUID, redemption_id: UUID, position: int, place: Known) -> Redemption:
    definition = wanted.definition
    expires_at = None
    if definition.valid_days is not None:
        expires_at = scope.at.replace(microsecond=0) + timedelta(days=definition.valid_days)
    code = None
    if definition.kind in WITH_CODE:
        code = CODE_PREFIX + "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARACTERS))
    elif definition.kind is RewardKind.COUPON:
        code = await _coupon(scope, wanted.id, redemption_id)
    elif definition.kind is RewardKind.CASHBACK:
        assert expires_at is not None, "a definition of store credit has an end"
        expires_at = await _unlike_others(scope, customer_id, expires_at)
    in_shopify = definition.kind in IN_SHOPIFY
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            insert into redemptions (
                merchant_id, id, customer_id, reward_id, kind, definition, points, position, status, code, expires_at,
                created_at, updated_at, due_at, shop_domain, customer_number
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14, $15) returning {REDEMPTION}
            """,
            scope.merchant_id,
            redemption_id,
            customer_id,
            wanted.id,
            definition.kind.value,
            wanted.text,
            definition.points,
            position,
            "held" if in_shopify else "issued",
            code,
            expires_at,
            scope.at,
            scope.at if in_shopify else None,
            place.shop_domain,
            place.shopify_id,
        )
    assert row is not None, "an insert returns its row"
    return Redemption(*row)


async def _coupon(scope: Scope, reward_id: UUID, redemption_id: UUID) -> str:
    """A code of the pool that nobody has."""
    async with db.connection(scope) as connection:
        code = await connection.fetchval(
            """
            update coupons set redemption_id = $3 where merchant_id = $1 and code = (
                select code from coupons where merchant_id = $1 and reward_id = $2 and redemption_id is null
                limit 1 for update skip locked
            ) returning code
            """,
            scope.merchant_id,
            reward_id,
            redemption_id,
        )
    if code is None:
        raise refusal(Obstacle.OUT_OF_STOCK, 0)
    return code


async def _unlike_others(scope: Scope, customer_id: UUID, expires_at: datetime) -> datetime:
    """The first second from `expires_at` on at which no other store credit of the customer ends."""
    async with db.connection(scope) as connection:
        latest = await connection.fetchval(
            """
            select max(expires_at) from redemptions
            where merchant_id = $1 and customer_id = $2 and kind = 'cashback' and expires_at >= $3
            """,
            scope.merchant_id,
            customer_id,
            expires_at,
        )
    return expires_at if latest is None else latest + timedelta(seconds=1)


async def cancel(scope: Scope, redemption_id: UUID, *, customer_id: UUID | None = None) -> Redemption:
    """Take a redemption back: the code is deleted in Shopify first, and then the points return; audited.

    customer_id: only this customer's, where the caller is one. Precondition: an open transaction.
    Refusals: NOT_FOUND; REDEMPTION_NOT_CANCELLABLE when the code is used or over, or for store credit and coupons that were
    given out. Calling it again changes nothing.
    """
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"select {REDEMPTION} from redemptions where merchant_id = $1 and id = $2 for update",
            scope.merchant_id,
            redemption_id,
        )
        kept = Redemption(*row) if row else None
        if kept is None or (customer_id is not None and not await is_theirs(scope, kept.customer_id, customer_id)):
            raise NotFound("There is no such redemption.", field=("id",))
        if kept.status in ("cancelling", "cancelled"):
            return kept
        kind = kept.definition.kind
        if kept.status not in ("held", "issued") or kind not in WITH_CODE:
            raise NotCancellable("This redemption cannot be taken back.", field=("id",))
        row = await connection.fetchrow(
            f"""
            update redemptions set status = 'cancelling', due_at = $3, updated_at = $3, attempts = 0
            where merchant_id = $1 and id = $2 returning {REDEMPTION}
            """,
            scope.merchant_id,
            redemption_id,
            scope.at,
        )
    assert row is not None, "the row is locked above"
    await audit.record(
        scope, "redemption.cancelled", f"gid://loyalnest/Redemption/{redemption_id}", before={"status": kept.status}
    )
    await outbox.add(scope, "redemption.held", customer_id=str(kept.customer_id), version=kept.position)
    return Redemption(*row)
