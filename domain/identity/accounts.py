"""Accounts that the shop closes and opens, and guests who turn out to have one."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from domain import actions, audit, customers, orders, points
from domain.customers import State
from domain.identity.holding import by_number, hold, take_turns
from domain.identity.personal import forget
from domain.scope import Scope


async def disable(scope: Scope, number: int, told_at: datetime | None) -> None:
    """Close the account of Shopify's customer: it neither earns nor spends, and its orders wait. Audited.

    Precondition: an open transaction. Of several tellings the newest counts, whatever order they come in.
    """
    customer_id = await _hold(scope, number)
    if await _set(scope, customer_id, State.DISABLED, told_at):
        await orders.pause(scope, customer_id)
        await actions.pause(scope, customer_id)


async def enable(scope: Scope, number: int, told_at: datetime | None) -> None:
    """Open the account again: its orders and claims are booked by what they are now, and what was missed is given. Audited.

    Precondition: an open transaction. A customer who was deleted, merged or erased is not opened.
    """
    await take_turns(scope)
    customer_id = await _hold(scope, number)
    if await _set(scope, customer_id, State.OPEN, told_at):
        await orders.settle_again(scope, await orders.waiting_of(scope, customer_id))
        await points.award_signups(scope, [customer_id])
        await claim(scope, [number])
        await actions.resume(scope, customer_id, await customers.family(scope, customer_id))


async def delete(scope: Scope, number: int) -> None:
    """Close the account for good, and forget who it was: the shop has done so. Audited. Precondition: an open transaction."""
    customer_id = await _hold(scope, number)
    if await _set(scope, customer_id, State.DELETED, None):
        await forget(scope, [customer_id])
        await orders.pause(scope, customer_id)
        await actions.pause(scope, customer_id)


async def claim(scope: Scope, numbers: Collection[int]) -> None:
    """Give guests' orders to those of these customers whose verified address they bear, and book them as theirs.

    Precondition: an open transaction, in which the customers were written. Running it twice is running it once.
    """
    if not await customers.email_terms(scope, numbers):
        return
    await customers.look_for_guests(scope, as_guest=False)
    await orders.settle_again(scope, await orders.claimable(scope, await customers.email_terms(scope, numbers)))


async def _hold(scope: Scope, number: int) -> UUID:
    """Lock a customer as themself, made when new, behind the orders that they have."""
    return by_number(await hold(scope, [number]), number).id


async def _set(scope: Scope, customer_id: UUID, state: State, told_at: datetime | None) -> bool:
    """Write down how a customer stands. Returns whether their account was closed or opened by it.

    Who is merged has no account of their own: what is told of them holds when the merge is undone. That they were deleted is
    told of everybody who goes in a merge, and so says nothing more.
    """
    [before] = (await customers.by_ids(scope, [customer_id])).values()
    if before.state in (State.DELETED, State.REDACTED):
        return False
    if before.state == State.MERGED:
        stood = None if state is State.DELETED else await customers.note_state(scope, customer_id, state, told_at)
        if stood is not None:
            await _record(scope, customer_id, stood, state)
        return False
    if not await customers.set_state(scope, customer_id, state, told_at):
        return False
    await points.close(scope, [customer_id], state)
    await _record(scope, customer_id, before.state, state)
    return True


async def _record(scope: Scope, customer_id: UUID, before: str, state: State) -> None:
    await audit.record(
        scope,
        f"customer.{'opened' if state is State.OPEN else state.value}",
        f"gid://loyalnest/Customer/{customer_id}",
        before={"state": before},
        after={"state": state.value},
    )
