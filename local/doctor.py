"""`doctor`: look at everything that LoyalNest needs on this machine, and say how to mend what is missing or wrong."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import asyncpg
import redis
from rich.console import Console
from rich.text import Text

from local import postgres, servers
from local.configuration import DEMO, environment
from local.database_doctor import examine_database
from local.errors import LocalError
from local.finding import Finding, fail, ok, warn
from local.prepare import HOME, OLDEST_UV, PYTHON, ROOT, oldest_rust, tool_environment, version_of
from local.running import DEFAULT_PORT, answers
from local.state import find, read_state

LEAST_FREE_BYTES = 2_000_000_000

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def report(findings: list[Finding], *, as_json: bool) -> int:
    """Show what was found. Returns 1 when something must be mended, otherwise 0."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        _show(findings)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


def examine(home: Path = HOME) -> list[Finding]:
    """All findings. Starts the servers where they do not run, and stops them again."""
    findings = [_python(), _uv(), _rust(), _linker(), _packages(), _native_module(), _disk()]
    try:
        with servers.borrowed(home) as found:
            findings += _database(found.database_url)
            if ("migrations", "ok") in {(finding.subject, finding.verdict) for finding in findings}:
                findings.append(_sealed(found))
            findings += _redis(found.redis_url)
    except LocalError as error:
        findings.append(fail("servers", str(error), f"The logs are in {home / 'logs'}."))
    findings += [_api(), _demo()]
    return findings


def _python() -> Finding:
    return ok("Python", f"{sys.version.split()[0]}")


def _uv() -> Finding:
    found = version_of("uv", tool_environment())
    if found is None or found < OLDEST_UV:
        return warn("uv", "missing or too old", "Run ./dev.sh up, which brings its own.")
    return ok("uv", _dotted(found))


def _rust() -> Finding:
    found = version_of("cargo", tool_environment())
    needed = oldest_rust()
    if found is None:
        return warn("Rust", "cargo is missing", "Run ./dev.sh up, which brings a toolchain by rustup.")
    if found < needed:
        return fail("Rust", f"{_dotted(found)} is older than {_dotted(needed)}", "Run rustup update stable.")
    return ok("Rust", _dotted(found))


def _linker() -> Finding:
    found = shutil.which("cc", path=tool_environment()["PATH"])
    if found is None:
        return warn("linker", "cc is missing", "Run ./dev.sh up, which brings one, or apt install gcc libc6-dev.")
    return ok("linker", found)


def _packages() -> Finding:
    command = ["uv", "sync", "--locked", "--inexact", "--check", "--quiet"]
    try:
        done = subprocess.run(command, check=False, cwd=ROOT, env=tool_environment(), capture_output=True, text=True)
    except OSError:
        return warn("packages", "could not be compared with uv.lock, because uv is missing", "Run ./dev.sh up.")
    if done.returncode != 0:
        detail = done.stderr.strip().splitlines()
        return fail("packages", f"differ from uv.lock: {detail[-1] if detail else 'uv says no more'}", "Run ./dev.sh up.")
    return ok("packages", "as uv.lock says")


def _native_module() -> Finding:
    # In a process of its own: a broken native module may take the process with it.
    command = [str(PYTHON), "-c", "import loyalty_native; print(loyalty_native.__file__)"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        detail = done.stderr.strip().splitlines()
        return fail("native module", detail[-1] if detail else "cannot be imported", "Run ./dev.sh up, which builds it.")
    return ok("native module", "loyalty_native can be imported")


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free
    if free < LEAST_FREE_BYTES:
        return warn("disk", f"{free / 1e9:.1f} GB free", "Free some space: PostgreSQL stops when the disk is full.")
    return ok("disk", f"{free / 1e9:.1f} GB free")


def _database(database_url: str) -> list[Finding]:
    try:
        return postgres.run(examine_database(database_url))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return [fail("PostgreSQL", f"{type(error).__name__}: {error}", "Check DATABASE_URL and the server's log.")]


def _sealed(found: servers.Servers) -> Finding:
    """Whether all that is sealed opens. What was tampered with is found at every look until it is mended."""
    # In a process of its own, which has the keys; how far it is goes to where the user looks.
    command = [str(PYTHON), "-m", "domain.sealed"]
    variables = environment(found, DEFAULT_PORT)
    done = subprocess.run(command, check=False, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    *_, told = done.stdout.strip().splitlines() or ["nothing was said"]
    if done.returncode == 0:
        return ok("sealed values", told)
    mend = "./dev.sh verify says which. Give those values back from a backup, or have them told anew: docs/adr/0047."
    return fail("sealed values", told if done.returncode == 1 else "could not be looked at; see above", mend)


def _redis(redis_url: str) -> list[Finding]:
    try:
        with redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=5) as client:
            version = client.info("server")["redis_version"]
            policy = client.info("memory").get("maxmemory_policy", "unknown")
    except redis.RedisError as error:
        return [fail("Redis", f"{type(error).__name__}: {error}", "Check REDIS_URL and the server's log.")]
    findings = [ok("Redis", f"answers as version {version}")]
    if policy != "noeviction":
        mend = "Set maxmemory-policy to noeviction: a queue that evicts is a queue that loses."
        findings.append(fail("Redis eviction", f"the policy is {policy}", mend))
    else:
        findings.append(ok("Redis eviction", "the policy is noeviction"))
    return findings


def _api() -> Finding:
    state = read_state()
    if state is not None and find(state.supervisor) is not None:
        if answers(f"{state.base_url}/health/ready"):
            return ok("API", f"answers at {state.base_url}")
        return fail("API", f"runs at {state.base_url} and is not ready", f"Its log is {HOME / 'logs' / 'api.log'}.")
    if state is not None:
        return warn("API", "an earlier run was killed and left its processes behind", "Run ./dev.sh down.")
    if servers.port_is_free(DEFAULT_PORT):
        return ok("API", f"does not run; port {DEFAULT_PORT} is free for it")
    return warn("API", f"does not run, and another program has port {DEFAULT_PORT}", "./dev.sh up takes the next free one.")


def _demo() -> Finding:
    name = DEMO.relative_to(ROOT)
    if not DEMO.exists():
        return warn("demo merchants", f"there is no {name} yet", "Run ./dev.sh up, which writes it.")
    try:
        merchants = json.loads(DEMO.read_text())["merchants"]
    except (OSError, ValueError, KeyError, TypeError):
        return fail("demo merchants", f"{name} cannot be read", "Remove it and run ./dev.sh up, which writes it anew.")
    return ok("demo merchants", f"{len(merchants)} in {name}")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        line = Text("  ").append(f"{finding.verdict:<5}", style=_STYLES[finding.verdict])
        console.print(line.append(f"{finding.subject:<20}{finding.detail}"))
        if finding.mend:
            console.print(Text(f"       {'':<20}{finding.mend}", style="dim"))
    failed = sum(finding.verdict == "fail" for finding in findings)
    console.print(Text(f"\n  {failed} to mend" if failed else "\n  All is well", style="bold"))
