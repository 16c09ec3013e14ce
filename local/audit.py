"""`audit`: whether a locked package of Python or Rust has a known vulnerability. That nobody could be asked is no good news."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from local.prepare import HOME, ROOT, tool_environment

PIP_AUDIT = "pip-audit==2.10.1"
CARGO_AUDIT = "0.22.2"
ADVISORIES = "https://github.com/RustSec/advisory-db"
"""What cargo-audit reads. It is brought here first, because building cargo-audit for nothing takes minutes."""
CLEAN, FOUND, NOT_ASKED = 0, 1, 3
PATIENCE_S = 1_800

_console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Verdict:
    """What came out. `findings` are a line each; `unasked` says why nobody, or not of everything, could be asked."""

    findings: tuple[str, ...] = ()
    unasked: str = ""


class NotAskedError(Exception):
    """Nobody could be asked; the text says why."""


def audit() -> int:
    """Ask of both. Returns 0 when all is clean, 1 when something was found, and 3 when nothing was but not all could be asked."""
    verdicts = {"Python": _verdict(_python), "Rust": _verdict(_rust)}
    for name, verdict in verdicts.items():
        word = "found" if verdict.findings else "could not be asked" if verdict.unasked else "clean"
        style = "green" if word == "clean" else "bold red"
        _console.print(Text(f"  {name:<8} ").append(word, style=style))
        for line in (*verdict.findings, *([verdict.unasked] if verdict.unasked else [])):
            _console.print(Text(f"           {line}"))
    return code_of(verdicts.values())


def code_of(verdicts: Any) -> int:
    """The exit code of several verdicts: what was found counts more than what could not be asked."""
    if any(one.findings for one in verdicts):
        return FOUND
    return NOT_ASKED if any(one.unasked for one in verdicts) else CLEAN


def of_python(said: str) -> Verdict:
    """pip-audit's report. A package that it could not ask about it passes over without a word, unless one looks."""
    packages: list[dict[str, Any]] = json.loads(said)["dependencies"]
    findings = tuple(
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in packages
        for flaw in one.get("vulns", ())
    )
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    why = f"{len(skipped)} of {len(packages)} packages are not known to the advisory service: is it reachable?" if skipped else ""
    return Verdict(findings, why if packages else "The lock file names no packages.")


def of_rust(said: str) -> Verdict:
    """cargo-audit's report. What is unmaintained or yanked is told too, and counts."""
    report: dict[str, Any] = json.loads(said)
    flaws: list[dict[str, Any]] = list(report["vulnerabilities"]["list"])
    for warnings in report["warnings"].values():
        flaws += warnings
    return Verdict(tuple(f"{one['package']['name']} {one['package']['version']}: {_name(one)}" for one in flaws))


def _name(flaw: dict[str, Any]) -> str:
    advisory = flaw.get("advisory")
    return f"{advisory['id']}, {advisory['title']}" if advisory else str(flaw.get("kind", "a warning"))


def _verdict(ask: Callable[[], Verdict]) -> Verdict:
    try:
        return ask()
    except NotAskedError as error:
        return Verdict(unasked=str(error))


def _python() -> Verdict:
    locked = HOME / "audit" / "requirements.txt"
    locked.parent.mkdir(parents=True, exist_ok=True)
    export = ("uv", "export", "--frozen", "--all-groups", "--no-emit-project", "--no-hashes", "--quiet")
    locked.write_text(_run([*export, "--format", "requirements-txt"], "uv export failed"))
    # In an environment of its own, which uv keeps: what it needs is none of ours.
    command = ["uv", "tool", "run", "--from", PIP_AUDIT, "pip-audit", "--requirement", str(locked), "--no-deps", "--disable-pip"]
    return of_python(_run([*command, "--format", "json", "--progress-spinner", "off"], "pip-audit could not ask", found=1))


def _rust() -> Verdict:
    advisories = HOME / "audit" / "advisory-db"
    fetch = ["git", "-C", str(advisories), "pull", "--quiet", "--ff-only"]
    if not advisories.exists():
        fetch = ["git", "clone", "--quiet", "--depth", "1", ADVISORIES, str(advisories)]
    _run(fetch, f"{ADVISORIES} is not reachable")
    root = HOME / "audit" / "cargo"
    if not (root / "bin" / "cargo-audit").exists():
        _console.print("  building cargo-audit, once; this takes some minutes ...")
        _run(
            ["cargo", "install", "cargo-audit", "--version", CARGO_AUDIT, "--locked", "--root", str(root)],
            "cargo-audit was not built",
        )
    command = [str(root / "bin" / "cargo-audit"), "audit", "--db", str(advisories), "--no-fetch", "--json"]
    return of_rust(_run(command, "cargo-audit could not ask", found=1))


def _run(command: Sequence[str], failed: str, *, found: int = 0) -> str:
    """What a program prints. found: its exit code when it has found something. Raises NotAskedError with its last line."""
    try:
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=tool_environment(), capture_output=True, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAskedError(f"{failed}: {error}") from error
    if done.returncode not in (0, found) or (found and not done.stdout.strip()):
        raise NotAskedError(": ".join([failed, *done.stderr.strip().splitlines()[-1:]]))
    return done.stdout
