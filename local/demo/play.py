"""The play: everything is sent at its time, heard as it comes, and compared at the end."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from local.configuration import DEMO
from local.demo.account import Account, Entry, follow, ready
from local.demo.check import Checked, Found, check
from local.demo.client import START_AGAIN, Client, Shop
from local.demo.day import Day, Happening, make_day
from local.demo.show import Screen, percentile
from local.errors import LocalError

PLAY_SECONDS = 22
"""How long a day takes: with the last events, between 20 and 30 seconds."""

AT_ONCE = 16
"""How many questions and deliveries are under way at the same time."""

SILENCE_SECONDS = 3.0
GIVE_UP_SECONDS = 60.0
OPEN_SECONDS = 10.0
PROBLEMS_SHOWN = 20

NOT_RUNNING = "LoyalNest is not running. Start it by ./dev.sh up, or ./dev.sh up --detach, and run this again."

SHOP = "{ program { definition { pointsName { plural } signupPoints } } }"
OWN = "{ customer { id firstName lastName shopifyId } }"
JOINED = "query ($number: ID) { customer(shopifyId: $number) { id } }"
ORDER = """
query ($number: ID!) {
  order(shopifyId: $number) {
    shopifyId customerId paidAt points pointsConfirmed pointsPending reason trace { points }
  }
}
"""


@dataclass
class Progress:
    """How far one happening has come.

    answers: when each delivery was answered, in seconds of `time.perf_counter`. entries: what the subscriptions brought.
    found: the order as it stands, once it agrees with the entries; for a signup, the entry.
    """

    happening: Happening
    answers: list[float] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    sent: float | None = None
    found: Found | None = None


@dataclass
class Play:
    """All that one demo knows."""

    shops: list[Shop]
    accounts: list[Account]
    client: Client
    socket_url: str
    screen: Screen
    group: asyncio.TaskGroup
    every: dict[tuple[int, str, str], Progress]
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    followers: list[asyncio.Task[None]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    repeated: int = 0
    problems: list[str] = field(default_factory=list)
    # When an event or an agreement came last, in seconds of time.monotonic.
    moved: float = field(default_factory=time.monotonic)

    def open(self, account: Account) -> None:
        """Follow an account from now on."""
        if account not in self.accounts:
            self.accounts.append(account)
        self.followers.append(self.group.create_task(follow(account, self.socket_url, self.hear)))

    def hear(self, account: Account, entry: Entry, received: float) -> None:
        """Note an entry that a subscription brought, and show it."""
        self.moved = time.monotonic()
        progress = self.every.get((account.shop, entry["source"], entry["sourceId"]))
        if progress is None:
            self.screen.other(account, entry)
            return
        # An order's first entry is counted from the answer to its first delivery, the second from the second. Not counted are
        # those that overtake their answer, because that was lost and asked for again, and those from before the subscription.
        place = len(progress.entries)
        answered = progress.answers[place] if place < len(progress.answers) else None
        counts = answered is not None and account.opened is not None and account.opened < answered
        latency = received - answered if answered is not None and counts else None
        if latency is not None:
            self.latencies.append(latency)
        progress.entries.append(entry)
        progress.news.set()
        self.screen.moved(progress.happening, account.name, entry, latency)


def demo(orders: int, *, fast: bool = False, path: Path = DEMO) -> int:
    """Play a day of so many orders against the LoyalNest that `path` names. Returns the exit code: 0 when all agrees.

    fast: without pauses. Raises LocalError when LoyalNest is not there or refuses, and KeyboardInterrupt when interrupted.
    """
    try:
        place = json.loads(path.read_text())
    except FileNotFoundError:
        raise LocalError(NOT_RUNNING) from None
    except ValueError as error:
        raise LocalError(f"{path} is damaged ({error}). {START_AGAIN}") from error
    try:
        return asyncio.run(_run(place, orders, 0.0 if fast else PLAY_SECONDS / orders))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(place: dict[str, Any], orders: int, gap: float) -> int:
    this = asyncio.current_task()
    assert this is not None, "asyncio.run made it"
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does it, so that the terminal is left clean.
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    console = Console(highlight=False)
    # A sandbox lives in a time of its own, and its orders would not be of today.
    shops: list[Shop] = [shop for shop in place["merchants"] if not shop["sandbox"]]
    accounts: list[Account] = []
    screen = Screen(shops, accounts, console)
    client = Client(place["graphql_url"], place["webhook_url"], screen.say)
    try:
        accounts += await _meet(client, shops)
        happenings = make_day(_day(shops), orders)
        names = " and ".join(escape(shop["name"]) for shop in shops)
        console.print(f"\n  A day of {orders:,} orders at {names}, signed and sent as Shopify does.\n", soft_wrap=True)
        async with asyncio.TaskGroup() as group:
            every = {(one.shop, one.source, str(one.number)): Progress(one) for one in happenings}
            play = Play(shops, accounts, client, place["websocket_url"], screen, group, every)
            checked = await _play(play, gap)
    except* LocalError as errors:
        raise _first(errors) from None
    finally:
        await client.close()
    return _summarise(console, play, checked)


def _first(errors: BaseExceptionGroup[LocalError]) -> LocalError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _meet(client: Client, shops: Sequence[Shop]) -> list[Account]:
    """The customers of the demo, and what their shops call points."""
    if not await client.answers():
        raise LocalError(NOT_RUNNING)
    accounts: list[Account] = []
    for index, shop in enumerate(shops):
        program = (await client.ask(shop["staff_token"], SHOP))["program"]
        shop["points_name"] = program["definition"]["pointsName"]["plural"] if program else "points"
        shop["signup_points"] = program["definition"]["signupPoints"] if program else 0
        for given in shop["customers"]:
            own = (await client.ask(given["token"], OWN))["customer"]
            if own is None:
                raise LocalError(f"A customer of .loyalnest/demo.json is not in the database. {START_AGAIN}")
            name = f"{own['firstName'] or ''} {own['lastName'] or ''}".strip() or own["shopifyId"].rpartition("/")[2]
            accounts.append(Account(index, own["id"], name, given["token"]))
    return accounts


def _day(shops: Sequence[Shop]) -> Day:
    customers = [[int(given["shopify_id"].rpartition("/")[2]) for given in shop["customers"]] for shop in shops]
    return Day(customers, [shop["currency"] for shop in shops], datetime.now().astimezone(), random.Random())  # noqa: S311


async def _play(play: Play, gap: float) -> Checked:
    for account in list(play.accounts):
        play.open(account)
    for account in play.accounts:
        await ready(account, OPEN_SECONDS)
    with play.screen:
        tellings = [
            play.group.create_task(_tell(play, progress, index * gap, gap)) for index, progress in enumerate(play.every.values())
        ]
        await _until_agreed(play, tellings)
        found = [one.found for one in play.every.values() if one.found is not None and one.happening.source == "order"]
        checked = await check(play.client, play.accounts, found)
    for task in [*tellings, *play.followers]:
        task.cancel()
    return checked


async def _tell(play: Play, progress: Progress, after: float, gap: float) -> None:
    """Send one happening's deliveries, and wait until what they led to agrees."""
    await asyncio.sleep(after)
    happening = progress.happening
    sent: set[str] = set()
    for delivery in happening.deliveries:
        if sent:
            # Later enough that others come in between.
            await asyncio.sleep(gap * 3)
        async with play.gate:
            status, answered = await play.client.deliver(play.shops[happening.shop], delivery)
        progress.answers.append(answered)
        if delivery.webhook_id in sent:
            play.repeated += 1
            play.screen.repeated(happening)
            if status != "duplicate":
                play.problems.append(f"{happening.name}: the same delivery again was answered as {status}")
        sent.add(delivery.webhook_id)
    progress.sent = time.monotonic()
    progress.found = await (_joined if happening.source == "signup" else _agreed)(play, progress)
    play.moved = time.monotonic()


