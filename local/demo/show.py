"""What the demo shows: the story above, the balances below. Where there is no terminal, lines alone."""

import math
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.demo.account import Account, Entry
from local.demo.client import Shop
from local.demo.day import Happening

FLASH_SECONDS = 0.8
SYMBOLS = {"USD": "$", "JPY": "¥"}
REASONS = {
    "TEST_ORDER": "a test order",
    "NO_CUSTOMER": "a guest, and nobody to give them to",
    "PROGRAM_OFF": "the program is off",
    "NO_PROGRAM": "there was no program yet",
    "NOTHING_ELIGIBLE": "nothing in it earns",
}


class Screen:
    """The terminal of one demo. On leaving, the terminal is as it was."""

    def __init__(self, shops: Sequence[Shop], accounts: Sequence[Account], console: Console) -> None:
        self.console = console
        self._shops = shops
        self._accounts = accounts
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self.balances, console=self.console, refresh_per_second=10)
            self._live.start(refresh=True)
        else:
            self.console.print(self.balances())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
        elif kind is None:
            self.console.print(self.balances())

    def balances(self) -> Table:
        """The customers as they stand now. What has just changed is lit."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("Shop", "Customer"):
            table.add_column(name, style="dim")
        for name in ("Balance", "Pending", "Entries"):
            table.add_column(name, justify="right")
        table.add_column("")
        for account in self._accounts:
            lit = self.console.is_terminal and time.monotonic() - account.changed < FLASH_SECONDS
            shop = self._shops[account.shop]
            table.add_row(
                shop["name"],
                account.name,
                Text(f"{account.balance:,} {shop['points_name']}", "bold black on green" if lit else "bold"),
                Text(f"{account.pending:,}", "black on yellow" if lit else "yellow" if account.pending else "dim"),
                Text(f"{account.version or 0:,}", "dim"),
                Text("" if account.connected else "reconnecting", "red"),
            )
        return table

    def line(self, *parts: tuple[str, str]) -> None:
        """A line of the story, from parts of text with a style each. It stays on one line of a terminal."""
        text = Text.assemble((f"{datetime.now().astimezone():%H:%M:%S} ", "dim"), *parts)
        text.rstrip()
        if self.console.is_terminal:
            self.console.print(text, no_wrap=True, overflow="ellipsis", highlight=False)
        else:
            self.console.print(text, soft_wrap=True, highlight=False)

    def say(self, text: str) -> None:
        """A line about the machinery."""
        self.line((text, "magenta"))

    def moved(self, happening: Happening, who: str, entry: Entry, latency: float | None) -> None:
        """An entry arrived for something that was sent; `latency` in seconds, None when it is not known."""
        self.line(
            (self._beginning(happening), ""),
            (f"{'' if latency is None else f'{latency * 1000:,.0f} ms':>10}  ", "cyan"),
            (
                f"{movement(entry, self._shops[happening.shop]['points_name']):<29}",
                "bold green" if entry["points"] > 0 else "yellow",
            ),
            (f"{who}  ", ""),
            (happening.note, "dim"),
        )

    def earned_nothing(self, happening: Happening, reason: str | None) -> None:
        """Something that was sent earns nothing, and why."""
        why = REASONS.get(reason or "", reason or "no reason was recorded")
        self.line((f"{self._beginning(happening)}{'':12}", ""), (f"no points: {why}", "red"))

    def repeated(self, happening: Happening) -> None:
        """A delivery came twice."""
        self.line((f"{self._beginning(happening)}{'':12}the same delivery again: answered, nothing done", "dim"))

    def other(self, account: Account, entry: Entry) -> None:
        """An entry arrived that this demo has not caused."""
        shop = self._shops[account.shop]
        moved = movement(entry, shop["points_name"])
        self.line((f"{shop['name']:<14}{moved}  {account.name}  {entry['source']} {entry['sourceId']}, not of this run", "dim"))

    def _beginning(self, happening: Happening) -> str:
        """The shop, the order and its amount, in columns, so that 80 columns hold a line up to the points."""
        shop = self._shops[happening.shop]
        amount = "" if happening.amount is None else in_currency(happening.amount, shop["currency"])
        return f"{shop['name']:<14}{happening.name:<7}{amount:>10}"


def movement(entry: Entry, plural: str) -> str:
    """What an entry did, in words: "+1,000 Stars", "+75 Petals pending"."""
    points, pending = entry["points"], entry["pointsPending"]
    if pending == 0:
        return f"{points:+,} {plural}"
    if points == 0:
        return f"{pending:+,} {plural} pending"
    if points == -pending:
        return f"{points:+,} {plural}, pending before"
    return f"{points:+,} {plural} and {pending:+,} pending"


def in_currency(amount: str, currency: str) -> str:
    """An amount as people write it: ("1234.50", "USD") is "$1,234.50"."""
    whole, dot, decimals = amount.partition(".")
    grouped = f"{int(whole):,}{dot}{decimals}"
    return f"{SYMBOLS[currency]}{grouped}" if currency in SYMBOLS else f"{grouped} {currency}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank). There must be one."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]
