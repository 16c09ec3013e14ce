"""The demo: its words and sums by themselves, and the whole of it against real processes."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.demo import demo
from local.demo.account import Account
from local.demo.check import check, explained
from local.demo.client import Client
from local.demo.show import in_currency, movement, percentile
from local.errors import LocalError
from tests.conftest import ROOT
from tests.e2e.processes import running

PLAY = """
import signal, sys
from pathlib import Path
from local.demo import demo
# Whoever starts the tests in the background has Ctrl-C ignored, and that is handed down.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    sys.exit(demo(int(sys.argv[2]), fast=sys.argv[3] == "fast", path=Path(sys.argv[1])))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("points", "pending", "words"),
    [
        (1000, 0, "+1,000 Stars"),
        (-5, 0, "-5 Stars"),
        (0, 75, "+75 Stars pending"),
        (75, -75, "+75 Stars, pending before"),
        (70, -75, "+70 Stars and -75 pending"),
    ],
)
def test_a_movement_in_words(points: int, pending: int, words: str) -> None:
    assert movement({"points": points, "pointsPending": pending}, "Stars") == words


def test_amounts_in_their_currency() -> None:
    assert in_currency("1234567.50", "USD") == "$1,234,567.50"
    assert in_currency("23847", "JPY") == "¥23,847"
    assert in_currency("1.500", "KWD") == "1.500 KWD"


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(value) for value in range(1, 101)], 99) == 99.0
    assert percentile([7.0], 99) == 7.0


def found(**changes: Any) -> dict[str, Any]:
    order = {"shopifyId": "gid://shopify/Order/1", "points": 10, "pointsConfirmed": 10, "pointsPending": 0}
    return order | {"trace": {"points": 10}} | changes


def test_an_order_that_agrees() -> None:
    assert explained(found(), (10, 0)) == []
    assert explained(found(points=0, pointsConfirmed=0, trace=None), (0, 0)) == []


@pytest.mark.parametrize(
    ("order", "in_ledger", "problem"),
    [
        (found(trace={"points": 9}), (10, 0), "has 10 points, and its explanation 9"),
        (found(trace=None), (10, 0), "has 10 points, and its explanation 0"),
        (found(pointsConfirmed=9), (9, 0), "has 10 points, and 9 + 0 booked"),
        (found(), (10, 1), "the ledger has (10, 1) for it, and it says (10, 0)"),
    ],
)
def test_an_order_that_does_not_agree(order: dict[str, Any], in_ledger: tuple[int, int], problem: str) -> None:
    assert explained(order, in_ledger) == [f"gid://shopify/Order/1: {problem}"]


async def test_a_delivery_is_sent_again_until_it_is_answered() -> None:
    answers = [httpx.ConnectError("gone"), httpx.Response(503), httpx.Response(200, json={"data": {"x": 1}})]
    said: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token"
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    client = Client("http://loyalnest.test/graphql", "", said.append, httpx.MockTransport(answer))
    assert await client.ask("token", "{ x }") == {"x": 1}
    assert (answers, client.sent_again) == ([], 2)
    assert said == [
        "the API does not answer (ConnectError); what it has not answered is sent again, as Shopify does",
        "the API answers again",
    ]
    await client.close()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(401), "The tokens in .loyalnest/demo.json are not valid any more."),
        (httpx.Response(200, json={"errors": [{"message": "no"}]}), "GraphQL refused a question"),
    ],
)
async def test_a_refused_question_is_an_error(answer: httpx.Response, problem: str) -> None:
    client = Client("http://loyalnest.test/graphql", "", print, httpx.MockTransport(lambda _: answer))
    with pytest.raises(LocalError, match=problem):
        await client.ask("token", "{ x }")
    await client.close()


