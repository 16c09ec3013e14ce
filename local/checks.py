"""`check`: every tool that reads the code, and the schema's snapshot. All of them run; all failures are told at the end."""

import difflib
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local.prepare import PYTHON, ROOT, tool_environment

SNAPSHOT = ROOT / "schema" / "schema.graphql"
BIN = PYTHON.parent

# Every tool is run as a module or by its full path, so that none from elsewhere on the PATH is taken by mistake.
COMMANDS: dict[str, Sequence[str]] = {
    "ruff check": (str(PYTHON), "-m", "ruff", "check"),
    "ruff format": (str(PYTHON), "-m", "ruff", "format", "--check"),
    "basedpyright": (str(BIN / "basedpyright"),),
    "import-linter": (str(BIN / "lint-imports"),),
    "cargo fmt": ("cargo", "fmt", "--all", "--check"),
    "cargo clippy": ("cargo", "clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"),
}

_console = Console(highlight=False, soft_wrap=True)


def check() -> int:
    """Run everything. Returns 0 when all is well, otherwise 1 after what failed has been shown."""
    failures: dict[str, str] = {}
    for name, command in COMMANDS.items():
        _timed(name, lambda command=command: _run(command), failures)
    _timed("schema snapshot", schema_difference, failures)
    for name, said in failures.items():
        _console.print(Text(f"\n{name}", style="bold red"))
        _console.print(Text(said.strip()))
    if failures:
        _console.print(Text(f"\n{len(failures)} of {len(COMMANDS) + 1} checks failed: {', '.join(failures)}", style="bold"))
    return 1 if failures else 0


def schema_difference() -> str:
    """What the schema has that its snapshot lacks, and the other way round; empty when they are the same."""
    printed = subprocess.run(
        [str(PYTHON), "-m", "schema"], check=False, cwd=ROOT, capture_output=True, text=True, env=tool_environment()
    )
    if printed.returncode != 0:
        return printed.stderr or "python -m schema failed and said nothing."
    kept = SNAPSHOT.read_text() if SNAPSHOT.exists() else ""
    difference = difflib.unified_diff(
        kept.splitlines(), printed.stdout.splitlines(), "schema/schema.graphql", "./dev.sh schema", lineterm=""
    )
    lines = list(difference)
    if not lines:
        return ""
    return "\n".join([*lines, "", "When the change is meant: ./dev.sh schema > schema/schema.graphql"])


def _timed(name: str, look: Callable[[], str], failures: dict[str, str]) -> None:
    began = time.monotonic()
    said = look()
    if said:
        failures[name] = said
    verdict = Text("failed" if said else "ok", style="bold red" if said else "green")
    _console.print(Text(f"  {name:<16} {time.monotonic() - began:6.1f} s  ").append_text(verdict))


def _run(command: Sequence[str]) -> str:
    """What the tool says when it fails; empty when it is content."""
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=tool_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        return f"{Path(command[0]).name} could not be run: {error}."
    if done.returncode == 0:
        return ""
    return done.stdout or f"It ended with exit code {done.returncode} and said nothing."
