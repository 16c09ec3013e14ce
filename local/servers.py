"""The two servers that LoyalNest stands on, PostgreSQL and Redis: ours, or those the environment names."""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from local import postgres, valkey
from local.errors import LocalError

OLDEST_POSTGRES = 150000
OLDEST_REDIS = (6, 2)
PORTS_TRIED = 50
DEATH_SECONDS = 5
READY_SECONDS = 60


@dataclass(frozen=True)
class Servers:
    """Where the servers are. `database_url` is the owner's: it migrates, is no superuser, and may make databases."""

    database_url: str
    redis_url: str


@dataclass
class _Settings:
    """What must be the same at the next start. Kept in servers.json, which only its owner can read."""

    postgres_port: int
    superuser_password: str
    owner_password: str
    valkey_port: int
    valkey_password: str


def ensure(directory: Path, environment: Mapping[str, str] = os.environ) -> Servers:
    """Make sure that both servers answer, and say where.

    DATABASE_URL and REDIS_URL in `environment` name servers to use instead of ours; each counts by itself. Ours keep
    their data, passwords and ports in `directory`. Starts only what does not run, mends what a crash left behind, and
    may be called at any time and by several processes at once.

    Raises LocalError, a sentence with the mend, when a server does not start, cannot be reached or is too old.
    """
    directory = directory.resolve()
    database_url = environment.get("DATABASE_URL", "")
    redis_url = environment.get("REDIS_URL", "")
    if not (database_url and redis_url):
        with _locked(directory):
            settings = _load(directory)
            database_url = database_url or _ensure_postgres(directory, settings)
            redis_url = redis_url or _ensure_valkey(directory, settings)
    _refuse_old_postgres(database_url)
    _refuse_old_redis(redis_url)
    return Servers(database_url, redis_url)


def running(directory: Path) -> list[str]:
    """The names of our servers that run in `directory`. Costs so little that it can be asked every second."""
    directory = directory.resolve()
    runs = {
        "PostgreSQL": postgres.running_port(directory / "postgres") is not None,
        "Valkey": valkey.runs(directory / "valkey"),
    }
    return [name for name, alive in runs.items() if alive]


