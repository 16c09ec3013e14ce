"""Examines a shop's orders: batch by batch, so that memory does not grow with the shop, and a run that was killed can go on."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

from domain import doctor
from domain.doctor import Cause, Drift, SortedNumbers, State, Unreadable
from domain.errors import DomainError
from domain.scope import Scope
from integrations.shopify import Refused, Shopify, refunds
from workers import rewards  # noqa: F401  # pyright: ignore[reportUnusedImport] -- the relay starts its jobs by name
from workers.job import in_transaction
from workers.relay import relay

BATCH = 200


@dataclass(slots=True)
class Progress:
    """What has been read so far. A run that begins at `line` goes on where this one stopped."""

    line: int = 1
    orders: int = 0
    numbers: SortedNumbers = field(default_factory=SortedNumbers)
    first_created: datetime | None = None
    last_created: datetime | None = None


class _Rehearsed(Exception):
    def __init__(self, drifts: list[Drift]) -> None:
        self.drifts = drifts


async def examine(
    within: Scope,
    lines: Iterable[bytes | str],
    progress: Progress,
    *,
    book: bool,
    from_line: int = 1,
    shopify: Shopify | None = None,
) -> AsyncIterator[Drift]:
    """Compare Shopify's orders with the ledger and give those that drift; `book` settles what can be settled.

    shopify: who is asked for the refunds of orders that drift, which a bulk query does not tell; without it such orders are only
    named. Raises ShopifyError when it does not answer.

    Without it every entry is found by making it in a transaction that is rolled back, so that what is proposed is what booking
    would do. Orders that begin before `from_line` are only remembered as orders that Shopify has.
    """
    batch: list[State] = []
    for found in doctor.states(lines):
        _note(progress, found)
        if found.line < from_line:
            continue
        if isinstance(found, Unreadable):
            yield Drift(found.shopify_id or 0, Cause.UNREADABLE, f"line {found.line}: {found.why}")
            continue
        batch.append(found)
        if len(batch) == BATCH:
            for drift in await _examined(within, batch, shopify, book=book):
                yield drift
            progress.line, progress.orders = found.line + 1, progress.orders + len(batch)
            batch = []
    for drift in await _examined(within, batch, shopify, book=book):
        yield drift
    progress.orders += len(batch)
    async for shopify_id in _without(within, progress):
        yield Drift(shopify_id, Cause.NOT_IN_SHOPIFY, "Shopify has no order with this number, or the file leaves it out")


def _note(progress: Progress, found: State | Unreadable) -> None:
    if isinstance(found, State):
        created = found.snapshot.created_at
        progress.first_created = min(progress.first_created or created, created)
        progress.last_created = max(progress.last_created or created, created)
        progress.numbers.add(found.snapshot.id)
    elif found.shopify_id is not None:
        progress.numbers.add(found.shopify_id)


async def _examined(within: Scope, batch: list[State], shopify: Shopify | None, *, book: bool) -> list[Drift]:
    now = within.present()
    drifts = await doctor.compare(now, batch)
    if shopify is not None:
        drifts = [whole for drift in drifts for whole in await _whole(now, drift, shopify)]
    if not any(drift.cause in doctor.SETTLED for drift in drifts):
        return drifts
    try:
        settled = await _settled(now, drifts, book=book)
    except DomainError:
        # One of them cannot be evaluated: go one by one, so that only that one is told.
        settled = [one for drift in drifts for one in await _one(now, drift, book=book)]
    if book:
        await relay(now)
    return settled


async def _whole(now: Scope, drift: Drift, shopify: Shopify) -> list[Drift]:
    """The drift of an order with its refunds, where it lacked them."""
    if drift.cause is not Cause.INCOMPLETE or drift.state is None:
        return [drift]
    try:
        told = [await refunds.read(shopify, now, refund.id) for refund in drift.state.snapshot.refunds]
        return await doctor.compare(now, [doctor.with_refunds(drift.state, told)])
    except Refused as error:
        return [replace(drift, why=f"{drift.why}, and Shopify does not tell them: {error}")]
    except DomainError as error:
        return [Drift(drift.shopify_id, Cause.UNREADABLE, f"line {drift.state.line}: {error.message}")]


async def _one(now: Scope, drift: Drift, *, book: bool) -> list[Drift]:
    try:
        return await _settled(now, [drift], book=book)
    except DomainError as error:
        assert drift.state is not None, "what has no state is not evaluated"
        return [Drift(drift.shopify_id, Cause.UNREADABLE, f"line {drift.state.line}: {error.message}")]


async def _settled(now: Scope, drifts: list[Drift], *, book: bool) -> list[Drift]:
    async def act() -> list[Drift]:
        settled = await doctor.settle(now, drifts)
        if not book:
            raise _Rehearsed(settled)
        return settled

    try:
        return await in_transaction(now, act)
    except _Rehearsed as rehearsed:
        return rehearsed.drifts


async def _without(within: Scope, progress: Progress) -> AsyncIterator[int]:
    """The orders of the ledger that were placed in the time which the file covers, and are not in it."""
    if progress.first_created is None or progress.last_created is None:
        return
    theirs = (number for number, _ in groupby(progress.numbers))
    known = next(theirs, None)
    async for number in doctor.created_between(within, progress.first_created, progress.last_created):
        while known is not None and known < number:
            known = next(theirs, None)
        if known != number:
            yield number
