"""Registering a shop, and advancing a sandbox's clock."""

from dataclasses import replace
from datetime import datetime

from domain import audit, db, money
from domain.identifiers import new_id
from domain.merchants.queries import Merchant, by_shop_domain, locked
from domain.merchants.rules import clock_target
from domain.scope import Scope


async def register(shop_domain: str, name: str, currency: str, at: datetime, *, sandbox: bool = False) -> Merchant:
    """The merchant of a shop, made when it is new. Running it twice is running it once. Raises UnknownCurrency.

    Of a shop that joined another's merchant it is that one.

    sandbox: whether a new merchant's clock can be advanced. One who is known stays what they are.
    """
    money.require_currency(currency, field=("currency",))
    async with db.reference() as connection:
        await connection.execute(
            """
            with made as (
                insert into merchants (id, shop_domain, name, currency, created_at, sandbox) values ($1, $2, $3, $4, $5, $6)
                on conflict (shop_domain) do nothing returning id, shop_domain, created_at
            )
            insert into stores (merchant_id, shop_domain, connected_at) select * from made
            """,
            new_id(),
            shop_domain.lower(),
            name,
            currency,
            at,
            sandbox,
        )
    merchant = await by_shop_domain(shop_domain)
    assert merchant is not None, "the shop was registered above"
    return merchant


async def clock_advance(scope: Scope, *, days: int | None = None, until: datetime | None = None) -> Merchant:
    """Move a sandbox's clock forward by whole days of 24 hours, or to an instant; audited. Returns the merchant after it.

    Precondition: an open transaction. From its commit on, everything takes the new time for the merchant's present. Days
    count from the scope's instant, so that two calls at once move the clock once; of calls one after the other each moves it.
    Refusals: SANDBOX_REQUIRED, BAD_INPUT unless exactly one of the two is given and `until` has a time zone,
    CLOCK_BACKWARDS when the clock shows that instant already, CLOCK_TOO_FAR beyond ten years ahead of the real time.
    """
    merchant = await locked(scope)
    real = scope.real_at
    target = clock_target(merchant, real, scope.at, days, until)
    moved = replace(merchant, clock_offset=target - real)
    async with db.connection(scope) as connection:
        await connection.execute("update merchants set clock_offset = $2 where id = $1", merchant.id, moved.clock_offset)
    await audit.record(
        scope,
        "sandbox_clock.advanced",
        f"gid://loyalnest/Merchant/{merchant.id}",
        before={"now": real + merchant.clock_offset},
        after={"now": target},
    )
    return moved


async def forget_name(scope: Scope) -> None:
    """Forget what the shop is called. Its domain stays, by which its deliveries are known. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute("update merchants set name = '' where id = $1", scope.merchant_id)


async def revoke_keys(scope: Scope) -> int:
    """Revoke every partner's key that is still good. Returns how many. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        answer = await connection.execute(
            "update api_keys set revoked_at = $2 where merchant_id = $1 and revoked_at is null", scope.merchant_id, scope.at
        )
    return int(answer.removeprefix("UPDATE "))
