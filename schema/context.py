"""What every resolver can reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain import customers
from domain.customers import Customer
from domain.scope import Scope
from schema.doorbell import Doorbell


@dataclass(slots=True)
class Context:
    """One request, or one socket, of one caller.

    customer_id: who the caller is, when a customer. ring: tells the workers that the merchant's outbox has something.
    ring_inbox: tells them that deliveries are due.
    wake: has the workers look for all that is due at the merchant now; whatever it misses the sweeper finds.
    """

    scope: Scope
    doorbell: Doorbell
    ring: Callable[[UUID], None]
    customer_id: UUID | None = None
    ring_inbox: Callable[[UUID], None] = field(default=lambda _: None)
    wake: Callable[[UUID], None] = lambda _: None
    _customers: DataLoader[UUID, Customer | None] | None = field(default=None)

    @property
    def customers(self) -> DataLoader[UUID, Customer | None]:
        """Customers by id, gathered over the fields of one request into one query."""
        if self._customers is None:
            self._customers = DataLoader(load_fn=self._load_customers)
        return self._customers

    async def _load_customers(self, ids: list[UUID]) -> list[Customer | None]:
        found = await customers.by_ids(self.scope, ids)
        return [found.get(one) for one in ids]


Info = strawberry.Info[Context, None]
