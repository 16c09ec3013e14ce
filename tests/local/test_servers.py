"""The servers of local/: started once, mended after any crash, stopped for good."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis

from local import servers
from local.errors import LocalError

NONE_GIVEN: dict[str, str] = {}


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own, because pytest may have an event loop in this one."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def fetch(database_url: str, query: str) -> Any:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def postgres_pid(directory: Path) -> int:
    return int((directory / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def valkey_pid(directory: Path) -> int:
    return int((directory / "valkey" / "valkey.pid").read_text())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # A blank and a quote, because a home directory may well have them.
    directory = tmp_path_factory.mktemp("servers") / "o'neil's place"
    yield directory
    servers.stop(directory)


@pytest.fixture
def found(directory: Path) -> servers.Servers:
    return servers.ensure(directory, NONE_GIVEN)


def test_a_second_ensure_starts_nothing(directory: Path, found: servers.Servers) -> None:
    pids = postgres_pid(directory), valkey_pid(directory)
    assert servers.ensure(directory, NONE_GIVEN) == found
    assert (postgres_pid(directory), valkey_pid(directory)) == pids


def test_the_owner_may_make_databases_and_is_no_superuser(found: servers.Servers) -> None:
    query = "select array[rolsuper, rolbypassrls, rolcreatedb, rolcreaterole] from pg_roles where rolname = current_user"
    assert run(fetch(found.database_url, query)) == [False, False, True, True]


def test_what_was_committed_is_on_the_disk(found: servers.Servers) -> None:
    settings = (
        "select array[current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')]"
    )
    assert run(fetch(found.database_url, settings)) == ["on", "on", "on"]


def test_redis_refuses_to_evict_and_strangers(found: servers.Servers) -> None:
    with redis.Redis.from_url(found.redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    port = found.redis_url.rsplit(":", 1)[1]
    with redis.Redis.from_url(f"redis://127.0.0.1:{port}") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_strangers_cannot_reach_the_database(found: servers.Servers) -> None:
    address = found.database_url.rsplit("@", 1)[1]
    with pytest.raises(asyncpg.InvalidPasswordError):
        run(fetch(f"postgresql://loyalnest:guess@{address}", "select 1"))


@pytest.mark.usefixtures("found")
def test_only_the_owner_of_the_files_can_read_the_passwords(directory: Path) -> None:
    modes = {name: (directory / name).stat().st_mode & 0o777 for name in ("servers.json", "valkey/valkey.conf", "postgres")}
    assert modes == {"servers.json": 0o600, "valkey/valkey.conf": 0o600, "postgres": 0o700}


def test_both_servers_killed(directory: Path, found: servers.Servers) -> None:
    run(fetch(found.database_url, "create table if not exists kept as select 7 as number"))
    killed = postgres_pid(directory), valkey_pid(directory)
    assert servers.running(directory) == ["PostgreSQL", "Valkey"]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    # At once, while they are still dying.
    assert servers.ensure(directory, NONE_GIVEN) == found
    assert servers.missing(directory, NONE_GIVEN) == []
    assert run(fetch(found.database_url, "select number from kept")) == 7
    assert not {postgres_pid(directory), valkey_pid(directory)} & set(killed)


def test_pid_files_that_name_another_process(directory: Path, found: servers.Servers) -> None:
    pid_file = directory / "postgres" / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    servers.stop(directory)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as innocent:
        pid_file.write_text("\n".join([str(innocent.pid), *content[1:]]) + "\n")
        (directory / "valkey" / "valkey.pid").write_text(f"{innocent.pid}\n")
        assert servers.stop(directory) == []
        pid_file.write_text("\n".join([str(innocent.pid), *content[1:]]) + "\n")
        assert servers.ensure(directory, NONE_GIVEN) == found
        assert innocent.poll() is None
        innocent.kill()


@pytest.mark.usefixtures("found")
def test_stop_says_what_it_stopped_and_may_be_repeated(directory: Path) -> None:
    assert servers.stop(directory) == ["PostgreSQL", "Valkey"]
    assert servers.stop(directory) == []
    assert servers.stop(directory / "never made") == []


def test_a_port_that_another_program_has_taken(directory: Path, found: servers.Servers) -> None:
    servers.stop(directory)
    port = int(found.database_url.rsplit(":", 1)[1].split("/")[0])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        moved = servers.ensure(directory, NONE_GIVEN)
        assert f":{port}/" not in moved.database_url
        assert run(fetch(moved.database_url, "select 1")) == 1
    assert servers.ensure(directory, NONE_GIVEN) == moved


@pytest.mark.usefixtures("found")
def test_many_at_once_start_one_server(directory: Path) -> None:
    servers.stop(directory)
    script = "import sys; from pathlib import Path; from local import servers; print(servers.ensure(Path(sys.argv[1]), {}))"
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert answers == {f"{servers.ensure(directory, NONE_GIVEN)}\n"}


def test_the_last_borrower_stops_them(directory: Path, found: servers.Servers) -> None:
    with servers.borrowed(directory, NONE_GIVEN):
        with servers.borrowed(directory, NONE_GIVEN):
            pass
        assert servers.running(directory) == ["PostgreSQL", "Valkey"]
    assert servers.running(directory) == []
    assert servers.missing(directory, NONE_GIVEN) == ["PostgreSQL", "Valkey"]
    assert servers.missing(directory, {"DATABASE_URL": found.database_url}) == ["Valkey"]


def test_given_servers_are_used_and_none_is_started(tmp_path: Path, found: servers.Servers) -> None:
    given = {"DATABASE_URL": found.database_url, "REDIS_URL": found.redis_url}
    assert servers.ensure(tmp_path / "unused", given) == found
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://nobody:wrong@127.0.0.1:1/none"),
        ("DATABASE_URL", "not a url"),
        ("REDIS_URL", "redis://127.0.0.1:1/0"),
        ("REDIS_URL", "not a url"),
    ],
)
def test_a_given_server_that_does_not_answer(tmp_path: Path, found: servers.Servers, name: str, url: str) -> None:
    given = {"DATABASE_URL": found.database_url, "REDIS_URL": found.redis_url, name: url}
    with pytest.raises(LocalError, match=f"Mend {name}, or unset it"):
        servers.ensure(tmp_path, given)


def test_settings_that_were_lost_are_told_and_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text("{")
    with pytest.raises(LocalError, match=r"servers\.json is damaged"):
        servers.ensure(tmp_path, NONE_GIVEN)


def test_data_of_another_postgresql_is_left_alone(tmp_path: Path) -> None:
    servers.ensure(tmp_path, NONE_GIVEN)
    servers.stop(tmp_path)
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalError, match="was made by PostgreSQL 17"):
        servers.ensure(tmp_path, NONE_GIVEN)
    servers.stop(tmp_path)