async def _agreed(play: Play, progress: Progress) -> Found:
    """The order, as soon as it has taken in all that was sent and the entries that came add up to what it says is booked."""
    happening = progress.happening
    token = play.shops[happening.shop]["staff_token"]
    pause = 0.05
    while True:
        await _news(progress, pause)
        pause = min(pause * 2, 2.0)
        async with play.gate:
            found = (await play.client.ask(token, ORDER, number=str(happening.number)))["order"]
        if found is None or (happening.paid and found["paidAt"] is None):
            continue
        heard = sum(entry["points"] for entry in progress.entries), sum(entry["pointsPending"] for entry in progress.entries)
        if heard == (found["pointsConfirmed"], found["pointsPending"]):
            if found["points"] == 0:
                play.screen.earned_nothing(happening, found["reason"])
            return found


async def _joined(play: Play, progress: Progress) -> Found:
    """The signup's entry. The newcomer has no token yet, so staff watch the account, from its first entry on."""
    happening = progress.happening
    shop = play.shops[happening.shop]
    while True:
        async with play.gate:
            customer = (await play.client.ask(shop["staff_token"], JOINED, number=str(happening.number)))["customer"]
        if customer is not None:
            break
        await asyncio.sleep(0.05)
    names = happening.deliveries[0].body
    name = f"{names['first_name']} {names['last_name']}"
    play.open(Account(happening.shop, customer["id"], name, shop["staff_token"], version=0))
    while shop["signup_points"] and not progress.entries:
        await _news(progress, 1.0)
    if not progress.entries:
        play.screen.earned_nothing(happening, "the program gives none for it")
    return progress.entries[0] if progress.entries else {}


