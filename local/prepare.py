"""Make the environment: uv, the locked packages, a Rust toolchain and the native module. Each only when it has to be.

Only the standard library is used here, because nothing else is there yet.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from local.errors import LocalError

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".loyalnest"
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
RUST = HOME / "rust"
LINKER = HOME / "linker"

UV_VERSION = "0.13.8"
OLDEST_UV = (0, 9)

_began = time.monotonic()


def main() -> int:
    try:
        prepare()
    except LocalError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Interrupted. The next run goes on from here.")
        return 130
    return 0


def prepare() -> None:
    """Bring the environment up to date. Does next to nothing when nothing has changed since the last time.

    Raises LocalError, a sentence with the mend, when a tool is missing or fails.
    """
    try:
        (HOME / "logs").mkdir(parents=True, exist_ok=True)
        lock = (HOME / "prepare.lock").open("w")
    except OSError as error:
        raise LocalError(
            f"{HOME} cannot be written ({error.strerror}). Did another user make it? "
            f"Give it to this user (chown -R) or remove it."
        ) from error
    with lock:
        _wait_for(lock.fileno())
        done = _read_stamps()
        packages = _digest([ROOT / "uv.lock", ROOT / "pyproject.toml"], str(ROOT))
        if done.get("packages") != packages or not PYTHON.exists():
            _install_packages(fresh=done.get("root") != str(ROOT))
            done = {"root": str(ROOT), "packages": packages, "native": done.get("native", "")}
            _write_stamps(done)
        native = _digest(_native_sources())
        if done["native"] != native or not _native_module_is_there():
            _build_native_module()
            _write_stamps(done | {"native": native})


def tool_environment() -> dict[str, str]:
    """The variables under which uv, cargo and the programs of the environment are found."""
    environment = dict(os.environ)
    environment.pop("PYTHONHOME", None)
    environment["VIRTUAL_ENV"] = str(ENVIRONMENT)
    environment["UV_PROJECT_ENVIRONMENT"] = str(ENVIRONMENT)
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    path = [str(ENVIRONMENT / "bin"), str(HOME / "uv" / "bin"), environment.get("PATH", os.defpath)]
    if (RUST / "cargo" / "bin" / "cargo").exists():
        path.insert(0, str(RUST / "cargo" / "bin"))
        environment |= {"CARGO_HOME": str(RUST / "cargo"), "RUSTUP_HOME": str(RUST / "rustup")}
    else:
        # Where rustup puts it, for a shell that has not been opened anew since.
        path.append(str(Path.home() / ".cargo" / "bin"))
    # Last, so that a compiler of the machine's own comes before it.
    path.append(str(LINKER))
    environment["PATH"] = os.pathsep.join(path)
    return environment


def version_of(program: str, environment: Mapping[str, str]) -> tuple[int, ...] | None:
    """The version that `program --version` tells, such as (1, 90, 0), or None when it cannot be run."""
    try:
        said = subprocess.run(
            [program, "--version"], check=True, capture_output=True, text=True, env=environment, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part) for part in found.groups("0")) if found else None


def oldest_rust() -> tuple[int, ...]:
    """The oldest Rust that builds the workspace, as Cargo.toml says it."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    return tuple(int(part) for part in workspace["package"]["rust-version"].split("."))


def _install_packages(*, fresh: bool) -> None:
    _ensure_uv()
    command = ["uv", "sync", "--locked", "--inexact"]
    if fresh and ENVIRONMENT.exists() and not _environment_fits():
        shutil.rmtree(ENVIRONMENT)
    if not PYTHON.exists():
        command += ["--python", sys.executable]
    _step(
        "installing the locked packages", command, "Is a package registry reachable? After a change of pyproject.toml: uv lock."
    )


def _environment_fits() -> bool:
    """Whether .venv was made here: its programs carry the path, so a moved or copied one is of no use."""
    configured = ENVIRONMENT / "bin" / "activate"
    return PYTHON.exists() and configured.exists() and str(ENVIRONMENT) in configured.read_text(errors="replace")


def _ensure_uv() -> None:
    found = version_of("uv", tool_environment())
    if found is not None and found >= OLDEST_UV:
        return
    target = HOME / "uv"
    if target.exists():
        shutil.rmtree(target)
    mend = "Python's venv module is needed: apt install python3-venv, or install uv yourself."
    _step("making a place for uv", [sys.executable, "-m", "venv", str(target)], mend)
    install = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"]
    _step(f"installing uv {UV_VERSION}", install, "Is a package registry reachable?")


