"""Holding customers with all that is theirs, so that nobody else changes it and who stands for whom stays as it is."""

from collections.abc import Collection
from uuid import UUID

from domain import actions, customers, db, merchants, orders, points
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


async def hold_arriving(scope: Scope, numbers: Collection[int], email_terms: Collection[bytes]) -> None:
    """Hold what it may change that these customers are told of, as booking does: the guests' turn, orders, and then customers.

    numbers: Shopify's. email_terms: of the verified addresses that are told. Somebody without an address changes no order and
    becomes one with nobody. Precondition: an open transaction that holds nothing of them. Raises Collision as `hold`.
    """
    terms = {*email_terms, *await customers.email_terms(scope, numbers)}
    if not terms:
        return
    await customers.look_for_guests(scope, as_guest=False)
    several = await merchants.stores.are_several(scope)
    known = await customers.sharing(scope, numbers, terms) if several else set[int]()
    people = await customers.stand_for(scope, known)
    await orders.hold_of(scope, people.values(), await orders.claimable(scope, terms))
    if several:
        await hold(scope, {*numbers, *known})


async def take_turns(scope: Scope) -> None:
    """Take the turns of whoever opens an account, and books for it what has waited: the tills', and then the guests'.

    Precondition: an open transaction that holds nothing.
    """
    await actions.hold_tills(scope)
    await customers.look_for_guests(scope, as_guest=False)


def by_number(held: dict[UUID, Standing], number: int) -> Standing:
    """The customer themself whom Shopify knows by this number, whoever stands for them."""
    return next(one for one in held.values() if one.shopify_id == number)
