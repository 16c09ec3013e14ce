"""The shape of a job: one merchant, a scope, transactions that are run again when they collide, and the relay after it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import dramatiq
import structlog

from domain import db, merchants, scope
from domain.log import log
from domain.scope import Scope
from workers.broker import OWN, QUEUES, broker

COLLISIONS_MAX = 5

R = TypeVar("R")
Work = Callable[[Scope], Awaitable[None]]


def job(name: str, queue: str = OWN) -> Callable[[Work], "dramatiq.Actor[Any, Any]"]:
    """Make `work(scope)` a job that is sent as `work.send(str(merchant_id))`.

    Every line that is logged meanwhile names the job, and the requests that have caused it where they are known (`causes`).
    Where one process works off both queues, what needs our own servers alone goes first.

    The scope is at the merchant's present instant; work that goes on for long asks `scope.present()` anew for each transaction.
    """

    def declare(work: Work) -> "dramatiq.Actor[Any, Any]":
        async def run(merchant_id: str, causes: Sequence[str] = ()) -> None:
            told = {"request_ids": list(causes)} if causes else {}
            with structlog.contextvars.bound_contextvars(job=name, merchant_id=merchant_id, **told):
                try:
                    offset = await merchants.clock_offset(UUID(merchant_id))
                    await work(scope.system(UUID(merchant_id), clock_offset=offset))
                except Exception:
                    log.exception("job.failed")
                    raise
                if causes:
                    log.info("job.done")

        return dramatiq.actor(actor_name=name, queue_name=queue, priority=QUEUES.index(queue), broker=broker)(run)

    return declare


async def in_transaction(within: Scope, act: Callable[[], Awaitable[R]]) -> R:
    """Run `act` in a transaction, and again when it collides with another worker's."""
    for attempt in range(1, COLLISIONS_MAX + 1):
        try:
            async with db.transaction(within):
                return await act()
        except db.COLLISIONS as error:
            if attempt == COLLISIONS_MAX:
                raise
            log.info("job.collision", attempt=attempt, error=type(error).__name__, merchant_id=str(within.merchant_id))
    raise AssertionError("the last attempt returns or raises")
