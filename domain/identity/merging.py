"""Two customers turn out to be one: everything of the one who goes becomes the other's, and can go back."""

from collections.abc import Collection
from uuid import UUID

import msgspec

from domain import actions, audit, customers, db, memberships, merchants, orders, points
from domain.actions import MovedClaim
from domain.customers import Merge, Standing, State
from domain.errors import NotFound
from domain.identifiers import new_id
from domain.identity.accounts import claim
from domain.identity.holding import by_number, hold, take_turns
from domain.identity.moves import MovedOrder, later_lots, move, move_back
from domain.identity.rules import MergeConflict
from domain.scope import Scope


async def merge(scope: Scope, *, kept: int, gone: int, job_id: str | None = None) -> Merge | None:
    """Make two of Shopify's customers one: points with their dates, debts, pending points and orders become those of who is kept.

    Signup points, follows, birthdays and goals that both were given for are taken back once; goals that only both together reach
    are given. Whoever looks for the one who goes is led to the other. Both are made
    when they are new. Audited. Precondition: an open transaction. Returns None when it was done before, or was undone by staff
    and is told again. Refusal: MERGE_CONFLICT when the one who is kept has been merged into the one who goes, or the one who
    goes into a third.
    """
    if kept == gone:
        raise MergeConflict("A customer cannot be merged into themself.", field=("kept",))
    held = await hold(scope, [kept, gone])
    leaving, staying = _two(held, gone, kept)
    if leaving.id in (staying.id, staying.merged_into):
        raise MergeConflict("The one who is to be kept has been merged into the other.", field=("kept",))
    earlier = await customers.merges_of(scope, leaving.id)
    if leaving.merged_into is not None:
        if leaving.merged_into == staying.id:
            return None
        raise MergeConflict("The one who is to go has been merged into another.", field=("gone",))
    if any(one.kept_id == staying.id and (job_id is None or one.job_id in (None, job_id)) for one in earlier):
        return None
    done = await _merge(scope, leaving, staying, job_id, [one.id for one in held.values() if one.merged_into == leaving.id])
    await audit.record(
        scope,
        "customer.merged",
        f"gid://loyalnest/Customer/{leaving.id}",
        after={"into": str(staying.id), "signup_taken_back": done.signup is not None},
    )
    return done


async def unite(scope: Scope, numbers: Collection[int]) -> None:
    """Make one customer of those who have one verified address in several shops of the merchant: who was here first is kept.

    Within a shop an address is one customer's, so with one shop nothing is done. What staff have taken apart stays apart.
    Precondition: an open transaction, in which the customers were written. Running it twice is running it once.
    """
    if not await merchants.stores.are_several(scope):
        return
    # Two who are told of at the same moment take turns, so that the second sees the first.
    await customers.look_for_guests(scope, as_guest=False)
    for kept, gone in await customers.namesakes(scope, numbers):
        await merge(scope, kept=kept, gone=gone)


def _two(held: dict[UUID, Standing], gone: int, kept: int) -> tuple[Standing, Standing]:
    """The one who goes, as themself; and who stands for the one who is kept."""
    leaving, staying = by_number(held, gone), by_number(held, kept)
    return leaving, held.get(staying.merged_into, staying) if staying.merged_into else staying


async def _merge(scope: Scope, leaving: Standing, staying: Standing, job_id: str | None, redirected: list[UUID]) -> Merge:
    merge_id = new_id()
    cause = str(merge_id)
    # Those whose orders were written while this waited for the customers are there now, and no more can come.
    moving = await orders.of_customer(scope, leaving.id)
    await points.hold_all(scope, (leaving.id, staying.id))
    signup = await _take_back_signup(scope, leaving.id, staying.id, cause)
    twice = await actions.take_back_twice(scope, from_id=leaving.id, to_id=staying.id, cause=cause)
    lots = await points.transfer(scope, from_id=leaving.id, to_id=staying.id, cause=cause)
    moved = await move(scope, moving, lots, from_id=leaving.id, to_id=staying.id, cause=cause)
    claims = await actions.move(scope, lots, from_id=leaving.id, to_id=staying.id, cause=cause, twice=twice)
    done = Merge(
        merge_id,
        leaving.id,
        staying.id,
        job_id,
        scope.at,
        None,
        leaving.state.value,
        staying.joined_at,
        redirected,
        signup,
        msgspec.json.encode(moved).decode(),
        msgspec.json.encode(claims).decode(),
    )
    await customers.link(scope, done)
    await memberships.turn(scope, leaving.id, {staying.id})
    await points.close(scope, [leaving.id], State.MERGED)
    if staying.state is State.OPEN:
        await orders.settle_again(scope, await orders.waiting_of(scope, staying.id))
        if leaving.state is not State.OPEN:
            await actions.hold_tills(scope)
            await actions.resume(scope, staying.id, await customers.family(scope, staying.id))
    else:
        await orders.pause(scope, staying.id)
        await actions.pause(scope, staying.id)
    return done


