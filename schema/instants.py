"""Instants that callers give."""

from datetime import UTC, datetime

from domain.errors import DomainError


def instant(given: datetime, *field: str) -> datetime:
    """An instant in UTC. Refusal: BAD_INPUT without a time zone, and outside the years 1 to 9999 of UTC."""
    if given.tzinfo is None:
        raise DomainError("An instant needs a time zone, such as 2026-11-21T12:00:00Z.", field=field)
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise DomainError("The instant is outside the years 1 to 9999.", field=field) from None
