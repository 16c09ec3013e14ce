"""Structured logs: one JSON object a line in production, readable lines in development. No personal data, no payloads."""

import logging
import sys

import structlog


def configure(*, development: bool) -> None:
    """Set up the logs of this process. Call once, at its start."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
    renderer = structlog.dev.ConsoleRenderer(colors=False) if development else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


log: structlog.stdlib.BoundLogger = structlog.get_logger()
