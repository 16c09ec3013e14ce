"""What runs on this machine, kept in up.json by the supervisor for the other commands to read."""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local.configuration import write_private
from local.liveness import is_alive, wait_until_gone
from local.prepare import HOME

STOP_TIMEOUT_SECONDS = 15


@dataclass(frozen=True)
class Mark:
    """A process as it can be found again. The number alone is not enough: the system gives numbers out anew."""

    number: int
    created: float


@dataclass(frozen=True)
class State:
    """What runs. `programs` are the marks of their first processes, by name."""

    supervisor: Mark
    programs: dict[str, Mark]
    base_url: str
    ready: bool


def read_state(home: Path = HOME) -> State | None:
    """What runs, or None when nothing has said so."""
    try:
        raw = json.loads((home / "up.json").read_text())
        return State(
            supervisor=Mark(**raw["supervisor"]),
            programs={name: Mark(**mark) for name, mark in raw["programs"].items()},
            base_url=raw["base_url"],
            ready=raw["ready"],
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_state(state: State, home: Path = HOME) -> None:
    """Say what runs. A reader never sees a half-written file."""
    write_private(home / "up.json", asdict(state))


def forget_state(home: Path = HOME) -> None:
    """Say that nothing runs."""
    (home / "up.json").unlink(missing_ok=True)


def mark(number: int) -> Mark:
    """The mark of a process that was just started, or of this one."""
    try:
        return Mark(number, psutil.Process(number).create_time())
    except psutil.NoSuchProcess:
        return Mark(number, time.time())


def find(mark: Mark) -> psutil.Process | None:
    """The living process with this mark, or None."""
    process = _holder(mark.number)
    return process if process is not None and _is(process, mark) and is_alive(process) else None


def end_leftovers(home: Path = HOME) -> list[str]:
    """End what a killed supervisor left behind. Returns the names of what was ended."""
    state = read_state(home)
    if state is None:
        return []
    ended = [name for name, program in state.programs.items() if _end(program)]
    forget_state(home)
    return ended


def _end(program: Mark) -> bool:
    family = _family(program)
    first = find(program)
    # The first process tells the others; where it is gone, nobody would.
    for member in family if first is None else [first]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    for member in wait_until_gone(family, STOP_TIMEOUT_SECONDS):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    wait_until_gone(family, STOP_TIMEOUT_SECONDS)
    return bool(family)


def _family(program: Mark) -> list[psutil.Process]:
    """The living processes of a program. They are one process group, also when its first process is gone."""
    holder = _holder(program.number)
    if holder is not None and not _is(holder, program):
        # Another process has the number by now, and so the group would be another one too.
        return []
    family: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == program.number and is_alive(process):
                family.append(process)
    return family


def _holder(number: int) -> psutil.Process | None:
    try:
        return psutil.Process(number)
    except psutil.Error:
        return None


def _is(process: psutil.Process, mark: Mark) -> bool:
    try:
        return abs(process.create_time() - mark.created) < 1
    except psutil.Error:
        return False
