"""Of whom somebody tells, and who stands for them."""

from collections.abc import Collection
from uuid import UUID

from domain import customers
from domain.customers import Standing, State
from domain.errors import NotFound
from domain.points import AccountClosed
from domain.scope import Scope


async def earner(scope: Scope, customer_id: UUID, field: tuple[str, ...]) -> UUID:
    """Who earns for what is told of a customer: themself, or who was kept when they were merged.

    Precondition: an open transaction that holds no account. Until it ends they are not merged or closed. Refusals: NOT_FOUND, and
    ACCOUNT_CLOSED when they are disabled, deleted or erased.
    """
    found = (await customers.standing(scope, [customer_id])).get(customer_id)
    if found is None:
        raise NotFound("There is no such customer.", field=field)
    if found.state is not State.OPEN:
        raise AccountClosed("The customer's account is closed: it neither earns nor spends.", field=field)
    return found.id


async def earners(scope: Scope, customer_ids: Collection[UUID | None]) -> dict[UUID, Standing]:
    """Who stands for each of these customers, open or closed; unknown ones are left out. Precondition as above."""
    return await customers.standing(scope, {one for one in customer_ids if one is not None})
