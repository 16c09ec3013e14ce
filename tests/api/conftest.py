"""What the tests of the doors stand on: the lines that the application logs, to be asked what is in them, and patience."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from api import throttle


class _Lines(logging.Handler):
    """Keeps what goes through the standard library's logs."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with its traceback."""
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self._lines.append(record.getMessage() + trace)


class _Events:
    """Structlog's events, written out as they come, tracebacks too."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __call__(self, _logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        error = event.get("exc_info")
        trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        self._lines.append(repr(event) + trace)
        raise structlog.DropEvent


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every line that the application logs meanwhile."""
    lines: list[str] = []
    handler = _Lines(lines)
    processors = structlog.get_config()["processors"]
    kept = list(processors)
    # In place, because a logger that was used before holds this very list.
    processors[:] = [structlog.contextvars.merge_contextvars, _Events(lines)]
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        processors[:] = kept
        logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may keep Redis waiting for longer than a request would: the allowances of a test are the shared ones."""
    monkeypatch.setattr(throttle, "TIMEOUT_S", 60)
