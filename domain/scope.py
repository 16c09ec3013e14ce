"""Who asks, for which merchant, and when: the first argument of everything in the domain."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID


class Door(StrEnum):
    """The door through which a caller came; it decides which fields are open."""

    STAFF = "staff"
    CUSTOMER = "customer"
    PARTNER = "partner"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `id` is stable and holds no personal data: a Shopify user id, a customer's uuid, an API key's uuid."""

    door: Door
    id: str

    def __str__(self) -> str:
        return f"{self.door.value}:{self.id}"


SYSTEM = Actor(Door.SYSTEM, "loyalnest")


@dataclass(frozen=True, slots=True)
class Scope:
    """A merchant, an actor and an instant. Time is an input: nothing below reads a clock."""

    merchant_id: UUID
    actor: Actor
    at: datetime
    request_id: str = ""

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None, "an instant without a time zone is not an instant"

    def later(self, at: datetime) -> "Scope":
        """The same scope at another instant."""
        return replace(self, at=at)


def now() -> datetime:
    """The present instant. Only the edges call it: a request, a delivery, a job, a command of the terminal."""
    return datetime.now(UTC)


def system(merchant_id: UUID, at: datetime | None = None) -> Scope:
    """The scope of LoyalNest's own work for one merchant."""
    return Scope(merchant_id, SYSTEM, at or now())
