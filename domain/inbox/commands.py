"""Receiving deliveries and working them off."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import msgspec

from domain import audit, db
from domain.errors import NotFound
from domain.inbox.handlers import HANDLERS
from domain.inbox.kinds import PARENTS, Kind, Status
from domain.inbox.queries import Received, by_webhook_id, known
from domain.inbox.rules import Delivery, DeliveryDone, Failure, InvalidDelivery
from domain.inbox.waiting import Waiting
from domain.scope import Scope
from domain.seal import seal

ATTEMPTS_MAX = 5
BACKOFF = timedelta(seconds=2)
"""The wait after the first failed attempt; it doubles with each further one."""


async def receive(scope: Scope, delivery: Delivery) -> bool:
    """Store a delivery in one statement. Returns whether it is new; a known id changes nothing."""
    async with db.connection(scope) as connection:
        sealed = None
        if delivery.profile is not None:
            sealed = seal(scope.merchant_id, "inbox.profile", delivery.webhook_id, msgspec.json.encode(delivery.profile))
        status = await connection.execute(
            """
            insert into inbox (
                merchant_id, webhook_id, topic, kind, parent, payload, profile, triggered_at, received_at, due_at, request_id
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) on conflict (merchant_id, webhook_id) do nothing
            """,
            scope.merchant_id,
            delivery.webhook_id,
            delivery.topic,
            delivery.kind.value,
            delivery.parent,
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
            select webhook_id, topic, parent, payload, profile, attempts, request_id, triggered_at from inbox
            where merchant_id = $1 and status = 'pending' and kind = $2 and due_at <= $3
            order by due_at limit $4 for update skip locked
            """,
            scope.merchant_id,
            kind.value,
            scope.at,
            limit,
        )
    return [Waiting(*row) for row in rows]


async def work_off(scope: Scope, kind: Kind, waiting: Sequence[Waiting]) -> int:
    """Book what claimed deliveries say and mark them done; those whose parent is not known are parked. Returns how many it woke.

    Precondition: the transaction that claimed them. What it books wakes those that were parked for it.
    Raises DomainError when one cannot be read: nothing of the batch is booked then, and the caller narrows it down.
    """
    ready, orphans = list(waiting), list[Waiting]()
    if kind in PARENTS:
        here = await known(scope, _parents(kind, waiting))
        ready = [one for one in waiting if one.parent in here]
        orphans = [one for one in waiting if one.parent not in here]
    woken = 0
    if ready:
        booked = await HANDLERS[kind](scope, ready)
        await _finish(scope, ready)
        woken = await wake(scope, booked)
    return woken + await _park(scope, orphans)


def _parents(kind: Kind, waiting: Sequence[Waiting]) -> set[str]:
    parents = {one.parent for one in waiting if one.parent is not None}
    if any(one.parent is None for one in waiting):
        of, path = PARENTS[kind]
        raise InvalidDelivery(f"It names no {of}.", field=tuple(path.split(".")))
    return parents


