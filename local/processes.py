"""Run the API and the workers: start them, keep them running, show and keep what they say, and end them all."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.prepare import HOME, ROOT
from local.state import STOP_TIMEOUT_SECONDS, Mark, State, mark, write_state

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 60.0
LOG_BYTES = 20_000_000
LINE_BYTES = 1_000_000


@dataclass(frozen=True)
class Program:
    """One process to keep running. `name` is its prefix on the screen and the name of its log."""

    name: str
    command: Sequence[str]


class Supervisor:
    """Keeps the programs running until it is told to stop."""

    def __init__(self, programs: Sequence[Program], environment: Mapping[str, str], base_url: str, home: Path = HOME) -> None:
        self.programs = programs
        self.environment = environment
        self.base_url = base_url
        self.home = home
        self.ready = False
        self.stopping = asyncio.Event()
        self.deaths = dict.fromkeys((program.name for program in programs), 0)
        self._marks: dict[str, Mark] = {}
        (home / "logs").mkdir(parents=True, exist_ok=True)

    async def run(self) -> None:
        """Run all programs. Returns when `stopping` is set and every one of them has ended."""
        ended = await asyncio.gather(*(self._keep(program) for program in self.programs), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure

    def say_ready(self) -> None:
        """Let the other commands know that the API answers."""
        self.ready = True
        self._write_state()

    async def _keep(self, program: Program) -> None:
        pause = FIRST_PAUSE_SECONDS
        try:
            while not self.stopping.is_set():
                began = time.monotonic()
                code = await self._run_once(program)
                if self.stopping.is_set():
                    return
                self.deaths[program.name] += 1
                if time.monotonic() - began > CALM_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                _show(program.name, f"ended with exit code {code}; starts again in {pause:.1f} s")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        finally:
            # Also when it cannot even be started: nothing runs on without the others.
            self.stopping.set()

    async def _run_once(self, program: Program) -> int:
        """Start the program and stay with it until it and everything it started has ended. Returns its exit code."""
        # A pipe of our own: asyncio's would make `wait` wait for every child that a killed program has left behind.
        output, input_end = os.pipe()
        lines = asyncio.StreamReader(limit=LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(output, "rb", buffering=0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                cwd=ROOT,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=input_end,
                stderr=input_end,
                # A session of its own: Ctrl-C reaches the supervisor alone, which then ends its programs in good order.
                start_new_session=True,
            )
        finally:
            os.close(input_end)
        self._marks[program.name] = mark(process.pid)
        self._write_state()
        reader = asyncio.create_task(_pass_on(program.name, lines, self.home / "logs"))
        ender = asyncio.create_task(self._end_when_stopping(process))
        code = await process.wait()
        ender.cancel()
        # Its workers must not outlive it, and would keep the pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await reader
        del self._marks[program.name]
        return code

    async def _end_when_stopping(self, process: asyncio.subprocess.Process) -> None:
        await self.stopping.wait()
        # Only to the first process: it tells its own children, and a second signal would cut them off.
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.sleep(STOP_TIMEOUT_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _write_state(self) -> None:
        write_state(State(mark(os.getpid()), dict(self._marks), self.base_url, self.ready), self.home)


async def _pass_on(name: str, lines: asyncio.StreamReader, logs: Path) -> None:
    """Write what a program says into its log and onto the screen."""
    path = logs / f"{name}.log"
    log = _open_log(path)
    try:
        while line := await _next_line(lines):
            # A full disk is no reason to stop listening: the program would wait for us for ever.
            with contextlib.suppress(OSError):
                log.write(line)
                log.flush()
            _show(name, line.decode(errors="replace").rstrip("\n"))
            if log.tell() > LOG_BYTES:
                log.close()
                log = _open_log(path)
    finally:
        log.close()


async def _next_line(lines: asyncio.StreamReader) -> bytes:
    try:
        return await lines.readline()
    except ValueError:
        return b"(a line that was too long to show)\n"


def _open_log(path: Path) -> IO[bytes]:
    """Open a log to append to, setting the old one aside when it has grown large."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


COLOURS = {"api": "36", "workers": "35", "shopify": "32"}


def _show(name: str, text: str) -> None:
    prefix = f"{name:<8}|"
    if sys.stdout.isatty():
        prefix = f"\033[{COLOURS.get(name, '33')}m{prefix}\033[0m"
    # The terminal may be gone, which is no reason to let the programs go.
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{prefix} {text}\n")
        sys.stdout.flush()
