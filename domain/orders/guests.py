"""Whose an order is: the customer it names, or the one who claimed it by a verified address; and whose account is closed."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from domain import customers, db
from domain.orders.queries import Order, locked
from domain.orders.rules import CustomerReference, OrderSnapshot, parse
from domain.scope import Scope
from domain.seal import match_term

NO_CUSTOMER = "NO_CUSTOMER"
"""What the core says of an order that is nobody's."""

UNCLAIMED = "GUEST_UNCLAIMED"
"""Why an order without a customer earns nothing yet: nobody has a verified address that is the order's."""

ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
"""Why an order is not booked: its customer neither earns nor spends at present."""

Snapshots = Mapping[int, tuple[OrderSnapshot, str]]


def with_email(scope: Scope, snapshot: OrderSnapshot, email: str) -> OrderSnapshot:
    """The snapshot of a guest's order with the keyed hash of its e-mail address, which is all that is kept of it."""
    return msgspec.structs.replace(snapshot, email_term=match_term(scope.merchant_id, email).hex())


def stored(order: Order) -> OrderSnapshot:
    """The snapshot that is kept with an order, with the guest's address that is kept beside it."""
    snapshot = parse(order.snapshot)
    if order.email_term is None:
        return snapshot
    return msgspec.structs.replace(snapshot, email_term=order.email_term.hex())


def of_claimant(order: Order) -> OrderSnapshot:
    """The snapshot that is kept with an order, as that of the customer who has claimed it, if somebody has."""
    snapshot = stored(order)
    if order.claimed_by is None:
        return snapshot
    return msgspec.structs.replace(snapshot, customer=CustomerReference(order.claimed_by))


def reason_of(reason: str | None, address: object) -> str | None:
    """What the core says of an order, or that it waits for its guest when it has an address by which they can be known."""
    return UNCLAIMED if reason == NO_CUSTOMER and address is not None else reason


async def take_turn(scope: Scope, arrivals: Iterable[OrderSnapshot], told_of: Collection[int]) -> None:
    """Take the guests' turn where an order may find its customer by its address: before any order is held, as customers do.

    told_of: the numbers of orders of which something else is told than a snapshot. Precondition: an open transaction.
    """
    if not any(one.customer is None and one.email_term is not None for one in arrivals):
        async with db.connection(scope) as connection:
            waits = told_of and await connection.fetchval(
                """
                select exists (
                    select from orders where merchant_id = $1 and shopify_id = any ($2) and email_term is not null
                        and customer_id is null and claimed_by is null
                )
                """,
                scope.merchant_id,
                list(told_of),
            )
        if not waits:
            return
    await customers.look_for_guests(scope, as_guest=True)


async def with_guests(scope: Scope, newest: Snapshots, kept: Mapping[int, Order]) -> dict[int, tuple[OrderSnapshot, str]]:
    """The snapshots, those of guests with the customer who has claimed them or can claim them now.

    A claim stays, whatever becomes of the address; and who has one needs no address any more. Precondition: an open transaction.
    """
    guests = [number for number, (snapshot, _) in newest.items() if snapshot.customer is None]
    claims = {number: order.claimed_by for number in guests if (order := kept.get(number)) and order.claimed_by}
    addresses = {
        number: bytes.fromhex(term) for number in guests if number not in claims and (term := newest[number][0].email_term)
    }
    if addresses:
        await customers.look_for_guests(scope, as_guest=True)
        known = await customers.verified(scope, addresses.values())
        claims |= {number: known[term] for number, term in addresses.items() if term in known}
    told = dict(newest)
    for number, claimant in claims.items():
        snapshot, text = newest[number]
        told[number] = msgspec.structs.replace(snapshot, customer=CustomerReference(claimant)), text
    return told


def guest_columns(told: OrderSnapshot, snapshot: OrderSnapshot) -> dict[str, Any]:
    """What is kept beside a snapshot: by what its order can be claimed, or who has claimed it. told: the one of `with_guests`."""
    claimant = told.customer if snapshot.customer is None else None
    unclaimed = told.customer is None and told.email_term is not None
    return {
        "email_term": bytes.fromhex(told.email_term) if unclaimed and told.email_term else None,
        "claimed_by": claimant.id if claimant else None,
    }


async def owners_of(scope: Scope, newest: Snapshots, kept: Mapping[int, Order]) -> tuple[dict[int, UUID | None], set[int]]:
    """Whose each order is, and the numbers of those that wait because the account is closed."""
    known = await customers.owners(scope, {snapshot.customer.id for snapshot, _ in newest.values() if snapshot.customer})
    owners: dict[int, UUID | None] = {}
    left: dict[int, UUID] = {}
    for number, (snapshot, _) in newest.items():
        owners[number] = known[snapshot.customer.id].id if snapshot.customer else None
        before = kept[number].customer_id if number in kept else None
        if snapshot.customer is None and before is not None:
            left[number] = before
    waiting = {number for number, (one, _) in newest.items() if one.customer and not known[one.customer.id].is_open}
    if left:
        # The shop forgets the customer of an order when it erases them; their points are theirs all the same.
        closed = {
            row.id for row in (await customers.by_ids(scope, list(left.values()))).values() if row.state != customers.State.OPEN
        }
        for number, before in left.items():
            if before in closed:
                owners[number] = before
                waiting.add(number)
    return owners, waiting


async def claimable(scope: Scope, email_terms: Collection[bytes]) -> list[int]:
    """The orders of guests with one of these addresses."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select shopify_id from orders
            where merchant_id = $1 and email_term = any ($2) and customer_id is null and claimed_by is null order by shopify_id
            """,
            scope.merchant_id,
            list(email_terms),
        )
    return [row["shopify_id"] for row in rows]


async def waiting_of(scope: Scope, customer_id: UUID) -> list[int]:
    """The orders of a customer that wait for their account to be opened."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select shopify_id from orders where merchant_id = $1 and customer_id = $2 and waiting order by shopify_id",
            scope.merchant_id,
            customer_id,
        )
    return [row["shopify_id"] for row in rows]


async def pause(scope: Scope, customer_id: UUID | None) -> None:
    """Let the orders wait whose hold has not passed, because the account is closed; None is everybody of the shop.

    Precondition: an open transaction.
    """
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update orders set waiting = true, matures_at = null, reason = $3
            where merchant_id = $1 and ($2::uuid is null or customer_id = $2) and matures_at is not null
            """,
            scope.merchant_id,
            customer_id,
            ACCOUNT_CLOSED,
        )


async def of_guests(scope: Scope, shopify_ids: Collection[int]) -> list[Order]:
    """Those of these orders that are nobody's."""
    found = await locked(scope, list(shopify_ids))
    return [order for _, order in sorted(found.items()) if order.customer_id is None]


async def forget_addresses(scope: Scope, shopify_ids: Collection[int]) -> None:
    """Forget the guest's address of these orders; nobody can claim them any more. Precondition: an open transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update orders set email_term = null where merchant_id = $1 and shopify_id = any ($2) and email_term is not null",
            scope.merchant_id,
            list(shopify_ids),
        )
