"""Holding customers with all that is theirs, so that nobody else changes it and who stands for whom stays as it is."""

from collections.abc import Collection
from uuid import UUID

from domain import customers, db, orders, points
from domain.customers import Standing
from domain.scope import Scope


async def hold(scope: Scope, numbers: Collection[int]) -> dict[UUID, Standing]:
    """Lock who stands for Shopify's customers, made when new, all who were merged into them, and before that their orders.

    Whoever does something to several customers holds all of them at first: one after the other, two who begin at different ends
    would wait for each other for ever. Precondition: an open transaction that holds nothing of them, or all of it.
    Raises Collision when a merge or its undoing was first.
    """
    ids = await customers.stand_for(scope, numbers)
    await orders.hold_of(scope, ids.values())
    held = await customers.lock(scope, set(ids.values()))
    await points.hold_all(scope, held)
    if await customers.stand_for(scope, numbers) != ids:
        raise db.Collision("somebody else stands for a customer now")
    return held


def by_number(held: dict[UUID, Standing], number: int) -> Standing:
    """The customer themself whom Shopify knows by this number, whoever stands for them."""
    return next(one for one in held.values() if one.shopify_id == number)
