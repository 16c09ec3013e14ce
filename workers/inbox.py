"""Works off what Shopify has delivered."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from domain import db, inbox, merchants, scope
from domain.errors import DomainError
from domain.inbox import Kind, Waiting
from domain.log import log
from domain.scope import Scope
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 500

ROUNDS_MAX = 50
"""How often one job begins again before it lets the jobs of other merchants go first."""


async def work_off(within: Scope) -> None:
    """Work off all that is due in the merchant's inbox, in batches, and ring for it.

    What is booked may wake deliveries that were parked for it: then it looks again.
    """
    woken = True
    while woken:
        woken = False
        for kind in await inbox.due(within.present()):
            woken |= await _drain(within, kind)


_rung: dict[UUID, bool] = {}
"""The merchants whose inboxes this process is working off, and whether there was another ring since it last looked."""


async def work_off_alone(within: Scope) -> None:
    """Work off the inbox, unless a job of this process is at it: that one looks again then.

    So a busy merchant has one job in each process, whose batches are the larger the more comes, and not as many jobs as there are
    threads with an order each.
    """
    merchant_id = within.merchant_id
    if merchant_id in _rung:
        _rung[merchant_id] = True
        return
    try:
        for _ in range(ROUNDS_MAX):
            _rung[merchant_id] = False
            await work_off(within)
            if not _rung[merchant_id]:
                return
            # As a job of its own would: whoever rang may have advanced a sandbox's clock.
            within = scope.system(merchant_id, clock_offset=await merchants.clock_offset(merchant_id))
    finally:
        del _rung[merchant_id]
    await asyncio.to_thread(work_off_inbox.send, str(merchant_id))


work_off_inbox = job("inbox.work_off")(work_off_alone)


async def _drain(within: Scope, kind: Kind) -> bool:
    """Work off what is due of one kind. Returns whether that made anything due besides."""
    limit, woken = BATCH, 0
    while True:
        now = within.present()
        worked = await _batch(now, kind, limit)
        if worked is None:
            # Something in the batch is broken: go one by one, so that only that one is set aside.
            limit = 1
            continue
        if worked.size == BATCH:
            await _call_for_help(now)
        await relay(now)
        woken += worked.woken
        if worked.size < limit:
            return woken > 0


async def _call_for_help(within: Scope) -> None:
    """Ring once more after a whole batch: there is a backlog, and whoever is not at it takes the next batch of it.

    A message is taken by one process alone, and all that wait often by the same one: the others would have nothing to do.
    """
    await asyncio.to_thread(work_off_inbox.send, str(within.merchant_id))


@dataclass(frozen=True, slots=True)
class _Worked:
    """How many deliveries a batch had, and how many others are due because of it."""

    size: int
    woken: int


async def _batch(within: Scope, kind: Kind, limit: int) -> _Worked | None:
    """Work off one batch. Returns None when a batch of several failed as a whole."""
    waiting: list[Waiting] = []

    async def act() -> int:
        waiting[:] = await inbox.claim(within, kind, limit)
        return await inbox.work_off(within, kind, waiting)

    try:
        woken = await in_transaction(within, act)
    except Exception as error:
        if not waiting:
            raise
        if len(waiting) > 1:
            log.warning("inbox.batch_failed", merchant_id=str(within.merchant_id), size=len(waiting), error=type(error).__name__)
            return None
        await _set_aside(within, waiting[0], error)
        woken = 0
    else:
        if waiting:
            causes = sorted({one.request_id for one in waiting})
            log.info("inbox.worked", merchant_id=str(within.merchant_id), kind=kind.value, size=len(waiting), request_ids=causes)
    return _Worked(len(waiting), woken)


async def _set_aside(within: Scope, one: Waiting, error: Exception) -> None:
    # A refusal is the payload's own fault and final; anything else is ours, and may pass.
    refused = isinstance(error, DomainError)
    failure = inbox.failure_of(error)
    async with db.transaction(within):
        await inbox.set_aside(within, one, failure, final=refused)
    log.warning(
        "inbox.set_aside",
        merchant_id=str(within.merchant_id),
        webhook_id=one.webhook_id,
        request_ids=[one.request_id],
        topic=one.topic,
        failure=failure.code,
        path=failure.path,
        exc_info=None if refused else error,
    )
