"""What a person may ask of us: to be forgotten, and to be told what is kept."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain import actions, audit, customers, db, installations, merchants, orders, outbox, points
from domain.customers import State
from domain.errors import NotFound
from domain.identifiers import new_id
from domain.identity.holding import by_number, hold
from domain.identity.personal import everything, forget
from domain.identity.queries import Export, exported
from domain.identity.rules import InvalidIdentity
from domain.scope import Scope
from domain.seal import seal, unseal

REDACTED = "customer.redacted"
"""The event, after which checkout forgets them."""


async def redact(scope: Scope, number: int, order_numbers: Collection[int] = ()) -> None:
    """Forget who Shopify's customer is, and all who were merged into them. The ledger stays, anonymous and whole. Audited.

    The account is closed for good, the address of the orders is forgotten, and exports that nobody has taken are gone.
    What the shop delivers of them later finds nobody to tell it of. Precondition: an open transaction. Safe to repeat.
    """
    held = await hold(scope, [number])
    # Who was merged into somebody is that person too; but when one who is gone is erased, who was kept stays.
    asked = by_number(held, number)
    erased = [asked.id] if asked.merged_into else list(held)
    await forget(scope, erased)
    await orders.forget_addresses(scope, order_numbers)
    # The account of who was merged away stays closed as such: nobody stands behind it, and so nothing may be given to it either.
    await points.close(scope, [one.id for one in held.values() if one.id in erased and one.merged_into is None], State.REDACTED)
    for customer_id in erased:
        await customers.set_state(scope, customer_id, State.REDACTED)
        await orders.pause(scope, customer_id)
        await actions.pause(scope, customer_id)
        # Checkout's own note of a person is forgotten too.
        await outbox.add(scope, REDACTED, customer_id=str(customer_id), version=0)
        await audit.record(scope, "customer.redacted", f"gid://loyalnest/Customer/{customer_id}")


async def redact_shop(scope: Scope, shop_domain: str) -> bool:
    """Forget who all customers of the shop are, the shop's name, and close every account and every key. Audited.

    Shopify asks for it 48 hours after the app was removed. A shop that joined another's merchant leaves them, and their customers
    stay with the others, because they are one. Returns whether all were forgotten. Precondition: an open transaction.
    Refusals: STORE_IN_USE for a merchant's own shop while others are joined to it, DELIVERY_INVALID for a shop of somebody else.
    """
    home, *joined = await _shops(scope)
    if shop_domain in joined:
        await merchants.stores.remove(scope, shop_domain)
        return False
    if shop_domain != home:
        raise InvalidIdentity("This is none of the merchant's shops.", field=("shop_domain",))
    if joined:
        raise merchants.stores.StoreInUse("Other shops share these customers: they have to leave first.", field=("shop_domain",))
    await forget(scope, None)
    await customers.set_all_redacted(scope)
    await points.close(scope, None, State.REDACTED)
    await orders.pause(scope, None)
    await actions.pause(scope, None)
    await merchants.forget_name(scope)
    await uninstalled(scope, shop_domain)
    await audit.record(scope, "shop.redacted", f"gid://loyalnest/Merchant/{scope.merchant_id}")
    return True


async def uninstalled(scope: Scope, shop_domain: str, told_at: datetime | None = None) -> None:
    """Revoke every key of the merchant's partners, because the app was removed from their only shop. Audited. Safe to repeat.

    One of several shops leaves the others, and they keep their keys. told_at: when Shopify said so; where the app has been
    installed again since, nothing is done. Precondition: an open transaction.
    """
    if await _is_back(scope, shop_domain, told_at):
        return
    home, *joined = await _shops(scope)
    if shop_domain in joined:
        await merchants.stores.remove(scope, shop_domain)
    if shop_domain == home:
        # The tokens are those of the merchant's own shop, and void from now on.
        await installations.uninstall(scope, told_at)
    revoked = await merchants.revoke_keys(scope) if shop_domain == home and not joined else 0
    await audit.record(
        scope,
        "app.uninstalled",
        f"gid://loyalnest/Merchant/{scope.merchant_id}",
        after={"shop_domain": shop_domain, "keys_revoked": revoked},
    )


async def _is_back(scope: Scope, shop_domain: str, told_at: datetime | None) -> bool:
    """Whether the merchant's own shop has installed the app after Shopify said that it was removed."""
    if told_at is None or shop_domain != await merchants.shop_domain(scope):
        return False
    return await installations.is_newer(scope, told_at)


async def _shops(scope: Scope) -> list[str]:
    """The merchant's shops, their own first, and none that is only invited."""
    known = await merchants.stores.of_merchant(scope, scope.merchant_id)
    return [store.shop_domain for store in known if store.connected_at is not None]


async def request_data(scope: Scope, number: int, request_id: int, order_numbers: Collection[int] = ()) -> None:
    """Gather all that is kept of Shopify's customer into one document, sealed, which staff can take once. Audited.

    Precondition: an open transaction. The same request is answered once.
    """
    ids = await customers.ensure(scope, [number])
    content = msgspec.json.encode(await _everything(scope, ids[number], order_numbers))
    export_id = new_id()
    async with db.connection(scope) as connection:
        made = await connection.execute(
            """
            insert into customer_exports (merchant_id, id, customer_id, request_id, content, requested_at)
            values ($1, $2, $3, $4, $5, $6) on conflict (merchant_id, request_id) do nothing
            """,
            scope.merchant_id,
            export_id,
            ids[number],
            request_id,
            seal(scope.merchant_id, "customer_exports.content", str(export_id), content),
            scope.at,
        )
    if made == "INSERT 0 1":
        await audit.record(scope, "customer.export_requested", f"gid://loyalnest/Customer/{ids[number]}")


async def take_export(scope: Scope, export_id: UUID) -> tuple[Export, str]:
    """The document of a request, as JSON, and forget it: it can be taken once. Audited.

    Precondition: an open transaction. Refusals: NOT_FOUND when there is none, when it was taken, or when its person was erased;
    DATA_DAMAGED when it does not open, and then it is kept as it is.
    """
    async with db.connection(scope) as connection:
        content = await connection.fetchval(
            "select content from customer_exports where merchant_id = $1 and id = $2 for update", scope.merchant_id, export_id
        )
        if content is None:
            raise NotFound("There is no such export, or it was taken.", field=("id",))
        await connection.execute(
            """
            update customer_exports set content = null, taken_at = $3, taken_by = $4 where merchant_id = $1 and id = $2
            """,
            scope.merchant_id,
            export_id,
            scope.at,
            str(scope.actor),
        )
    found = await exported(scope, export_id)
    assert found is not None, "its row is locked, and nobody deletes"
    await audit.record(scope, "customer.export_taken", f"gid://loyalnest/Customer/{found.customer_id}")
    return found, unseal(scope.merchant_id, "customer_exports.content", str(export_id), content).decode()


async def _everything(scope: Scope, customer_id: UUID, order_numbers: Collection[int]) -> dict[str, Any]:
    """All that is kept of a person and of all who were merged into them, and the orders that they placed as a guest."""
    return {
        "made_at": scope.at.astimezone(UTC),
        **await everything(scope, list(await customers.family(scope, customer_id))),
        "orders_of_guests": [
            {"shopify_id": order.shopify_id, "created_at": order.created_at, "snapshot": msgspec.Raw(order.snapshot.encode())}
            for order in await orders.of_guests(scope, order_numbers)
        ],
    }
