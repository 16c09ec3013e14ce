"""Expires points, and does at every local midnight what is done once a day: inactivity and warnings."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from logging import CRITICAL, ERROR, WARNING
from uuid import UUID

from domain import calendar, points, programs, schedules
from domain.inbox import failure_of
from domain.log import log
from domain.programs import ProgramVersion
from domain.scope import Scope
from workers.actions import mature as mature_claims
from workers.job import in_transaction, job
from workers.orders import mature
from workers.relay import relay

BATCH = 500
OFTEN, HOPELESS = 3, 6
"""From which attempt at one midnight on its failing is an error, and from which on somebody must look at once."""


async def expire(within: Scope) -> None:
    """Expire all lots of the merchant whose time has come, in batches, and ring for it."""
    while True:
        now = within.present()
        until = await schedules.reached(now, schedules.DAILY)
        expired = await in_transaction(now, lambda at=now, until=until: points.expire(at, BATCH, until))
        await relay(now)
        if expired < BATCH:
            return


expire_points = job("points.expire")(expire)


async def daily(within: Scope) -> None:
    """Do the work of every midnight that has come, one after the other, and then all that is due by now.

    Whatever was down in between, and however far a sandbox's clock has jumped: until a midnight's work is done nothing behind
    it is confirmed or expires, so that everything happens in the order in which it would have happened.

    What fails is written down and tried again after a while, longer each time: it is the merchant's own, and stops nobody else's.
    """
    while True:
        now = within.present()
        midnight = await schedules.next_due(now, schedules.DAILY)
        if midnight is None or midnight > now.at:
            await mature(within)
            await mature_claims(within)
            await expire(within)
            return
        attempt = await in_transaction(now, lambda at=now, midnight=midnight: schedules.begin(at, schedules.DAILY, midnight))
        if attempt == 0:
            # Another worker was first.
            continue
        try:
            await mature(within)
            await mature_claims(within)
            await expire(within)
            if _turns(await programs.history(now, now.at)):
                await _turn(within, midnight)
            else:
                await _move_on(now, midnight, now.at)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this merchant's, and is told
            await _put_off(within, midnight, attempt, error)
            return


async def _put_off(within: Scope, midnight: datetime, attempt: int, error: Exception) -> None:
    """Say that a midnight could not be worked off, louder the more often: nothing behind it is confirmed or expires meanwhile."""
    now, failure = within.present(), failure_of(error).code
    await in_transaction(now, lambda: schedules.fail(now, schedules.DAILY, midnight, failure))
    level = WARNING if attempt < OFTEN else ERROR if attempt < HOPELESS else CRITICAL
    log.log(
        level,
        "daily.put_off",
        merchant_id=str(within.merchant_id),
        midnight=midnight.isoformat(),
        attempt=attempt,
        failure=failure,
        exc_info=error,
    )


def _turns(history: Sequence[ProgramVersion]) -> bool:
    """Whether there is anything to do at midnights. Where no version ever asked for it, they need not be gone through."""
    return any(one.definition.inactivity_expires_after or one.definition.expiry_warning_days for one in history)


daily_work = job("points.daily")(daily)


async def _turn(within: Scope, midnight: datetime) -> None:
    now = within.present()
    live = await programs.in_force(now, midnight)
    rule = await points.inactivity(now, midnight)
    if rule is not None:
        await _each(within, lambda at, after: points.expire_inactive(at, rule, midnight, after, BATCH))
    if live is not None and live.definition.expiry_warning_days:
        until = points.horizon(live.definition, midnight)
        await _each(within, lambda at, after: points.warn_of_lots(at, until, after, BATCH))
        if rule is not None:
            await _each(within, lambda at, after: points.warn_of_inactivity(at, rule, until, after, BATCH))
    await _move_on(now, midnight, midnight)


async def _move_on(now: Scope, midnight: datetime, reached: datetime) -> None:
    """The work of a midnight is done, and the next one to look at is the first behind `reached`."""
    live = await programs.in_force(now, reached)
    zone = calendar.time_zone(live.definition.time_zone if live else "UTC")
    following = calendar.days_after(reached, 1, zone)
    await in_transaction(now, lambda: schedules.done(now, schedules.DAILY, midnight, following))


async def _each(within: Scope, act: Callable[[Scope, UUID | None], Awaitable[UUID | None]]) -> None:
    """Act on all customers concerned, in batches, each behind the last one of the batch before, and ring for it."""
    after: UUID | None = None
    while True:
        now = within.present()
        after = await in_transaction(now, lambda at=now, after=after: act(at, after))
        await relay(now)
        if after is None:
            return