def missing(directory: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names of those servers that `ensure` would have to start."""
    wanted = {"PostgreSQL": "DATABASE_URL", "Valkey": "REDIS_URL"}
    runs = running(directory)
    return [name for name, variable in wanted.items() if not environment.get(variable) and name not in runs]


def stop(directory: Path) -> list[str]:
    """Stop our servers in `directory`, keeping their data. Returns the names of those that ran."""
    directory = directory.resolve()
    if not directory.exists():
        return []
    with _locked(directory):
        stopped = {
            "PostgreSQL": postgres.stop(directory / "postgres", directory / "logs" / "postgres.log"),
            "Valkey": valkey.stop(directory / "valkey"),
        }
    return [name for name, ran in stopped.items() if ran]


def _ensure_postgres(directory: Path, settings: _Settings) -> str:
    data = directory / "postgres"
    log = directory / "logs" / "postgres.log"

    def start(port: int) -> None:
        postgres.start(data, log, port, settings.superuser_password)

    deadline = time.monotonic() + READY_SECONDS
    while True:
        running = postgres.running_port(data)
        if running is None:
            was_killed = (data / "postmaster.pid").exists()
            running = _start_on_free_port(start, settings.postgres_port, was_killed=was_killed)
        settings.postgres_port = running
        _save(directory, settings)
        try:
            return postgres.prepare_owner(running, settings.superuser_password, settings.owner_password)
        except postgres.NotReadyError:
            # It may be recovering, or have been killed a moment ago.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _ensure_valkey(directory: Path, settings: _Settings) -> str:
    def start(port: int) -> None:
        valkey.start(directory / "valkey", directory / "logs" / "valkey.log", port, settings.valkey_password)

    if not valkey.answers(valkey.url(settings.valkey_password, settings.valkey_port)):
        was_killed = (directory / "valkey" / "valkey.pid").exists()
        settings.valkey_port = _start_on_free_port(start, settings.valkey_port, was_killed=was_killed)
        _save(directory, settings)
    return valkey.url(settings.valkey_password, settings.valkey_port)


def _start_on_free_port(start: Callable[[int], None], wanted: int, *, was_killed: bool) -> int:
    """Start on the wanted port or, when another program has it, on the next free one. Returns the port taken."""
    # The children of a killed server hold its port until they have noticed. Its clients expect it there again.
    deadline = time.monotonic() + (DEATH_SECONDS if was_killed else 0)
    while not port_is_free(wanted) and time.monotonic() < deadline:
        time.sleep(0.02)
    for port in range(wanted, wanted + PORTS_TRIED):
        if not port_is_free(port):
            continue
        try:
            start(port)
        except LocalError:
            # Another program may have taken the port between the look and the start.
            if port_is_free(port):
                raise
        else:
            return port
    raise LocalError(f"All ports from {wanted} to {wanted + PORTS_TRIED - 1} are taken. Stop what uses them.")


def port_is_free(port: int) -> bool:
    """Whether a server of ours could listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do it: connections of a server that is gone do not block its successor.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _refuse_old_postgres(database_url: str) -> None:
    try:
        found = postgres.server_version(database_url)
    except LocalError as error:
        raise LocalError(f"{error} Mend DATABASE_URL, or unset it to use the PostgreSQL that LoyalNest brings.") from error
    if found < OLDEST_POSTGRES:
        raise LocalError(
            f"DATABASE_URL names PostgreSQL {found // 10000}, and LoyalNest needs {OLDEST_POSTGRES // 10000} or newer. "
            "Unset it to use the PostgreSQL that LoyalNest brings."
        )


def _refuse_old_redis(redis_url: str) -> None:
    try:
        found = valkey.server_version(redis_url)
    except LocalError as error:
        raise LocalError(f"{error} Mend REDIS_URL, or unset it to use the Valkey that LoyalNest brings.") from error
    if found < OLDEST_REDIS:
        needed = ".".join(map(str, OLDEST_REDIS))
        raise LocalError(
            f"REDIS_URL names Redis {'.'.join(map(str, found))}, and LoyalNest needs {needed} or newer. "
            "Unset it to use the Valkey that LoyalNest brings."
        )


def _load(directory: Path) -> _Settings:
    path = directory / "servers.json"
    if path.exists():
        try:
            return _Settings(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise LocalError(f"{path} is damaged ({error}). Move {directory} away to start anew.") from error
    settings = _Settings(
        postgres_port=postgres.FIRST_PORT,
        superuser_password=secrets.token_urlsafe(32),
        owner_password=secrets.token_urlsafe(32),
        valkey_port=valkey.FIRST_PORT,
        valkey_password=secrets.token_urlsafe(32),
    )
    # Before the servers learn the passwords, so that an interrupted first start does not lock us out.
    _save(directory, settings)
    return settings


def _save(directory: Path, settings: _Settings) -> None:
    draft = directory / "servers.json.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(settings), file, indent=2)
    draft.replace(directory / "servers.json")


@contextmanager
def borrowed(directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Servers]:
    """The servers of `ensure` for as long as the block runs. The last of all borrowers stops ours."""
    directory = directory.resolve()
    _make(directory)
    with (directory / "borrowers.lock").open("w") as borrowers:
        fcntl.flock(borrowers, fcntl.LOCK_SH)
        try:
            yield ensure(directory, environment)
        finally:
            try:
                fcntl.flock(borrowers, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                stop(directory)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two callers never start one server twice. A dead holder holds nothing."""
    _make(directory)
    with (directory / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "servers.lock").touch()
    except OSError as error:
        raise LocalError(
            f"{directory} cannot be written ({error.strerror}). Did another user make it? "
            "Give it to this user (chown -R) or remove it."
        ) from error
