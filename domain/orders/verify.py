"""Goes through every merchant's stored orders and holds each against its points, and what they come to towards goals against the
running totals: `python -m domain.orders.verify`."""

import argparse
import asyncio
import sys
from time import monotonic

from domain import actions, db, merchants
from domain.orders.replay import Drift, replay
from domain.scope import system
from domain.settings import settings

PROGRESS_S = 1.0


async def verify() -> int:
    """Go through every merchant's orders and say what is seen.

    The exit code is 0 when all is well, and 1 at the first order or total that comes to something else.
    """
    seen, began = 0, monotonic()
    told = began
    await db.open_database(settings().database_url, 1)
    try:
        for merchant_id in await merchants.every_id():
            async for page in replay(system(merchant_id)):
                seen += page.orders
                for drift in page.drifts[:1]:
                    sys.stdout.write(f"DRIFT order {drift.shopify_id} of merchant {merchant_id}: {_said(drift)}\n")
                    return 1
                if monotonic() - told > PROGRESS_S:
                    told = monotonic()
                    sys.stderr.write(f"{seen:,} orders, {seen / max(told - began, 1e-9):,.0f} orders/s …\n")
            for wrong in (await actions.wrong_totals(system(merchant_id)))[:1]:
                sys.stdout.write(
                    f"DRIFT goal {wrong.goal} of customer {wrong.customer_id} of merchant {merchant_id}: "
                    f"{wrong.kept} is kept as spent, and it comes to {wrong.summed}\n"
                )
                return 1
    finally:
        await db.close_database()
    sys.stdout.write(
        f"{seen:,} orders: each comes to the points, the reason and the explanation that are kept with it, "
        "and all together to what is kept as spent towards goals\n"
    )
    return 0


def _said(drift: Drift) -> str:
    if drift.kept[0] != drift.computed[0]:
        return f"{drift.kept[0]} points are kept, and it comes to {drift.computed[0]}"
    if not drift.adds_up:
        return "what is posted for it is not what it deserves"
    return "the points agree, and the explanation does not"


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m domain.orders.verify", description=__doc__).parse_args()
    sys.exit(asyncio.run(verify()))