async def _take_back_signup(scope: Scope, leaving_id: UUID, staying_id: UUID, cause: str) -> int | None:
    """Take back the signup points of the one who goes when the other has had them too. Returns for which Shopify number."""
    leaving, staying = await customers.family(scope, leaving_id), await customers.family(scope, staying_id)
    taken = await customers.signups_taken(scope, [*leaving, *staying])
    given = await points.signups_of(scope, (set(leaving.values()) | set(staying.values())) - taken)
    of_leaving = [one for one in given if one.number in leaving.values()]
    if not of_leaving or len(of_leaving) == len(given):
        return None
    first = of_leaving[0]
    await points.take_back(scope, leaving_id, first, cause)
    return first.number


async def undo(scope: Scope, *, customer_id: UUID) -> Merge:
    """Take the merge of a customer back: every lot, date, debt, order and claim is where it was. Audited.

    What expired meanwhile has expired, as it would have; what an order or a claim gained or lost since stays with it. Orders and
    claims that came since under the old number go along, guests' orders with their address too, and what only both together
    reached is taken back. Precondition: an open transaction. Refusals: NOT_FOUND for who was not merged; MERGE_CONFLICT while
    who was kept is merged into another, or somebody is erased; MERGE_SPENT when points that came by it have been spent, or
    points earned since have paid a debt that came by it.
    """
    merge = await _in_force(scope, customer_id)
    await take_turns(scope)
    await orders.of_customer(scope, merge.kept_id)
    held = await customers.lock(scope, {merge.gone_id, merge.kept_id})
    if await _in_force(scope, customer_id) != merge:
        raise db.Collision("this merge was taken back, and there is another")
    leaving, staying = held[merge.gone_id], held[merge.kept_id]
    if leaving.state is not State.MERGED or staying.state in (State.MERGED, State.REDACTED):
        raise MergeConflict("Who was kept has been merged into another since, or somebody was erased.", field=("id",))
    moved = {one.number: one for one in msgspec.json.decode(merge.orders, type=list[MovedOrder])}
    theirs = await orders.of_customer(scope, merge.kept_id)
    returning = [order for order in theirs if order.shopify_id in moved]
    cause = str(merge.id)
    await points.hold_all(scope, (merge.gone_id, merge.kept_id))
    claimed = msgspec.json.decode(merge.claims, type=list[MovedClaim])
    claims = await actions.returning(scope, merge.kept_id, {merge.gone_id, *merge.redirected})
    later = later_lots(moved, returning) | actions.later_lots(claimed, claims)
    arrived = await points.transfer_back(scope, cause=cause, later=later, to_id=merge.gone_id)
    await move_back(scope, moved, returning, arrived, to_id=merge.gone_id, cause=cause)
    numbers = {order.shopify_id for order in returning}
    await actions.move_back(scope, claimed, claims, numbers, arrived, from_id=merge.kept_id, to_id=merge.gone_id, cause=cause)
    await customers.unlink(scope, merge)
    await memberships.turn(scope, merge.gone_id, {merge.gone_id, merge.kept_id})
    await points.close(scope, [merge.gone_id], State(merge.gone_state))
    await actions.settle_apart(scope, (merge.gone_id, merge.kept_id))
    await orders.settle_again(
        scope, _named(theirs, {leaving.shopify_id, *(held[one].shopify_id for one in merge.redirected)}, moved)
    )
    if merge.gone_state == State.OPEN:
        await orders.settle_again(scope, await orders.waiting_of(scope, merge.gone_id))
        # As when an account is opened: the shop may have done so while they were one.
        await points.award_signups(scope, [merge.gone_id])
        await claim(scope, [leaving.shopify_id])
        await actions.resume(scope, merge.gone_id, await customers.family(scope, merge.gone_id))
    else:
        await orders.pause(scope, merge.gone_id)
        await actions.pause(scope, merge.gone_id)
    await audit.record(
        scope, "customer.unmerged", f"gid://loyalnest/Customer/{merge.gone_id}", before={"into": str(merge.kept_id)}
    )
    return merge


async def _in_force(scope: Scope, customer_id: UUID) -> Merge:
    merges = [one for one in await customers.merges_of(scope, customer_id) if one.undone_at is None]
    if not merges:
        raise NotFound("This customer was not merged into another.", field=("id",))
    return merges[0]


def _named(theirs: Collection[orders.Order], numbers: set[int], moved: Collection[int]) -> list[int]:
    """The orders that name one of these customers and did not move with the merge: they came after it."""
    found: list[int] = []
    for order in theirs:
        customer = orders.parse(order.snapshot).customer
        owner = customer.id if customer else order.claimed_by
        if owner in numbers and order.shopify_id not in moved:
            found.append(order.shopify_id)
    return found
