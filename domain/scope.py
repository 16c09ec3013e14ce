"""Who asks, for which merchant, and when: the first argument of everything in the domain."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec.structs import replace


class Door(StrEnum):
    """The door through which a caller came; it decides which fields are open."""

    STAFF = "staff"
    CUSTOMER = "customer"
    PARTNER = "partner"
    ADMIN = "admin"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. `id` is stable and holds no personal data: a Shopify user id, a customer's uuid, an API key's uuid."""

    door: Door
    id: str

    def __str__(self) -> str:
        return f"{self.door.value}:{self.id}"


NO_TIME = timedelta()
NOBODY = UUID(int=0)
"""The merchant of what is no merchant's: the platform's own people before they name one. Row-level security shows it no row."""

SYSTEM = Actor(Door.SYSTEM, "loyalnest")


class Scope(msgspec.Struct, frozen=True):
    """A merchant, an actor and an instant of the merchant's own clock. Time is an input: nothing below reads a clock.

    clock_offset: how far that clock is ahead of the real one; zero unless the merchant is a sandbox (docs/adr/0012).
    origin: the network that the actor came from, without the part that names a machine.
    """

    merchant_id: UUID
    actor: Actor
    at: datetime
    request_id: str = ""
    clock_offset: timedelta = NO_TIME
    origin: str = ""

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None, "an instant without a time zone is not an instant"

    @property
    def real_at(self) -> datetime:
        """The real instant: for what is not the merchant's, such as how long a credential lasts."""
        return self.at - self.clock_offset

    def later(self, at: datetime) -> "Scope":
        """The same scope at another instant of the merchant's clock."""
        return replace(self, at=at)

    def present(self) -> "Scope":
        """The same scope now, as the merchant's clock shows it. It reads the real clock, so only the edges call it, as `now`."""
        return replace(self, at=now() + self.clock_offset)


def now() -> datetime:
    """The real present instant. Only the edges call it: a request, a delivery, a job, a command of the terminal."""
    return datetime.now(UTC)


def system(merchant_id: UUID, at: datetime | None = None, clock_offset: timedelta = NO_TIME) -> Scope:
    """The scope of LoyalNest's own work for one merchant. at: an instant of the merchant's clock; left out, its present."""
    return Scope(merchant_id, SYSTEM, at or now() + clock_offset, clock_offset=clock_offset)