async def _finish(scope: Scope, waiting: Sequence[Waiting]) -> None:
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update inbox
            set status = 'done', payload = null, profile = null, attempts = attempts + 1,
                failure = null, failure_message = null, failure_path = null
            where merchant_id = $1 and webhook_id = any ($2)
            """,
            scope.merchant_id,
            [one.webhook_id for one in waiting],
        )


async def wake(scope: Scope, parents: Collection[str]) -> int:
    """Make due what was parked for these orders and customers (`order_key`, `customer_key`). Returns how many deliveries.

    Precondition: the transaction in which they were booked, and after that. Who parks at the same time is waited for, or waits
    and looks again, so that nothing stays parked for something that is known.
    """
    if not parents:
        return 0
    async with db.connection(scope) as connection:
        # By itself, so that the statement after it sees what was parked while this one waited.
        await connection.execute("select pg_advisory_xact_lock_shared(hashtextextended($1, 0))", _lock(scope))
        status = await connection.execute(
            "update inbox set status = 'pending', due_at = $2 where merchant_id = $1 and status = 'parked' and parent = any ($3)",
            scope.merchant_id,
            scope.at,
            list(parents),
        )
    return int(status.removeprefix("UPDATE "))


async def _park(scope: Scope, waiting: Sequence[Waiting]) -> int:
    """Set deliveries aside until their parents come. Those whose parent has come in the meantime stay due: returns how many."""
    if not waiting:
        return 0
    async with db.connection(scope) as connection:
        # Whoever books a parent holds this lock until it can be seen: after it, `known` is the last word.
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", _lock(scope))
        here = await known(scope, {one.parent for one in waiting if one.parent is not None})
        orphans = [one.webhook_id for one in waiting if one.parent not in here]
        await connection.execute(
            "update inbox set status = 'parked' where merchant_id = $1 and webhook_id = any ($2)", scope.merchant_id, orphans
        )
    return len(waiting) - len(orphans)


def _lock(scope: Scope) -> str:
    return f"{scope.merchant_id}/inbox/parents"


async def set_aside(scope: Scope, one: Waiting, failure: Failure, *, final: bool) -> None:
    """Count a failed attempt: the delivery waits longer each time, and is kept as failed after the last or a final one.

    Precondition: an open transaction.
    """
    attempts = one.attempts + 1
    last = final or attempts >= ATTEMPTS_MAX
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update inbox
            set attempts = $3, failure = $4, failure_message = $5, failure_path = $6, status = $7, due_at = $8
            where merchant_id = $1 and webhook_id = $2 and status = 'pending'
            """,
            scope.merchant_id,
            one.webhook_id,
            attempts,
            failure.code,
            failure.message,
            failure.path,
            "failed" if last else "pending",
            scope.at if last else scope.at + BACKOFF * 2 ** (attempts - 1),
        )


async def retry(scope: Scope, webhook_id: str) -> Received:
    """Make a delivery due again, whatever it waits for; audited. It gets one attempt, and is set aside again if that fails.

    Precondition: an open transaction. Refusals: NOT_FOUND, and DELIVERY_DONE for one that has been worked off.
    """
    async with db.connection(scope) as connection:
        # A worker that holds it is waited for, so that the answer tells what it has become.
        status = await connection.fetchval(
            "select status from inbox where merchant_id = $1 and webhook_id = $2 for update", scope.merchant_id, webhook_id
        )
        if status is None:
            raise NotFound("There is no such delivery.", field=("id",))
        if status == Status.DONE:
            raise DeliveryDone("The delivery has been worked off, and nothing is kept to run again.", field=("id",))
        await connection.execute(
            "update inbox set status = 'pending', due_at = $3 where merchant_id = $1 and webhook_id = $2",
            scope.merchant_id,
            webhook_id,
            scope.at,
        )
    await audit.record(scope, "webhookDeliveryRetry", f"delivery/{webhook_id}", before={"status": status})
    found = await by_webhook_id(scope, webhook_id)
    assert found is not None, "it is locked, and nobody deletes"
    return found


async def retry_all(scope: Scope, status: Status, topic: str | None) -> int:
    """Make all deliveries of a status, and of a topic if one is given, due again; audited. Returns how many.

    Precondition: an open transaction. Refusal: DELIVERY_DONE when asked for those that have been worked off.
    """
    if status is Status.DONE:
        raise DeliveryDone("What has been worked off is not kept to run again.", field=("filter", "status"))
    async with db.connection(scope) as connection:
        answer = await connection.execute(
            """
            update inbox set status = 'pending', due_at = $3
            where merchant_id = $1 and status = $2 and ($4::text is null or topic = $4)
            """,
            scope.merchant_id,
            status.value,
            scope.at,
            topic,
        )
    count = int(answer.removeprefix("UPDATE "))
    chosen = {"status": status.value, "topic": topic, "count": count}
    await audit.record(scope, "webhookDeliveriesRetry", "deliveries", after=chosen)
    return count