class Ledger:
    """GraphQL's answer for one customer, two entries to a page."""

    def __init__(self, *entries: tuple[int, int], balance: int, pending: int = 0, version: int | None = None) -> None:
        self.nodes = [
            {"version": place, "points": points, "pointsPending": pending, "source": "order", "sourceId": str(place)}
            for place, (points, pending) in enumerate(entries, 1)
        ][::-1]
        self.figures = {
            "pointsBalance": balance,
            "pointsPending": pending,
            "pointsVersion": len(entries) if version is None else version,
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        variables = json.loads(request.content)["variables"]
        assert variables["customer"] == "gid"
        start = int(variables.get("after") or 0)
        page = {"hasNextPage": start + 2 < len(self.nodes), "endCursor": str(start + 2)}
        transactions = {"nodes": self.nodes[start : start + 2], "pageInfo": page}
        return httpx.Response(200, json={"data": {"customer": {**self.figures, "pointsTransactions": transactions}}})


async def checked(ledger: Ledger, account: Account, *orders: dict[str, Any]) -> tuple[int, list[str]]:
    client = Client("http://loyalnest.test/graphql", "", print, httpx.MockTransport(ledger))
    result = await check(client, [account], orders)
    await client.close()
    assert (result.accounts, result.orders) == (1, len(orders))
    return result.entries, result.problems


async def test_a_ledger_that_agrees_is_read_to_its_end() -> None:
    ledger = Ledger((10, 0), (0, 7), (7, -7), (5, 0), (1, 0), balance=23)
    account = Account(0, "gid", "Bob", "token", version=5, balance=23)
    assert await checked(ledger, account, found(customerId="gid")) == (5, [])


async def test_entries_from_after_the_balance_was_read_do_not_count() -> None:
    ledger = Ledger((10, 0), (5, 0), (9, 0), balance=15, version=2)
    assert await checked(ledger, Account(0, "gid", "Bob", "token", version=3, balance=24)) == (2, [])


@pytest.mark.parametrize(
    ("ledger", "account", "problems"),
    [
        (
            Ledger((10, 0), (5, 2), balance=16, pending=2),
            Account(0, "gid", "Bob", "token", version=2, balance=16, pending=2),
            ["Bob: the balance and pending are (16, 2), and the entries add up to (15, 2)"],
        ),
        (
            Ledger((10, 0), (5, 0), balance=15),
            Account(0, "gid", "Bob", "token", version=2, balance=14),
            ["Bob: the subscription shows (14, 0), and the account (15, 0)"],
        ),
        (
            Ledger((10, 0), (5, 0), balance=15),
            Account(0, "gid", "Bob", "token", version=1, balance=10, problems=["Bob: something was missed"]),
            ["Bob: something was missed", "Bob: the subscription is at version 1, and the account at 2"],
        ),
        (
            Ledger((10, 0), (5, 0), balance=15, version=3),
            Account(0, "gid", "Bob", "token", version=3, balance=15),
            ["Bob: the entries are not numbered from 1 to 3"],
        ),
    ],
)
async def test_a_ledger_that_does_not_agree(ledger: Ledger, account: Account, problems: list[str]) -> None:
    assert (await checked(ledger, account))[1] == problems


async def test_an_order_that_the_ledger_has_otherwise() -> None:
    account = Account(0, "gid", "Bob", "token", version=1, balance=9)
    order = found(customerId="gid")
    assert await checked(Ledger((9, 0), balance=9), account, order) == (
        1,
        ["gid://shopify/Order/1: the ledger has (9, 0) for it, and it says (10, 0)"],
    )


def test_without_a_running_loyalnest_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"not running. Start it by ./dev.sh up"):
        demo(1, path=tmp_path / "demo.json")
    nowhere = {"graphql_url": "http://127.0.0.1:9/graphql", "webhook_url": "", "websocket_url": "", "merchants": []}
    (tmp_path / "demo.json").write_text(json.dumps(nowhere))
    with pytest.raises(LocalError, match=r"not running. Start it by ./dev.sh up"):
        demo(1, path=tmp_path / "demo.json")


def test_the_whole_demo(tmp_path: Path, database: str, redis_url: str) -> None:
    place = tmp_path / "demo.json"
    with running() as application:
        application.environment.update(DATABASE_URL=database, REDIS_URL=redis_url)
        place.write_text(application.seed())
        application.start("api")
        application.start("workers")
        asyncio.run(application.ready())

        done = subprocess.run(
            [sys.executable, "-c", PLAY, str(place), "20", "fast"], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"#1001 +\$100\.00 +[\d,]+ ms  \+1,000 Stars +Bob Norman", done.stdout)
        assert "no points: a test order" in done.stdout
        assert "Sent      20 orders and 1 signup in 24 deliveries, 1 of them a second time" in done.stdout
        assert "20 orders against explanation and entries" in done.stdout
        assert "Everything arrived and agrees." in done.stdout
        # Where there is no terminal, there is nothing but text.
        assert "\x1b" not in done.stdout

        code, shown = interrupted(place)
        assert code == 130
        # The cursor was hidden while the balances were live, and is back.
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
        assert "Traceback" not in shown


def interrupted(place: Path) -> tuple[int, str]:
    """Run the demo on a terminal, press Ctrl-C when the balances are live, and return the exit code and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PLAY, str(place), "24", "slow"],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = ""
    pressed = False
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:
            # How Linux tells that the other end is closed.
            break
        if not read:
            break
        shown += read.decode(errors="replace")
        if "\x1b[?25l" in shown and not pressed:
            process.send_signal(signal.SIGINT)
            pressed = True
    os.close(ours)
    return process.wait(), shown
