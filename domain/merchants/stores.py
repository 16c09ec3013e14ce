"""Several shops of one merchant: their customers have one balance, wherever they buy.

A shop joins another's merchant when both have said so, each in a session of their own: neither can take the other's word for it.
From then on its webhooks and its tokens speak for the merchant it joined. What it was before stays as it is and comes back when
the shop leaves; so only a shop whose own ledger is empty can join, because entries never change hands.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import audit, db, outbox
from domain.errors import Code, DomainError, NotFound
from domain.merchants import domains
from domain.merchants.queries import Merchant, by_home, locked
from domain.scope import Scope

MOVED = "store.moved"
"""The event of a shop that joined or left, with the merchants who speak to another number of shops from then on."""

STORES_MAX = 50
"""How many shops a merchant has at most, those invited among them."""


class StoreInUse(DomainError):
    """The shop has something of its own that would be left behind."""

    code = Code.STORE_IN_USE


@dataclass(frozen=True, slots=True)
class Store:
    """A shop of a merchant. `connected_at` is None while it is invited and has not joined."""

    shop_domain: str
    connected_at: datetime | None


async def of_merchant(scope: Scope, merchant_id: UUID) -> list[Store]:
    """A merchant's shops, their own first, then in the order in which they came; those that are only invited come last.

    The merchant is the scope's own, or the one whom the scope's shop has joined.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select shop_domain, connected_at from (
                select s.shop_domain, s.connected_at, s.shop_domain = m.shop_domain as home, s.connected_at as at
                from stores s join merchants m on m.id = s.merchant_id where s.merchant_id = $1
                union all
                select shop_domain, null, false, invited_at from store_invitations where merchant_id = $1
            ) every_store
            order by home desc, connected_at is null, at, shop_domain
            """,
            merchant_id,
        )
    return [Store(row["shop_domain"], row["connected_at"]) for row in rows]


async def are_several(scope: Scope) -> bool:
    """Whether the merchant is reached by more than one shop."""
    async with db.connection(scope) as connection:
        several: bool = await connection.fetchval("select count(*) > 1 from stores where merchant_id = $1", scope.merchant_id)
    return several


async def invite(scope: Scope, shop_domain: str) -> None:
    """Say that a shop may join; audited. Running it twice is running it once. Precondition: an open transaction.

    Whether such a shop uses LoyalNest is not told. Refusals: BAD_INPUT when it is no shop's address, STORE_IN_USE when it is one
    of the merchant's already or when there are too many.
    """
    domain = domains.read(shop_domain.strip())
    if domain is None:
        raise DomainError("A shop's address ends in .myshopify.com.", field=("shopDomain",))
    # Locked, so that of many invitations at once none goes beyond the most.
    await locked(scope)
    known = await of_merchant(scope, scope.merchant_id)
    if any(store.shop_domain == domain for store in known if store.connected_at is not None):
        raise StoreInUse("The shop is one of the merchant's already.", field=("shopDomain",))
    if any(store.shop_domain == domain for store in known):
        return
    if len(known) >= STORES_MAX:
        raise StoreInUse(f"A merchant has at most {STORES_MAX} shops.", field=("shopDomain",))
    async with db.connection(scope) as connection:
        await connection.execute(
            "insert into store_invitations (merchant_id, shop_domain, invited_at) values ($1, $2, $3)",
            scope.merchant_id,
            domain,
            scope.at,
        )
    await audit.record(scope, "store.invited", _subject(scope), after={"shop_domain": domain})


async def join(scope: Scope, shop_domain: str) -> Merchant:
    """Let the scope's shop join the merchant whose own shop is `shop_domain` and who invited it; audited at the shop that joins.

    At the merchant it joins the invitation is audited: each side has what its own people did.

    Precondition: an open transaction. Returns the merchant that was joined. For a shop that has joined already, whose sessions
    speak for that merchant, nothing is left to do.
    Refusals: NOT_FOUND unless that merchant invited this shop (whether there is such a merchant is not told), STORE_IN_USE when
    the shop has entries in a ledger of its own, deliveries that are not worked off, or shops that joined it,
    STORE_DIFFERS when the two have different currencies, or one of them is a sandbox.
    """
    joined = await by_home(scope, shop_domain.strip())
    if joined is not None and joined.id == scope.merchant_id:
        return joined
    async with db.connection(scope) as connection:
        # Nobody writes a row that names the merchant while this lock is held: what is found empty stays empty.
        row = await connection.fetchrow(
            "select shop_domain, currency, sandbox from merchants where id = $1 for update", scope.merchant_id
        )
        assert row is not None, "a scope's merchant is there"
        invited = joined is not None and await connection.fetchval(
            "delete from store_invitations where merchant_id = $1 and shop_domain = $2 returning true",
            joined.id,
            row["shop_domain"],
        )
        if joined is None or not invited:
            raise NotFound("No merchant of this shop has invited yours.", field=("shopDomain",))
        if (row["currency"], row["sandbox"]) != (joined.currency, joined.sandbox):
            raise DomainError(
                "Both shops must have the same currency, and both or neither be sandboxes.",
                field=("shopDomain",),
                code=Code.STORE_DIFFERS,
            )
        await _check_empty(connection, scope)
        await connection.execute(
            "update stores set merchant_id = $2, connected_at = $3 where shop_domain = $1",
            row["shop_domain"],
            joined.id,
            scope.at,
        )
    await outbox.add(scope, MOVED, merchant_ids=[str(joined.id), str(scope.merchant_id)])
    await audit.record(scope, "store.joined", _subject(scope), after={"joined": joined.shop_domain})
    return joined


async def remove(scope: Scope, shop_domain: str) -> None:
    """Withdraw an invitation, or let a shop that joined go its own way again; audited. Precondition: an open transaction.

    What its customers have stays theirs and with the merchant. Refusals: NOT_FOUND, STORE_IN_USE for the merchant's own shop.
    """
    domain = domains.read(shop_domain.strip())
    merchant = await locked(scope)
    if domain == merchant.shop_domain:
        raise StoreInUse("A merchant's own shop cannot be removed.", field=("shopDomain",))
    async with db.connection(scope) as connection:
        invited = await connection.fetchval(
            "delete from store_invitations where merchant_id = $1 and shop_domain = $2 returning true", scope.merchant_id, domain
        )
        left = await connection.fetchval(
            """
            update stores s set merchant_id = m.id, connected_at = $3 from merchants m
            where s.shop_domain = $2 and s.merchant_id = $1 and m.shop_domain = s.shop_domain returning m.id
            """,
            scope.merchant_id,
            domain,
            scope.at,
        )
    if not (invited or left):
        raise NotFound("No such shop has joined or is invited.", field=("shopDomain",))
    if left:
        await outbox.add(scope, MOVED, merchant_ids=[str(left)])
    await audit.record(scope, "store.removed", _subject(scope), before={"shop_domain": domain, "joined": bool(left)})


async def _check_empty(connection: db.Connection, scope: Scope) -> None:
    found = await connection.fetchrow(
        """
        select exists (select from points_transactions where merchant_id = $1) as entries,
            exists (select from inbox where merchant_id = $1 and status = 'pending') as deliveries,
            (select count(*) from stores where merchant_id = $1) > 1 as stores
        """,
        scope.merchant_id,
    )
    assert found is not None, "the select has a row"
    for name, sentence in (
        ("entries", "The shop has a ledger of its own already."),
        ("deliveries", "The shop's last deliveries are being worked off: try again in a moment."),
        ("stores", "Other shops have joined this one."),
    ):
        if found[name]:
            raise StoreInUse(sentence, field=("shopDomain",))


def _subject(scope: Scope) -> str:
    return f"gid://loyalnest/Merchant/{scope.merchant_id}"
