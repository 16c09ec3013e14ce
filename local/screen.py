"""What `up` shows on the terminal."""

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.configuration import DEMO, LOGS
from local.prepare import ROOT

QUERY = "{ customers(first: 2) { nodes { id firstName pointsBalance } } }"

_console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One calm line about what is going on."""
    _console.print(Text(f"  {text}", style="dim"))
    sys.stdout.flush()


def show_ready(base_url: str, *, in_foreground: bool) -> None:
    """Show where everything is, a first query to paste, and how to stop."""
    _console.print()
    _console.print(Text("  LoyalNest is up", style="bold green"))
    _console.print()
    _console.print(_places(base_url))
    _console.print()
    _console.print(Text("  A first query:", style="bold"))
    _console.print()
    # Plain and unwrapped, so that it can be copied as it stands.
    _console.print(Text(first_query(base_url)), soft_wrap=True)
    _console.print()
    _console.print("  [bold]./dev.sh demo[/] sends a day of orders and shows balances moving.")
    _console.print("  [bold]sandboxClockAdvance(days: 14)[/], asked as Juniper Lab's staff, moves the sandbox's clock.")
    if in_foreground:
        _console.print("  [bold]Ctrl-C[/] stops everything. What the API and the workers say follows.")
    else:
        _console.print("  [bold]./dev.sh down[/] stops everything.")
    _console.print()


def first_query(base_url: str) -> str:
    """A complete curl command that asks as the first demo merchant's staff."""
    token = json.loads(DEMO.read_text())["merchants"][0]["staff_token"]
    body = json.dumps({"query": QUERY})
    return f"curl -s {base_url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer {token}' -d '{body}'"


def _places(base_url: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    socket_url = base_url.replace("http", "ws", 1)
    rows = [
        ("GraphiQL and GraphQL", f"{base_url}/graphql"),
        ("Subscriptions", f"{socket_url}/graphql  (graphql-transport-ws)"),
        ("Shopify's webhooks", f"{base_url}/webhooks/shopify"),
        ("Health", f"{base_url}/health/ready"),
        ("Shops, tokens and keys", str(DEMO.relative_to(ROOT))),
        ("Logs", str(LOGS.relative_to(ROOT))),
        ("Database", "./dev.sh psql"),
    ]
    for name, place in rows:
        table.add_row(f"  {name}", place)
    return table
