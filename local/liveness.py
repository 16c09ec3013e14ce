"""Whether a process lives. A zombie does not: some machines' first process is slow to bury the dead, or never does."""

import time
from collections.abc import Iterable

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Whether this very process still runs; another with the same number does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait until all of them have ended. Returns those that have not by then."""
    deadline = time.monotonic() + timeout_seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if is_alive(process)]
    return left
