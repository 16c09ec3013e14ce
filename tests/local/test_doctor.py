"""The doctor: what it finds, and the exit code that follows from it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from local import postgres, servers
from local.database_doctor import examine_database
from local.doctor import report
from local.finding import Finding, fail, ok, warn

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Servers]:
    directory = tmp_path_factory.mktemp("doctor")
    yield servers.ensure(directory, {})
    servers.stop(directory)


def findings(database_url: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in postgres.run(examine_database(database_url))}


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_a_failure_is_an_exit_code_and_a_warning_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    fine, odd, broken = ok("a", "is fine"), warn("b", "is odd", "Look at it."), fail("c", "is broken", "Mend it.")
    assert report([fine, odd], as_json=False) == 0
    assert report([fine, odd, broken], as_json=False) == 1
    capsys.readouterr()
    assert report([broken], as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == [{"subject": "c", "verdict": "fail", "detail": "is broken", "mend": "Mend it."}]


def test_a_database_from_bare_to_walled_to_breached(found: servers.Servers) -> None:
    bare = findings(found.database_url)
    assert bare["migrations"].verdict == "warn"
    assert "row-level security" not in bare

    # In a process of its own, because this one has an engine already, with the database of the other tests.
    environment = os.environ | {"DATABASE_URL": found.database_url}
    subprocess.run([sys.executable, "-m", "migrations.run"], check=True, cwd=ROOT, env=environment, capture_output=True)
    walled = findings(found.database_url)
    assert {finding.verdict for finding in walled.values()} == {"ok"}
    assert {"PostgreSQL", "clocks", "migrations", "row-level security", "application role", "midnights"} == set(walled)

    late = """
        insert into merchants (id, shop_domain, name, currency, created_at, sandbox, clock_offset) values
            ('00000000-0000-7000-8000-000000000001', 'a.myshopify.com', 'A', 'USD', now(), false, '0'),
            ('00000000-0000-7000-8000-000000000002', 'b.myshopify.com', 'B', 'USD', now(), true, '3 days'),
            ('00000000-0000-7000-8000-000000000003', 'c.myshopify.com', 'C', 'USD', now(), false, '0');
        alter table schedules no force row level security;
        insert into schedules (merchant_id, job, due_at, wakes_at)
        select id, 'daily', now() + interval '1 day', now() from merchants;
        alter table schedules force row level security;
    """
    postgres.run(execute(found.database_url, late))
    slow = findings(found.database_url)["midnights"]
    assert (slow.verdict, slow.detail.partition(" since ")[0]) == ("warn", "late for 00000000-0000-7000-8000-000000000002")
    failed = """
        alter table schedules no force row level security;
        update schedules set due_at = '2026-01-01T00:00Z', attempts = 7, failure = 'RuntimeError'
        where merchant_id = '00000000-0000-7000-8000-000000000003';
        update schedules set due_at = now() + interval '4 days' where merchant_id = '00000000-0000-7000-8000-000000000002';
        alter table schedules force row level security;
    """
    postgres.run(execute(found.database_url, failed))
    assert findings(found.database_url)["midnights"] == fail(
        "midnights",
        "late for 00000000-0000-7000-8000-000000000003 since 2026-01-01T00:00:00+00:00 (RuntimeError, 7 attempts)",
        "The workers' log says why, under daily.put_off. While no workers run, every midnight is late.",
    )

    postgres.run(execute(found.database_url, "alter table customers no force row level security"))
    breached = findings(found.database_url)
    assert (breached["row-level security"].verdict, breached["row-level security"].detail) == ("fail", "not forced on customers")
    postgres.run(execute(found.database_url, "alter table customers force row level security"))

    postgres.run(execute(found.database_url, "create table stray (id int)"))
    postgres.run(execute(found.database_url, "grant create on schema public to loyalnest_app"))
    postgres.run(execute(found.database_url, "alter table stray owner to loyalnest_app"))
    assert findings(found.database_url)["application role"].verdict == "fail"


def test_servers_that_do_not_answer_are_a_failure_with_a_mend() -> None:
    environment = os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "local", "doctor", "--json"]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == 1
    broken = next(finding for finding in told if finding["subject"] == "servers")
    assert broken["verdict"] == "fail"
    assert "DATABASE_URL" in broken["detail"]
