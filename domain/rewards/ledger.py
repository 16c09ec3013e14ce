"""How rewards move points: taken when a reward is held, given back when it comes to nothing."""

from uuid import UUID

from domain import customers, points
from domain.customers import State
from domain.points import Entry, NothingToRestore, TransactionType
from domain.scope import Scope


async def take(
    scope: Scope, customer_id: UUID, amount: int, source: str, cause: UUID, purpose: str = "hold", *, floor: int | None = 0
) -> int:
    """Take points for a cause, and return the entry's position. Raises InsufficientPoints."""
    [posted] = await points.post(
        scope,
        [
            Entry(
                customer_id=customer_id,
                type=TransactionType.REDEEM,
                points=-amount,
                pending=0,
                source=source,
                external_id=str(cause),
                purpose=purpose,
                floor=floor,
            )
        ],
    )
    return posted.position


async def debtor(scope: Scope, customer_id: UUID) -> UUID | None:
    """Who owes what a customer's checkout has had: they, or who was kept when they were merged; None while that one is closed.

    A closed account spends nothing, and an order of its customer is booked all the same. Precondition: an open transaction.
    """
    [owner] = (await customers.standing(scope, [customer_id])).values()
    return owner.id if owner.state is State.OPEN else None


async def give_back(scope: Scope, customer_id: UUID, position: int, amount: int, source: str, cause: UUID, purpose: str) -> None:
    """Give back points that the entry at `position` took, to the lots they came from. The same cause gives back once.

    What was taken below zero came from no lot, and comes back as points of its own. All of it reaches who was kept, when the
    customer has been merged since.
    """
    if amount == 0:
        return
    try:
        await points.restore(
            scope,
            customer_id=customer_id,
            position=position,
            points=amount,
            source=source,
            external_id=str(cause),
            purpose=purpose,
        )
    except NothingToRestore:
        entry = Entry(
            customer_id=await customers.stands_for(scope, customer_id),
            type=TransactionType.REDEEM,
            points=amount,
            pending=0,
            source=source,
            external_id=str(cause),
            purpose=f"{purpose}:debt",
        )
        await points.post(scope, [entry])
