"""Confirms points whose hold has passed."""

from domain import orders, schedules
from domain.scope import Scope
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 500


async def mature(within: Scope) -> None:
    """Confirm all that has matured for the merchant, in batches, and ring for it.

    Not what matured behind a midnight whose work is still to be done: that would be taken for spendable at the midnight.
    """
    while True:
        now = within.present()
        until = await schedules.reached(now, schedules.DAILY)
        confirmed = await in_transaction(now, lambda at=now, until=until: orders.mature(at, BATCH, until))
        await relay(now)
        if confirmed < BATCH:
            return


mature_orders = job("orders.mature")(mature)