def _build_native_module() -> None:
    _ensure_rust()
    _ensure_linker()
    command = [str(PYTHON), "-m", "maturin", "develop", "--release", "--locked", "--uv"]
    command += ["--manifest-path", "native/python/Cargo.toml"]
    _step("building the native module", command, "The Rust sources are in native/.")


def _ensure_rust() -> None:
    needed = oldest_rust()
    found = version_of("cargo", tool_environment())
    if found is not None and found >= needed:
        return
    mend = "Install Rust by https://rustup.rs and run this again."
    if found is not None:
        mend = f"The installed one is {_dotted(found)} and {_dotted(needed)} is needed: rustup update stable."
    command = [str(PYTHON), "-m", "puccinialin", "--location", str(RUST), "--info-json", str(HOME / "rust.json")]
    _step("installing a Rust toolchain", command, mend)
    add = ["rustup", "component", "add", "clippy", "rustfmt"]
    _step("adding clippy and rustfmt", add, "Is rustup's server reachable?")


def _ensure_linker() -> None:
    """Rust links with the machine's C compiler. Where there is none, Zig's takes its place."""
    found = shutil.which("cc", path=tool_environment()["PATH"])
    if found is not None and (Path(found).parent != LINKER or any(ENVIRONMENT.glob("lib/python3*/site-packages/ziglang"))):
        return
    command = ["uv", "sync", "--locked", "--inexact", "--group", "linker"]
    _step("installing a linker, because cc is missing", command, "Or install one yourself: apt install gcc libc6-dev.")
    LINKER.mkdir(exist_ok=True)
    script = LINKER / "cc"
    script.write_text(f'#!/bin/sh\nexec "{PYTHON}" -m ziglang cc "$@"\n')
    script.chmod(0o755)


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def _native_sources() -> list[Path]:
    sources = [path for path in (ROOT / "native").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*sorted(path for path in sources if path.suffix != ".so"), ROOT / "Cargo.toml", ROOT / "Cargo.lock"]


def _native_module_is_there() -> bool:
    installed = any(ENVIRONMENT.glob("lib/python3*/site-packages/loyalty_native*"))
    # Its Python half is used where it lies, and the library is built beside it.
    return installed and any((ROOT / "native" / "python" / "python").rglob("*.so"))


def _digest(paths: Iterable[Path], *facts: str) -> str:
    """A fingerprint of the files' names and contents, and of some facts beside them."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _read_stamps() -> dict[str, str]:
    # They lie in the environment they speak of, so that they go when it goes.
    try:
        stamps = json.loads((ENVIRONMENT / "loyalnest.json").read_text())
        return {str(name): str(stamp) for name, stamp in stamps.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write_stamps(stamps: Mapping[str, str]) -> None:
    (ENVIRONMENT / "loyalnest.json").write_text(json.dumps(stamps, indent=2))


def _wait_for(lock: int) -> None:
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return
    _say("Another ./dev.sh is making the environment. Waiting for it.")
    fcntl.flock(lock, fcntl.LOCK_EX)


def _step(title: str, command: Sequence[str], mend: str) -> None:
    """Run one step with its output in a log. Raises LocalError with the end of the log and the mend."""
    _say(f"{title} ...")
    began = time.monotonic()
    log = HOME / "logs" / "prepare.log"
    with log.open("w") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        try:
            with subprocess.Popen(
                command, cwd=ROOT, env=tool_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ) as process:
                code = _wait_with_clock(process, title)
        except OSError as error:
            raise LocalError(f"{title} failed: {error}. {mend}") from error
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise LocalError(f"{title} failed. {log} ends:\n\n{end}\n\n{mend}")
    _say(f"{title}: done in {time.monotonic() - began:.1f} s")


def _wait_with_clock(process: subprocess.Popen[bytes], title: str) -> int:
    while True:
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{_elapsed()}  {title} ... ")
                sys.stderr.flush()


def _say(text: str) -> None:
    sys.stderr.write(("\r\033[K" if sys.stderr.isatty() else "") + f"{_elapsed()}  {text}\n")


def _elapsed() -> str:
    return f"{time.monotonic() - _began:6.1f} s"


if __name__ == "__main__":
    sys.exit(main())
