"""Numbers in order, however many: sorted in memory by the million, and merged from temporary files."""

import heapq
import tempfile
from array import array
from collections.abc import Iterator
from typing import IO

IN_MEMORY_MAX = 1_000_000
A_READ = 8_192


class SortedNumbers:
    """Takes 64-bit numbers in any order and gives them in ascending order, repeated ones repeatedly. Memory does not grow."""

    def __init__(self, in_memory_max: int = IN_MEMORY_MAX) -> None:
        self._in_memory_max = in_memory_max
        self._gathered = array("q")
        self._runs: list[IO[bytes]] = []

    def add(self, number: int) -> None:
        """Take one number, between -2**63 and 2**63 - 1."""
        self._gathered.append(number)
        if len(self._gathered) >= self._in_memory_max:
            self._spill()

    def __iter__(self) -> Iterator[int]:
        """Give all that were taken."""
        return heapq.merge(sorted(self._gathered), *(_read(run) for run in self._runs))

    def _spill(self) -> None:
        run = tempfile.TemporaryFile()  # noqa: SIM115 -- it is read after this, and lives as long as the object
        run.write(array("q", sorted(self._gathered)).tobytes())
        self._runs.append(run)
        self._gathered = array("q")


def _read(run: IO[bytes]) -> Iterator[int]:
    run.seek(0)
    while chunk := run.read(A_READ * 8):
        yield from array("q", chunk)
