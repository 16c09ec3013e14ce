"""The supervisor: what dies is started again, what is stopped is gone, and what was left behind is found."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local.liveness import is_alive
from local.processes import Program, Supervisor
from local.state import Mark, State, end_leftovers, find, mark, read_state, write_state

# Starts a child, says the child's number, and waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def program(script: str) -> Program:
    return Program("example", (sys.executable, "-c", script))


async def eventually(condition: Callable[[], bool], timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def children(home: Path) -> list[int]:
    """The numbers of the children that the program has told so far."""
    log = home / "logs" / "example.log"
    if not log.exists():
        return []
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("child ")]


def lives(number: int) -> bool:
    try:
        return is_alive(psutil.Process(number))
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_program_is_started_again_without_its_orphans(tmp_path: Path) -> None:
    supervisor = Supervisor([program(PARENT)], os.environ, "http://127.0.0.1:1", tmp_path)
    running = asyncio.create_task(supervisor.run())
    await eventually(lambda: len(children(tmp_path)) == 1)
    state = read_state(tmp_path)
    assert state is not None
    os.kill(state.programs["example"].number, signal.SIGKILL)
    await eventually(lambda: len(children(tmp_path)) == 2)
    first, second = children(tmp_path)
    assert (lives(first), lives(second)) == (False, True)
    assert supervisor.deaths == {"example": 1}
    supervisor.stopping.set()
    await asyncio.wait_for(running, 20)
    await eventually(lambda: not lives(second))


async def test_stopping_waits_for_a_program_that_takes_its_leave(tmp_path: Path) -> None:
    script = """
import signal, sys, time
def leave(*_):
    time.sleep(0.3)
    print("farewell", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("child 0", flush=True)
time.sleep(600)
"""
    supervisor = Supervisor([program(script)], os.environ, "http://127.0.0.1:1", tmp_path)
    running = asyncio.create_task(supervisor.run())
    await eventually(lambda: children(tmp_path) == [0])
    supervisor.stopping.set()
    await asyncio.wait_for(running, 20)
    assert (tmp_path / "logs" / "example.log").read_text() == "child 0\nfarewell\n"
    assert supervisor.deaths == {"example": 0}


async def test_a_program_that_cannot_be_started_ends_everything(tmp_path: Path) -> None:
    missing = Program("missing", (str(tmp_path / "no such program"),))
    supervisor = Supervisor([missing, program(PARENT)], os.environ, "http://127.0.0.1:1", tmp_path)
    with pytest.raises(FileNotFoundError, match="no such program"):
        await asyncio.wait_for(supervisor.run(), 20)
    for number in children(tmp_path):
        await eventually(lambda number=number: not lives(number))


async def test_a_very_long_line_does_not_stop_the_log(tmp_path: Path) -> None:
    script = "import time; print('x' * 3_000_000); print('child 7', flush=True); time.sleep(600)"
    supervisor = Supervisor([program(script)], os.environ, "http://127.0.0.1:1", tmp_path)
    running = asyncio.create_task(supervisor.run())
    await eventually(lambda: children(tmp_path) == [7])
    supervisor.stopping.set()
    await asyncio.wait_for(running, 20)


def test_leftovers_are_found_also_when_the_first_process_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline().split()[1])
        gone = Mark(2**22 + 1, 0.0)
        write_state(State(gone, {"example": mark(parent.pid)}, "http://127.0.0.1:1", ready=True), tmp_path)
        parent.kill()
        # Not yet buried, as on a machine whose first process is slow to do it.
        assert end_leftovers(tmp_path) == ["example"]
        assert not lives(child)
    assert read_state(tmp_path) is None
    assert end_leftovers(tmp_path) == []


def test_a_number_that_was_given_out_anew_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True) as innocent:
        earlier = Mark(innocent.pid, psutil.Process(innocent.pid).create_time() - 3600)
        write_state(State(earlier, {"example": earlier}, "http://127.0.0.1:1", ready=True), tmp_path)
        assert find(earlier) is None
        assert end_leftovers(tmp_path) == []
        assert innocent.poll() is None
        innocent.kill()


def test_a_damaged_state_is_no_state(tmp_path: Path) -> None:
    for content in ("", "{", "[]", "null", '{"supervisor": 1}', '{"supervisor": {"number": 1}, "programs": {}}'):
        (tmp_path / "up.json").write_text(content)
        assert read_state(tmp_path) is None