async def _news(progress: Progress, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(progress.news.wait(), seconds)
    progress.news.clear()


async def _until_agreed(play: Play, tellings: Sequence[asyncio.Task[None]]) -> None:
    """Wait until everything agrees, or nothing has come for GIVE_UP_SECONDS while something is missing."""
    silent_since: float | None = None
    while not all(task.done() for task in tellings):
        await asyncio.wait(tellings, timeout=0.25)
        missing = [one.sent for one in play.every.values() if one.sent is not None and one.found is None]
        now = time.monotonic()
        heard = max([play.moved, *([min(missing)] if missing else [now])])
        if now - heard > GIVE_UP_SECONDS:
            return
        if now - heard > SILENCE_SECONDS and silent_since is None:
            silent_since = heard
            play.screen.say(
                f"nothing has come for {SILENCE_SECONDS:.0f} s; {len(missing)} of those sent are stored and wait. "
                f"What a dead worker or Redis held is sent anew after 30 s: waiting up to {GIVE_UP_SECONDS:.0f} s"
            )
        elif silent_since is not None and heard > silent_since + SILENCE_SECONDS:
            play.screen.say(f"it goes on, after {heard - silent_since:.1f} s")
            silent_since = None


def _summarise(console: Console, play: Play, checked: Checked) -> int:
    """Print the figures and what was wrong. Returns the exit code."""
    every = list(play.every.values())
    missing = [f"{one.happening.name}: what it led to did not all arrive" for one in every if one.found is None]
    problems = play.problems + checked.problems + missing
    deliveries = sum(len(one.answers) for one in every)
    events = sum(account.events for account in play.accounts)
    again = sum(account.connections - 1 for account in play.accounts)
    orders = sum(1 for one in every if one.happening.source == "order")
    signup = " and 1 signup" if len(every) > orders else ""
    lines = [
        f"  Sent      {orders:,} orders{signup} in {deliveries:,} deliveries, {play.repeated} of them a second time",
        f"  Received  {events:,} events over {len(play.accounts)} subscriptions",
    ]
    if again or play.client.sent_again:
        lines.append(f"  Away      attempts that found no API: {play.client.sent_again}, connections opened again: {again}")
    if play.latencies:
        p50, p99 = (f"{percentile(play.latencies, percent) * 1000:,.0f} ms" for percent in (50, 99))
        lines.append(f"  Latency   p50 {p50}, p99 {p99} from answer to event ({len(play.latencies):,} events)")
    lines.append(
        f"  Checked   {checked.accounts} balances against {checked.entries:,} entries, "
        f"{checked.orders:,} orders against explanation and entries"
    )
    lines += [f"  [red]Wrong[/]     {escape(problem)}" for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"  [red]Wrong[/]     and {len(problems) - PROBLEMS_SHOWN:,} more")
    if missing:
        lines.append(
            "  What is missing is not lost: it waits in the inbox. Why nobody works it off is in .loyalnest/logs/workers.log"
        )
    lines.append("  [bold red]Not everything agrees.[/]" if problems else "  [bold green]Everything arrived and agrees.[/]")
    for line in ["", *lines, ""]:
        console.print(line, soft_wrap=True)
    return 1 if problems else 0
