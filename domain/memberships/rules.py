"""What a tier or a segment may be called."""

import re

from domain.errors import Code, DomainError

SEGMENTS_MAX = 50
"""As many as checkout reads of a customer."""

_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)


class InvalidHandle(DomainError):
    """A tier or a segment is not called by a handle."""

    code = Code.HANDLE_INVALID


def is_handle(text: str) -> bool:
    """Whether it can be a tier or a segment: 1 to 64 small letters, digits, hyphens and underscores, such as gold or us-vip."""
    return _HANDLE.fullmatch(text) is not None


def check(handle: str, field: tuple[str, ...]) -> None:
    """Raises InvalidHandle."""
    if not is_handle(handle):
        raise InvalidHandle("A handle has 1 to 64 small letters, digits, hyphens and underscores, such as us-vip.", field=field)
