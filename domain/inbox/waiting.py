"""A delivery that is to be worked off, and what works it off."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

import msgspec

from domain.scope import Scope


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that is to be worked off. Its parent, if its kind has one, is known. request_id: the request that brought it."""

    webhook_id: str
    topic: str
    parent: str | None
    payload: str
    profile: bytes | None
    attempts: int
    request_id: str
    triggered_at: datetime | None


Handler = Callable[[Scope, Sequence[Waiting]], Awaitable[Collection[str]]]
"""Books what claimed deliveries of one kind say, in the transaction that claimed them, and runs twice as it runs once.

Returns the keys of the orders and customers that are known from now on, for those deliveries that wait for them.
Raises DomainError when one of them cannot be read: nothing of the batch is booked then, and the caller narrows it down.
"""
