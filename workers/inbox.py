"""Works off what Shopify has delivered."""

from domain import db, inbox
from domain.errors import DomainError
from domain.inbox import Kind, Waiting
from domain.log import log
from domain.scope import Scope
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 500


async def work_off(within: Scope) -> None:
    """Work off all that is due in the merchant's inbox, in batches, and ring for it.

    What is booked may wake deliveries that were parked for it, so it looks again until nothing is due that it can take.
    """
    worked = True
    while worked:
        worked = False
        for kind in await inbox.due(within.present()):
            worked |= await _drain(within, kind)


async def _drain(within: Scope, kind: Kind) -> bool:
    """Work off what is due of one kind. Returns whether there was anything that no other worker holds."""
    limit, taken = BATCH, False
    while True:
        now = within.present()
        worked = await _batch(now, kind, limit)
        if worked is None:
            # Something in the batch is broken: go one by one, so that only that one is set aside.
            limit = 1
            continue
        taken |= worked > 0
        await relay(now)
        if worked < limit:
            return taken


work_off_inbox = job("inbox.work_off")(work_off)


async def _batch(within: Scope, kind: Kind, limit: int) -> int | None:
    """Work off one batch. Returns its size, or None when a batch of several failed as a whole."""
    waiting: list[Waiting] = []

    async def act() -> None:
        waiting[:] = await inbox.claim(within, kind, limit)
        await inbox.work_off(within, kind, waiting)

    try:
        await in_transaction(within, act)
    except Exception as error:
        if not waiting:
            raise
        if len(waiting) > 1:
            log.warning("inbox.batch_failed", merchant_id=str(within.merchant_id), size=len(waiting), error=type(error).__name__)
            return None
        await _set_aside(within, waiting[0], error)
    return len(waiting)


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
        topic=one.topic,
        failure=failure.code,
        path=failure.path,
        exc_info=None if refused else error,
    )
