"""Identifiers: time-ordered uuids, made here because PostgreSQL before 18 cannot."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh uuid of version 7: later ones sort after earlier ones."""
    return uuid7()
