"""Work in fresh processes, so that what it takes of memory is its own."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def apart(work: Callable[..., Result], parts: Sequence[tuple[Any, ...]]) -> list[Result]:
    """Do `work` once for each part, all at the same time, each in a process of its own that has done nothing else."""
    with ProcessPoolExecutor(len(parts), mp_context=multiprocessing.get_context("spawn")) as pool:
        return [running.result() for running in [pool.submit(work, *part) for part in parts]]


def resident_mib() -> float:
    """What this process has in memory now; 0 where there is no /proc."""
    return _status("VmRSS")


def peak_mib() -> float:
    """The most that this process has had in memory; 0 where there is no /proc."""
    return _status("VmHWM")


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)
