"""Finding the merchant that a credential or a webhook speaks for."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain import db
from domain.merchants import domains
from domain.merchants.tables import Merchants
from domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Merchant:
    """A Shopify shop. `currency` is the shop's own, in which orders earn.

    sandbox: whether the shop is for trying things out, with a clock that can be advanced; it never changes.
    clock_offset: how far that clock is ahead of the real one; zero for every other merchant.
    """

    id: UUID
    shop_domain: str
    name: str
    currency: str
    sandbox: bool
    clock_offset: timedelta


_COLUMNS = (
    Merchants.id,
    Merchants.shop_domain,
    Merchants.name,
    Merchants.currency,
    Merchants.sandbox,
    Merchants.clock_offset,
)


async def by_id(merchant_id: UUID) -> Merchant | None:
    """The merchant with this id."""
    async with db.reference():
        row = await Merchants.select(*_COLUMNS).where(Merchants.id == merchant_id).first()
    return Merchant(**row) if row else None


async def locked(scope: Scope) -> Merchant:
    """The scope's merchant, locked against another change of theirs. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        # Not the stronger lock, for which every row that names the merchant would have to wait.
        row = await connection.fetchrow(
            "select id, shop_domain, name, currency, sandbox, clock_offset from merchants where id = $1 for no key update",
            scope.merchant_id,
        )
    assert row is not None, "a scope's merchant is there"
    return Merchant(*row)


async def shop_domain(scope: Scope) -> str:
    """The domain of the scope's own shop, within a transaction too."""
    async with db.connection(scope) as connection:
        found = await connection.fetchval("select shop_domain from merchants where id = $1", scope.merchant_id)
    assert found is not None, "a scope's merchant is there"
    return found


async def by_shop_domain(shop_domain: str) -> Merchant | None:
    """The merchant for whom the shop with this domain speaks, such as cedar.myshopify.com: its own, or the one that it joined."""
    domain = domains.read(shop_domain)
    if domain is None:
        return None
    async with db.reference() as connection:
        row = await connection.fetchrow(
            """
            select m.id, m.shop_domain, m.name, m.currency, m.sandbox, m.clock_offset
            from stores s join merchants m on m.id = s.merchant_id where s.shop_domain = $1
            """,
            domain,
        )
    return Merchant(*row) if row else None


async def home_of(shop_domain: str) -> Merchant | None:
    """The merchant whose own shop has this domain, whomever it joined: that is where the shop's installation is kept."""
    async with db.reference() as connection:
        return await _home(connection, shop_domain)


async def by_home(scope: Scope, shop_domain: str) -> Merchant | None:
    """The same within a scope's transaction."""
    async with db.connection(scope) as connection:
        return await _home(connection, shop_domain)


async def _home(connection: db.Connection, shop_domain: str) -> Merchant | None:
    domain = domains.read(shop_domain)
    if domain is None:
        return None
    row = await connection.fetchrow(
        "select id, shop_domain, name, currency, sandbox, clock_offset from merchants where shop_domain = $1", domain
    )
    return Merchant(*row) if row else None


async def clock_offset(merchant_id: UUID) -> timedelta:
    """How far the clock of a merchant is ahead of the real one: zero unless they are a sandbox, and for nobody."""
    # On the merchant's own connection, because the work that asks goes on there: every job comes by here.
    async with db.borrowed(merchant_id) as connection:
        offset: timedelta | None = await connection.fetchval("select clock_offset from merchants where id = $1", merchant_id)
    return offset or timedelta()


async def page(first: int, after: UUID | None, query: str | None) -> list[Merchant]:
    """At most `first` merchants, newest first, from behind `after`, whose name or domain has every word of `query`."""
    words = [word.casefold() for word in (query or "").split()]
    async with db.reference() as connection:
        rows = await connection.fetch(
            """
            select id, shop_domain, name, currency, sandbox, clock_offset from merchants
            where ($1::uuid is null or id < $1)
                and not exists (select from unnest($2::text[]) as word where strpos(lower(name || ' ' || shop_domain), word) = 0)
            order by id desc limit $3
            """,
            after,
            words,
            first,
        )
    return [Merchant(**row) for row in rows]


async def currency(scope: Scope) -> str:
    """The currency of the scope's shop. On the connection that is held, so that a transaction asks without a second one."""
    async with db.connection(scope) as connection:
        found: str | None = await connection.fetchval("select currency from merchants where id = $1", scope.merchant_id)
    assert found is not None, "a scope is a merchant's"
    return found


async def every_id() -> list[UUID]:
    """The ids of all merchants, oldest first."""
    async with db.reference():
        rows: list[dict[str, UUID]] = await Merchants.select(Merchants.id).order_by(Merchants.created_at, Merchants.id)
    return [row["id"] for row in rows]
