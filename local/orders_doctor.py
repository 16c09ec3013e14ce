"""`./dev.sh orders-doctor`: what Shopify has and the ledger has not, order by order, and the entries that would mend it.

Shopify's orders come from a file, or from Shopify itself, by a bulk query with the shop's own token.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from domain import db, doctor, merchants, scope
from domain.doctor import SETTLED, Drift
from domain.log import configure
from domain.merchants import Merchant
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify import Shopify, bulk
from integrations.shopify.errors import ShopifyError
from local.errors import LocalError
from workers.doctor import Progress, examine

PROGRESS_S = 1.0


@dataclass(slots=True)
class Tally:
    """What was found, in figures."""

    causes: Counter[str] = field(default_factory=Counter[str])
    settled: int = 0
    entries: int = 0
    points: int = 0
    pending: int = 0

    def add(self, drift: Drift) -> None:
        """Count one more."""
        self.causes[drift.cause] += 1
        self.settled += drift.cause in SETTLED
        self.entries += len(drift.movements)
        self.points += sum(movement.points for movement in drift.movements)
        self.pending += sum(movement.pending for movement in drift.movements)


def told(drift: Drift) -> str:
    """A drift as lines for a person."""
    named = f"order {drift.shopify_id}" if drift.shopify_id else "no order"
    lines = [f"{named}  {drift.cause}: {drift.why}"]
    for movement in drift.movements:
        amounts = f"{movement.points:+,} points, {movement.pending:+,} pending"
        lines.append(f"    {amounts}, customer {movement.customer} ({movement.purpose})")
    if drift.cause in SETTLED and not drift.movements:
        lines.append("    no points move")
    return "\n".join(lines) + "\n"


def summary(shop: str, progress: Progress, tally: Tally, *, booked: bool) -> str:
    """The last words of a run."""
    head = f"{progress.orders:,} orders of {shop} compared"
    if not tally.causes:
        return f"{head}: Shopify and the ledger agree.\n"
    causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(tally.causes.items()))
    entries = f"{tally.points:+,} points and {tally.pending:+,} pending in {_entries(tally.entries)}"
    if booked:
        return f"{head}; {causes}. Booked: {entries}.\n"
    if tally.settled:
        return f"{head}; {causes}. To be booked: {entries}. The same command with --book books them.\n"
    return f"{head}; {causes}. There is nothing to book.\n"


def _entries(count: int) -> str:
    return "one entry" if count == 1 else f"{count:,} entries"


async def run(file: str | None, shop: str | None, *, book: bool, from_line: int) -> int:
    """Examine a file, or without one what Shopify has, and say what is seen.

    Returns the exit code: 0 when all agrees in the end, otherwise 1.
    """
    progress, tally = Progress(line=from_line), Tally()
    await db.open_database(settings().database_url, 2)
    try:
        merchant = await _merchant(shop)
        within = scope.system(merchant.id, clock_offset=merchant.clock_offset)
        async with AsyncExitStack() as stack:
            lines, shopify = await _asked(stack, within) if file is None else (_lines(stack, file), None)
            telling = asyncio.create_task(_tell(progress, tally, monotonic(), resumable=file is not None))
            stack.callback(telling.cancel)
            async for drift in examine(within, lines, progress, book=book, from_line=from_line, shopify=shopify):
                tally.add(drift)
                sys.stdout.write(told(drift))
    except ShopifyError as error:
        raise LocalError(f"Shopify gives no orders of {shop}. {error}") from error
    finally:
        await db.close_database()
    sys.stdout.write(summary(merchant.shop_domain, progress, tally, booked=book))
    return 0 if tally.causes.total() == (tally.settled if book else 0) else 1


async def _asked(stack: AsyncExitStack, within: Scope) -> tuple[BinaryIO, Shopify]:
    """What Shopify has, in a file that is gone with the run, and who can be asked for more.

    A file, because booking may take longer than Shopify sends.
    """
    shopify = Shopify()
    stack.push_async_callback(shopify.close)
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
    await bulk.fetch(shopify, within, doctor.QUERY.read_text(), file, _told_by_shopify)
    file.seek(0)
    return file, shopify


def _told_by_shopify(status: str, objects: int) -> None:
    sys.stderr.write(f"Shopify: {status.lower()}, {objects:,} objects …\n")


def _lines(stack: AsyncExitStack, file: str) -> Iterator[bytes]:
    if file == "-":
        return iter(sys.stdin.buffer)
    try:
        return stack.enter_context(Path(file).open("rb"))
    except OSError as error:
        raise LocalError(f"{file} cannot be read: {error.strerror}.") from error


async def _merchant(shop: str | None) -> Merchant:
    if shop is not None:
        found = await merchants.by_shop_domain(shop)
        if found is None:
            raise LocalError(f"There is no shop {shop}.")
        return found
    everybody = await merchants.every_id()
    found = await merchants.by_id(everybody[0]) if everybody else None
    if found is None:
        raise LocalError("There is no shop here yet.")
    if len(everybody) > 1:
        raise LocalError(f"There are {len(everybody)} shops here. Say which one, such as --shop {found.shop_domain}.")
    return found


async def _tell(progress: Progress, tally: Tally, began: float, *, resumable: bool) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        pace = progress.orders / max(monotonic() - began, 1e-9)
        drifting = tally.causes.total()
        resume = f"; --from-line {progress.line} goes on here" if resumable else ""
        sys.stderr.write(f"{progress.orders:,} orders, {drifting:,} drift, {pace:,.0f} orders/s{resume} …\n")


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="./dev.sh orders-doctor", description=__doc__)
    parser.add_argument(
        "file",
        nargs="?",
        help="Shopify's orders as JSON lines, of REST or of a bulk query; - is standard input; left out, Shopify is asked",
    )
    parser.add_argument(
        "--shop", metavar="DOMAIN", help="the shop, such as cedar.myshopify.com, where there are several or Shopify is asked"
    )
    parser.add_argument("--book", action="store_true", help="book what is found, and do not only show it")
    parser.add_argument("--from-line", type=int, default=1, metavar="N", help="go on with a run that stopped there")
    arguments = parser.parse_args()
    if arguments.file is None and arguments.shop is None:
        parser.error("name a file, or with --shop the shop whose orders Shopify is asked for")
    if arguments.file is None and arguments.from_line != 1:
        parser.error("--from-line goes on with a file")
    configure(development=settings().environment == "development")
    try:
        return asyncio.run(run(arguments.file, arguments.shop, book=arguments.book, from_line=arguments.from_line))
    except LocalError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
