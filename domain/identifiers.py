"""Identifiers: time-ordered uuids, made here because PostgreSQL before 18 cannot."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh uuid of version 7: later ones sort after earlier ones."""
    return uuid7()


def uuid_or_none(text: str) -> UUID | None:
    """The uuid that a text writes in its usual form, or None when it is none."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None
