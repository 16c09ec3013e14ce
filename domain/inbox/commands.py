"""Receiving deliveries and working them off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from domain import customers, db, orders, points
from domain.customers import CustomerSnapshot, Profile
from domain.inbox.rules import Delivery, InvalidCustomer, Kind
from domain.scope import Scope
from domain.seal import seal, unseal

ATTEMPTS_MAX = 5
BACKOFF = timedelta(seconds=2)
"""The wait after the first failed attempt; it doubles with each further one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is to be worked off."""

    webhook_id: str
    topic: str
    payload: str
    profile: bytes | None
    attempts: int


async def receive(scope: Scope, delivery: Delivery) -> bool:
    """Store a delivery in one statement. Returns whether it is new; a known id changes nothing."""
    sealed = None
    if delivery.profile is not None:
        sealed = seal(scope.merchant_id, "inbox", delivery.webhook_id, msgspec.json.encode(delivery.profile))
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            insert into inbox (merchant_id, webhook_id, topic, payload, profile, triggered_at, received_at, due_at, request_id)
            values ($1, $2, $3, $4, $5, $6, $7, $7, $8) on conflict (merchant_id, webhook_id) do nothing
            """,
            scope.merchant_id,
            delivery.webhook_id,
            delivery.topic,
            delivery.payload,
            sealed,
            delivery.triggered_at,
            scope.at,
            scope.request_id,
        )
    return status == "INSERT 0 1"


async def claim(scope: Scope, kind: Kind, limit: int) -> list[Waiting]:
    """At most `limit` due deliveries of a kind, the oldest first, held until the transaction ends.

    Precondition: an open transaction. Those that another worker holds are left to it.
    """
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select webhook_id, topic, payload, profile, attempts from inbox
            where merchant_id = $1 and status = 'pending' and due_at <= $2 and starts_with(topic, $3)
            order by due_at limit $4 for update skip locked
            """,
            scope.merchant_id,
            scope.at,
            kind.value,
            limit,
        )
    return [Waiting(*row) for row in rows]


async def work_off(scope: Scope, kind: Kind, waiting: Sequence[Waiting]) -> None:
    """Book what claimed deliveries say and mark them done. Precondition: the transaction that claimed them.

    Raises DomainError when one cannot be read: nothing of the batch is booked then, and the caller narrows it down.
    """
    if not waiting:
        return
    match kind:
        case Kind.ORDERS:
            await orders.converge(scope, [(orders.parse(one.payload), one.payload) for one in waiting])
        case Kind.CUSTOMERS:
            joined = await customers.arrive(scope, [(_customer(one), _profile(scope, one)) for one in waiting])
            await points.award_signups(scope, joined)
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update inbox set status = 'done', payload = null, profile = null, attempts = attempts + 1
            where merchant_id = $1 and webhook_id = any ($2)
            """,
            scope.merchant_id,
            [one.webhook_id for one in waiting],
        )


async def set_aside(scope: Scope, one: Waiting, failure: str, *, final: bool) -> None:
    """Count a failed attempt: the delivery waits longer each time, and is kept as failed after the last or a final one.

    Precondition: an open transaction. `failure` is a code or the name of an error, never a part of the payload.
    """
    attempts = one.attempts + 1
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update inbox set attempts = $3, failure = $4, status = $5, due_at = $6
            where merchant_id = $1 and webhook_id = $2 and status = 'pending'
            """,
            scope.merchant_id,
            one.webhook_id,
            attempts,
            failure,
            "failed" if final or attempts >= ATTEMPTS_MAX else "pending",
            scope.at + BACKOFF * 2 ** (attempts - 1),
        )


def _customer(one: Waiting) -> CustomerSnapshot:
    try:
        snapshot = msgspec.json.decode(one.payload, type=CustomerSnapshot)
    except msgspec.ValidationError as error:
        raise InvalidCustomer(str(error)) from error
    if snapshot.created_at.tzinfo is None or snapshot.updated_at.tzinfo is None:
        raise InvalidCustomer("created_at and updated_at need a time zone")
    return snapshot


def _profile(scope: Scope, one: Waiting) -> Profile:
    if one.profile is None:
        return Profile()
    return msgspec.json.decode(unseal(scope.merchant_id, "inbox", one.webhook_id, one.profile), type=Profile)
