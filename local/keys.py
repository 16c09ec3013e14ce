"""`./dev.sh keys`: wrap everything by the present master key, and turn every merchant's keys, while everything runs."""

import argparse
import asyncio
import sys
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


async def rewrap(ids: Sequence[UUID], tell: Tell) -> bool:
    """Wrap keys and secrets anew that another master key wrapped. Returns whether that one is not needed any more."""
    passes = [await rotation.rewrap_platform(), *[await rotation.rewrap(system(merchant_id)) for merchant_id in ids]]
    tell(f"{sum(one.rewritten for one in passes):,} keys and secrets were wrapped anew by the present master key.")
    damaged = sum(one.damaged for one in passes)
    if damaged:
        tell(f"{damaged:,} do not open, so that the previous master key must stay. ./dev.sh verify says where they are.")
    return not damaged


async def turn(ids: Sequence[UUID], tell: Tell, grace: timedelta = GRACE) -> None:
    """Make a new key of every purpose for every merchant who is not getting one already."""
    for merchant_id in ids:
        for purpose in TURNED:
            await rotation.begin(system(merchant_id), purpose, grace)
    tell(f"{len(ids) * len(TURNED):,} keys are being turned.")


async def finish(ids: Sequence[UUID], tell: Tell, grace: timedelta = GRACE, pause_s: float = PAUSE_S) -> bool:
    """Go on with every rotation until the old keys are gone. Killed, it is run again.

    Returns False when some had to stay, because not all that they sealed opens.
    """
    blocked: set[UUID] = set()
    waiting = [(merchant_id, purpose) for merchant_id in ids for purpose in TURNED]
    while True:
        states = [(one, await rotation.go_on(system(one[0]), one[1], grace)) for one in waiting]
        waiting = [one for one, state in states if state is State.WAITING]
        blocked |= {one[0] for one, state in states if state is State.BLOCKED}
        if not waiting:
            break
        tell(f"{len(waiting):,} keys wait until every process has read the new one, about {2 * grace} in all.")
        await asyncio.sleep(pause_s)
    if blocked:
        named = ", ".join(sorted(map(str, blocked)))
        tell(f"The old keys of {named} stay: not all that is sealed there opens. ./dev.sh verify says what; run this again then.")
        return False
    tell("No key is being turned any more.")
    return True


async def run(*, turning: bool) -> int:
    """What the command does, on the database of the settings. Returns its exit code: 1 when something does not open."""
    configured = settings()
    configure(development=configured.environment == "development")
    await db.open_database(configured.database_url, 2)
    try:
        ids = await merchants.every_id()
        is_whole = await rewrap(ids, print)
        if turning:
            await turn(ids, print)
        is_whole &= await finish(ids, print)
        return 0 if is_whole else 1
    finally:
        await db.close_database()


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(prog="./dev.sh keys", description=__doc__)
    parser.add_argument("--turn", action="store_true", help="make new keys; without it only what was begun is gone on with")
    sys.exit(asyncio.run(run(turning=parser.parse_args().turn)))


if __name__ == "__main__":
    main()
