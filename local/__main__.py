"""The commands behind ./dev.sh."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from local import audit, checks, doctor, postgres, running, servers, tests
from local.configuration import environment
from local.errors import LocalError
from local.prepare import HOME, PYTHON, ROOT, tool_environment
from local.state import find, read_state

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The API's port; 8000, or the next free one.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is up, and leave it running.")] = False,
) -> None:
    """Start everything and show where it is."""
    if detach:
        running.up_detached(port)
        return
    # The only command that needs the application itself: the others must work when it cannot be imported.
    from local.up import up as stay_up  # noqa: PLC0415

    stay_up(port)


@app.command()
def down() -> None:
    """Stop everything; the data stays."""
    running.down()


@app.command()
def check() -> None:
    """Run every tool that reads the code."""
    raise typer.Exit(checks.check())


@app.command("audit")
def examine_packages() -> None:
    """Ask whether a locked package has a known vulnerability."""
    raise typer.Exit(audit.audit())


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    raise typer.Exit(subprocess.run([str(PYTHON), "-m", "schema"], check=False, cwd=ROOT).returncode)


@app.command()
def documents() -> None:
    """Write the manifests of the documents that our front ends name by their ids."""
    raise typer.Exit(subprocess.run([str(PYTHON), "-m", "schema.trusted"], check=False, cwd=ROOT).returncode)


@app.command("doctor")
def examine(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what is missing or wrong, and how to mend it."""
    raise typer.Exit(doctor.report(doctor.examine(), as_json=as_json))


@app.command()
def verify() -> None:
    """Check every ledger entry against its hash chain, every order against its points, and that all that is sealed opens."""
    with servers.borrowed(HOME) as found:
        # It serves nothing, so the port is only there because the settings ask for one.
        variables = environment(found, running.DEFAULT_PORT)
        proofs = ("domain.points.verify", "domain.orders.verify", "domain.sealed")
        codes = [subprocess.run([str(PYTHON), "-m", proof], check=False, cwd=ROOT, env=variables).returncode for proof in proofs]
    raise typer.Exit(next((code for code in codes if code), 0))


@app.command()
def psql() -> None:
    """Open a prompt on the database."""
    with servers.borrowed(HOME) as found:
        program = shutil.which("psql") or str(postgres.program("psql"))
        code = subprocess.run([program, found.database_url], check=False).returncode
    raise typer.Exit(code)


@app.command()
def functions() -> None:
    """Build the Shopify functions."""
    script = ROOT / "shopify_functions" / "build.sh"
    raise typer.Exit(subprocess.run([str(script)], check=False, cwd=ROOT, env=tool_environment()).returncode)


def demo(arguments: Sequence[str]) -> int:
    """Send a day of orders and watch balances move."""
    state = read_state()
    if state is None or not state.ready or find(state.supervisor) is None:
        raise LocalError("LoyalNest is not running. Start it by ./dev.sh up, or ./dev.sh up --detach, and run this again.")
    return subprocess.run([str(PYTHON), "-m", "local.demo", *arguments], check=False, cwd=ROOT).returncode


def orders_doctor(arguments: Sequence[str]) -> int:
    """Compare Shopify's orders with the ledger, and book what is missing."""
    with servers.borrowed(HOME) as found:
        command = [str(PYTHON), "-m", "local.orders_doctor", *arguments]
        variables = environment(found, running.DEFAULT_PORT) | {"PYTHONPATH": str(ROOT)}
        # It runs where the caller stands, so that a file's name means the file that the caller means.
        where = os.environ.get("LOYALNEST_CALLED_FROM", ROOT)
        return subprocess.run(command, check=False, cwd=where, env=variables).returncode


def shopify(arguments: Sequence[str]) -> int:
    """Serve a Shopify of our own to the LoyalNest that runs, until Ctrl-C."""
    state = read_state()
    if state is None or not state.ready or find(state.supervisor) is None:
        raise LocalError("LoyalNest is not running. Start it by ./dev.sh up, or ./dev.sh up --detach, and run this again.")
    port = urlsplit(state.base_url).port
    assert port is not None, "the API's address has its port"
    with servers.borrowed(HOME) as found:
        command = [str(PYTHON), "-m", "local.shopify_stand_in", *arguments]
        return subprocess.run(command, check=False, cwd=ROOT, env=environment(found, port)).returncode


def keys(arguments: Sequence[str]) -> int:
    """Wrap everything by the present master key, and turn every merchant's keys."""
    return _with_database([str(PYTHON), "-m", "local.keys", *arguments])


def trace(arguments: Sequence[str]) -> int:
    """Tell what is known of a request."""
    return _with_database([str(PYTHON), "-m", "local.trace", *arguments])


def _with_database(command: list[str]) -> int:
    with servers.borrowed(HOME) as found:
        variables = environment(found, running.DEFAULT_PORT)
        return subprocess.run(command, check=False, cwd=ROOT, env=variables).returncode


# Past the parser of our own options: all that follows these commands belongs to another program.
PASSED_ON = {"test": tests.run, "demo": demo, "orders-doctor": orders_doctor, "shopify": shopify, "keys": keys, "trace": trace}


def main() -> int:
    if sys.argv[1:2] and sys.argv[1] in PASSED_ON:
        return PASSED_ON[sys.argv[1]](sys.argv[2:])
    app()
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except LocalError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
