"""What is done with deliveries about persons: closed accounts, merges, and what a person may ask of us."""

from collections.abc import Collection, Sequence

import msgspec

from domain import calendar, db, identity
from domain.identity import AccountTold, InvalidIdentity, MergeTold, PrivacyTold, Redacted, Uninstalled
from domain.inbox.kinds import Kind
from domain.inbox.rules import customer_key
from domain.inbox.waiting import Waiting
from domain.scope import Scope

BATCH = 500
"""How many deliveries are looked through at a time for what is to be forgotten."""


async def accounts(scope: Scope, waiting: Sequence[Waiting]) -> set[str]:
    """Customers whom the shop disabled, enabled or deleted."""
    told = [(one.topic, identity.read(one.payload, AccountTold)) for one in waiting]
    if any(topic == "customers/enable" for topic, _ in told):
        await identity.take_turns(scope)
    await identity.hold(scope, {account.id for _, account in told})
    for topic, account in told:
        if account.updated_at is not None and not calendar.is_usable(account.updated_at):
            raise InvalidIdentity("updated_at needs a time zone, and a year from 1900 to 2999", field=("updated_at",))
        match topic:
            case "customers/disable":
                await identity.disable(scope, account.id, account.updated_at)
            case "customers/enable":
                await identity.enable(scope, account.id, account.updated_at)
            case _:
                await identity.delete(scope, account.id)
    return {customer_key(account.id) for _, account in told}


async def merges(scope: Scope, waiting: Sequence[Waiting]) -> set[str]:
    """Customers of whom Shopify has made one. Those that were only asked for, or failed, change nothing."""
    merges: list[tuple[int, int, str | None]] = []
    for one in waiting:
        told = identity.read(one.payload, MergeTold)
        kept = identity.number_of(told.kept, "admin_graphql_api_customer_kept_id")
        gone = identity.number_of(told.gone, "admin_graphql_api_customer_deleted_id")
        if told.is_done:
            merges.append((kept, gone, told.job))
    await identity.hold(scope, {number for kept, gone, _ in merges for number in (kept, gone)})
    for kept, gone, job in merges:
        await identity.merge(scope, kept=kept, gone=gone, job_id=job)
    return {customer_key(kept) for kept, _, _ in merges}


async def privacy(scope: Scope, waiting: Sequence[Waiting]) -> Collection[str]:
    """Requests to be forgotten or to be told, of a person or of the whole shop."""
    for one in waiting:
        if one.topic == "shop/redact":
            shop = identity.read(one.payload, Redacted)
            if await identity.redact_shop(scope, shop.shop_domain.lower()):
                await _forget_everybody(scope)
            continue
        told = identity.read(one.payload, PrivacyTold)
        if one.topic == "customers/redact":
            await identity.redact(scope, told.customer.id, told.orders_to_redact)
            await _forget(scope, told.customer.id, set(told.orders_to_redact))
        elif told.data_request is None:
            raise InvalidIdentity("The request has no number.", field=("data_request", "id"))
        else:
            await identity.request_data(scope, told.customer.id, told.data_request.id, told.orders_requested)
    return ()


async def installations(scope: Scope, waiting: Sequence[Waiting]) -> Collection[str]:
    """The app was removed from a shop."""
    for one in waiting:
        told = identity.read(one.payload, Uninstalled)
        await identity.uninstalled(scope, told.myshopify_domain.lower(), one.triggered_at)
    return ()


class _Customer(msgspec.Struct, frozen=True):
    id: int | None = None


class _Named(msgspec.Struct, frozen=True):
    id: int | None = None
    customer: _Customer | None = None


async def _forget(scope: Scope, number: int, order_numbers: set[int]) -> None:
    """Forget what deliveries that are still kept say of a person. An order among them is still to be worked off, without it."""
    after = ""
    async with db.connection(scope) as connection:
        while True:
            rows = await connection.fetch(
                """
                select webhook_id, kind, payload from inbox
                where merchant_id = $1 and profile is not null and webhook_id > $2 order by webhook_id limit $3 for update
                """,
                scope.merchant_id,
                after,
                BATCH,
            )
            if not rows:
                return
            after = rows[-1]["webhook_id"]
            await connection.execute(
                "update inbox set profile = null where merchant_id = $1 and webhook_id = any ($2)",
                scope.merchant_id,
                [row["webhook_id"] for row in rows if _is_of(row["kind"], row["payload"], number, order_numbers)],
            )


def _is_of(kind: str, payload: str, number: int, order_numbers: set[int]) -> bool:
    try:
        named = msgspec.json.decode(payload, type=_Named)
    except msgspec.ValidationError:
        # Nobody can tell whose it is, and nobody will be able to work it off: so it is not worth a person's data.
        return True
    if kind == Kind.CUSTOMERS:
        return named.id == number
    return named.id in order_numbers or (named.customer is not None and named.customer.id == number)


async def _forget_everybody(scope: Scope) -> None:
    async with db.connection(scope) as connection:
        await connection.execute(
            "update inbox set profile = null where merchant_id = $1 and profile is not null", scope.merchant_id
        )
