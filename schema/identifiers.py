"""Global ids: gid://loyalnest/Customer/0197… and, from the shop, gid://shopify/Customer/207119551."""

import re
from uuid import UUID

_SHOPIFY = re.compile(r"(?:gid://shopify/(\w+)/)?(\d{1,19})")
_BIGINT_MAX = 2**63 - 1


def gid(type_name: str, key: object) -> str:
    """The global id of a thing of ours."""
    return f"gid://loyalnest/{type_name}/{key}"


def key_of(type_name: str, identifier: str) -> str | None:
    """What stands behind the type in a global id of ours, or None when it is not one of this type."""
    prefix = f"gid://loyalnest/{type_name}/"
    return identifier[len(prefix) :] if identifier.startswith(prefix) else None


def type_of(identifier: str) -> str | None:
    """The type that a global id of ours names."""
    parts = identifier.split("/")
    return parts[3] if len(parts) == 5 and identifier.startswith("gid://loyalnest/") else None


def uuid_of(type_name: str, identifier: str) -> UUID | None:
    """The uuid in a global id of ours, or None when there is none."""
    key = key_of(type_name, identifier)
    if key is None:
        return None
    try:
        return UUID(key)
    except ValueError:
        return None


def shopify_number(type_name: str, identifier: str) -> int | None:
    """The number in Shopify's global id of this type, or in plain digits; None when it is neither."""
    match = _SHOPIFY.fullmatch(identifier)
    if match is None or match[1] not in (None, type_name):
        return None
    number = int(match[2])
    return number if number <= _BIGINT_MAX else None
