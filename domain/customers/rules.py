"""What a customer's webhook tells, split into what may lie open and what is sealed."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from domain.seal import unseal


class CustomerSnapshot(msgspec.Struct, frozen=True):
    """The open part of Shopify's customer object: ids and instants, no personal data.

    `state` is that of the login. Most customers have none and are "disabled" in Shopify's words, which closes no account here.
    """

    id: int
    created_at: datetime
    updated_at: datetime
    verified_email: bool = False
    state: str | None = None

    @property
    def is_verified(self) -> bool:
        """Whether the shop vouches that the account is in use and the address is its owner's."""
        return self.verified_email and self.state == "enabled"


class Profile(msgspec.Struct, frozen=True):
    """The personal part, which is kept sealed."""

    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class State(StrEnum):
    """How a customer stands. Only an open one earns and spends."""

    OPEN = "open"
    DISABLED = "disabled"
    DELETED = "deleted"
    MERGED = "merged"
    REDACTED = "redacted"


KEPT = tuple(field for field in CustomerSnapshot.__struct_fields__)


def keep(payload: dict[str, Any]) -> tuple[dict[str, Any], Profile]:
    """Split a webhook's body into what is kept in the open and what is sealed; all else is dropped at the door."""
    personal = {name: value for name in Profile.__struct_fields__ if isinstance(value := payload.get(name), str)}
    return {name: payload[name] for name in KEPT if name in payload}, Profile(**personal)


def opened(merchant_id: UUID, customer_id: UUID, sealed_profile: bytes | None) -> Profile:
    """The personal data of a customer, opened. Raises Damaged."""
    if sealed_profile is None:
        return Profile()
    return msgspec.json.decode(unseal(merchant_id, "customers.profile", str(customer_id), sealed_profile), type=Profile)


def words(shopify_id: int, profile: Profile) -> set[str]:
    """Every word under which a customer is found: the e-mail, each word of the name, the Shopify id."""
    found = {str(shopify_id)}
    if profile.email:
        found.add(profile.email)
    for name in (profile.first_name, profile.last_name):
        found.update((name or "").split())
    return {word.casefold() for word in found}
