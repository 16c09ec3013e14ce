"""What every resolver can reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain import customers, memberships
from domain.access import Permission
from domain.customers import Customer
from domain.memberships import Membership
from domain.scope import Scope
from schema.doorbell import Doorbell


class ThrottleStatus(NamedTuple):
    """A caller's bucket: how many points it can hold, how many it holds, and how many it regains in a second."""

    maximum: int
    available: int
    restore_per_s: int


class Allowance(Protocol):
    """What a caller may spend. The buckets are in Redis, which the schema does not know."""

    told: bool
    """Whether the answer tells what it cost."""

    async def spend(self, points: int) -> None:
        """Take points. Raises a THROTTLED refusal."""
        ...

    def give_back(self, points: int) -> None:
        """Return what was not used."""
        ...

    def status(self) -> ThrottleStatus:
        """The bucket as it stands."""
        ...


@dataclass(slots=True)
class Context:
    """One operation of one caller.

    customer_id: who the caller is, when a customer. ring: tells the workers that the merchant's outbox has something.
    permissions: what the caller was granted. allowance: what the operation is charged to; without one it is free.
    ring_inbox: tells them that deliveries are due.
    wake: has the workers look for all that is due at the merchant now; whatever it misses the sweeper finds.
    """

    scope: Scope
    doorbell: Doorbell
    ring: Callable[[UUID], None]
    customer_id: UUID | None = None
    permissions: frozenset[Permission] = frozenset()
    allowance: Allowance | None = None
    ring_inbox: Callable[[UUID], None] = field(default=lambda _: None)
    wake: Callable[[UUID], None] = lambda _: None
    _customers: DataLoader[UUID, Customer | None] | None = field(default=None)
    _memberships: DataLoader[UUID, Membership] | None = field(default=None)

    @property
    def customers(self) -> DataLoader[UUID, Customer | None]:
        """Customers by id, gathered over the fields of one request into one query."""
        if self._customers is None:
            self._customers = DataLoader(load_fn=self._load_customers)
        return self._customers

    async def _load_customers(self, ids: list[UUID]) -> list[Customer | None]:
        found = await customers.by_ids(self.scope, ids)
        return [found.get(one) for one in ids]

    @property
    def memberships(self) -> DataLoader[UUID, Membership]:
        """What customers belong to, by their ids, likewise."""
        if self._memberships is None:
            self._memberships = DataLoader(load_fn=self._load_memberships)
        return self._memberships

    async def _load_memberships(self, ids: list[UUID]) -> list[Membership]:
        found = await memberships.of_customers(self.scope, ids)
        return [found[one] for one in ids]


Info = strawberry.Info[Context, None]
