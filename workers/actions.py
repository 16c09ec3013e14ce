"""Gives what is due for actions: birthdays that have begun, reviews that were told of, holds that have passed."""

from collections.abc import Awaitable, Callable

from domain import actions, schedules
from domain.scope import Scope
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 200


async def _all(within: Scope, act: Callable[[Scope, int], Awaitable[int]]) -> None:
    """Work in batches until nothing is due, and ring for it."""
    while True:
        now = within.present()
        worked = await in_transaction(now, lambda at=now: act(at, BATCH))
        await relay(now)
        if worked == 0:
            return


async def mature(within: Scope) -> None:
    """Confirm the points of claims whose hold has passed.

    Not what matured behind a midnight whose work is still to be done: that would be taken for spendable at the midnight.
    """

    async def act(now: Scope, limit: int) -> int:
        return await actions.mature(now, limit, await schedules.reached(now, schedules.DAILY))

    await _all(within, act)


async def give(within: Scope) -> None:
    """Give for birthdays, also for those that began while nobody looked.

    Not while a midnight's work is still to be done: who is given something is active, and was not at that midnight. The sweeper
    finds the birthdays again when it is done.
    """
    now = within.present()
    if await schedules.reached(now, schedules.DAILY) == now.at:
        await _all(within, actions.give_birthdays)


async def settle(within: Scope) -> None:
    """Give for reviews, and take back what was given for those that are not published any more."""
    await _all(within, actions.settle_reviews)


mature_claims = job("actions.mature")(mature)
give_birthdays = job("actions.give_birthdays")(give)
settle_reviews = job("actions.settle_reviews")(settle)
