"""Whether everything agrees at the end, as the doors tell it: balances, entries and orders."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local.demo.account import Account
from local.demo.client import Client

LEDGER = """
query ($customer: ID, $after: String) {
  customer(id: $customer) {
    pointsBalance pointsPending pointsVersion
    pointsTransactions(first: 100, after: $after) {
      nodes { version points pointsPending balanceAfter pendingAfter source sourceId }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

Found = dict[str, Any]
"""An order as GraphQL shows it."""


@dataclass
class Checked:
    """How much was looked at, and what was wrong, in sentences."""

    accounts: int = 0
    entries: int = 0
    orders: int = 0
    problems: list[str] = field(default_factory=list)


async def check(client: Client, accounts: Sequence[Account], orders: Sequence[Found]) -> Checked:
    """Read every account's ledger page by page and compare it with the balance, the subscription and the orders."""
    checked = Checked()
    booked: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for account in accounts:
        customer, entries = await _read(client, account)
        checked.accounts += 1
        checked.entries += len(entries)
        checked.problems += account.problems + _compare(account, customer, entries)
        for entry in entries:
            if entry["source"] == "order":
                points, pending = booked[account.id, entry["sourceId"]]
                booked[account.id, entry["sourceId"]] = points + entry["points"], pending + entry["pointsPending"]
    for found in orders:
        checked.orders += 1
        number = found["shopifyId"].rpartition("/")[2]
        in_ledger = booked.get((found["customerId"] or "", number), (0, 0))
        checked.problems += explained(found, in_ledger)
    return checked


async def _read(client: Client, account: Account) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The customer, and the entries up to the version that was read with the balance: later ones do not count yet."""
    customer = (await client.ask(account.token, LEDGER, customer=account.id))["customer"]
    page = customer["pointsTransactions"]
    entries: list[dict[str, Any]] = page["nodes"]
    while page["pageInfo"]["hasNextPage"]:
        later = await client.ask(account.token, LEDGER, customer=account.id, after=page["pageInfo"]["endCursor"])
        page = later["customer"]["pointsTransactions"]
        entries += page["nodes"]
    return customer, [entry for entry in entries if entry["version"] <= customer["pointsVersion"]]


def _compare(account: Account, customer: dict[str, Any], entries: Sequence[dict[str, Any]]) -> list[str]:
    problems: list[str] = []
    name, version = account.name, customer["pointsVersion"]
    figures = customer["pointsBalance"], customer["pointsPending"]
    sums = sum(entry["points"] for entry in entries), sum(entry["pointsPending"] for entry in entries)
    if sums != figures:
        problems.append(f"{name}: the balance and pending are {figures}, and the entries add up to {sums}")
    if sorted(entry["version"] for entry in entries) != list(range(1, version + 1)):
        problems.append(f"{name}: the entries are not numbered from 1 to {version}")
    if account.version == version and (account.balance, account.pending) != figures:
        problems.append(f"{name}: the subscription shows {(account.balance, account.pending)}, and the account {figures}")
    if (account.version or 0) < version:
        problems.append(f"{name}: the subscription is at version {account.version}, and the account at {version}")
    return problems


def explained(found: Found, in_ledger: tuple[int, int]) -> list[str]:
    """Whether an order's points, its explanation, what it says is booked, and the ledger are the same."""
    problems: list[str] = []
    name, points = found["shopifyId"], found["points"]
    trace_points = found["trace"]["points"] if found["trace"] else 0
    if trace_points != points:
        problems.append(f"{name}: has {points} points, and its explanation {trace_points}")
    if found["pointsConfirmed"] + found["pointsPending"] != points:
        problems.append(f"{name}: has {points} points, and {found['pointsConfirmed']} + {found['pointsPending']} booked")
    if in_ledger != (found["pointsConfirmed"], found["pointsPending"]):
        problems.append(
            f"{name}: the ledger has {in_ledger} for it, and it says {found['pointsConfirmed'], found['pointsPending']}"
        )
    return problems
