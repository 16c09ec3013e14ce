"""`./dev.sh keys`: wrap everything by the present master key, and turn every merchant's keys, while everything runs."""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from domain import db, merchants, rotation
from domain.keyring import TURNED
from domain.log import configure
from domain.rotation import GRACE, State
from domain.scope import system
from domain.settings import settings

PAUSE_S = 15.0
"""How long to wait before looking again whether every process knows a new key."""

Tell = Callable[[str], None]


async def rewrap(ids: Sequence[UUID], tell: Tell) -> None:
    """Wrap keys and secrets anew that another master key wrapped. Afterwards that one is not needed any more."""
    count = await rotation.rewrap_platform()
    for merchant_id in ids:
        count += await rotation.rewrap(system(merchant_id))
    tell(f"{count:,} keys and secrets were wrapped anew by the present master key.")


async def turn(ids: Sequence[UUID], tell: Tell, grace: timedelta = GRACE) -> None:
    """Make a new key of every purpose for every merchant who is not getting one already."""
    for merchant_id in ids:
        for purpose in TURNED:
            await rotation.begin(system(merchant_id), purpose, grace)
    tell(f"{len(ids) * len(TURNED):,} keys are being turned.")


async def finish(ids: Sequence[UUID], tell: Tell, grace: timedelta = GRACE, pause_s: float = PAUSE_S) -> None:
    """Go on with every rotation until the old keys are gone. Killed, it is run again."""
    waiting = [(merchant_id, purpose) for merchant_id in ids for purpose in TURNED]
    while True:
        waiting = [one for one in waiting if await rotation.go_on(system(one[0]), one[1], grace) is State.WAITING]
        if not waiting:
            break
        tell(f"{len(waiting):,} keys wait until every process has read the new one, about {2 * grace} in all.")
        await asyncio.sleep(pause_s)
    tell("No key is being turned any more.")


async def run(*, turning: bool) -> None:
    """What the command does, on the database of the settings."""
    configured = settings()
    configure(development=configured.environment == "development")
    await db.open_database(configured.database_url, 2)
    try:
        ids = await merchants.every_id()
        await rewrap(ids, print)
        if turning:
            await turn(ids, print)
        await finish(ids, print)
    finally:
        await db.close_database()


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(prog="./dev.sh keys", description=__doc__)
    parser.add_argument("--turn", action="store_true", help="make new keys; without it only what was begun is gone on with")
    asyncio.run(run(turning=parser.parse_args().turn))


if __name__ == "__main__":
    main()
