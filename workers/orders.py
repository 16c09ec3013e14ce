"""Confirms points whose hold has passed."""

from domain import orders
from domain.scope import Scope
from workers.job import in_transaction, job
from workers.relay import relay

BATCH = 500


async def mature(within: Scope) -> None:
    """Confirm all that has matured for the merchant, in batches, and ring for it."""
    while True:
        now = within.present()
        confirmed = await in_transaction(now, lambda at=now: orders.mature(at, BATCH))
        await relay(now)
        if confirmed < BATCH:
            return


mature_orders = job("orders.mature")(mature)
