"""Who is waiting for news of which account, in this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class Doorbell:
    """Bells by account. A bell says that there may be news; the listener reads the ledger to see.

    Nothing is queued, so a listener that reads slowly costs one flag, however much happens meanwhile.
    """

    def __init__(self) -> None:
        self._bells: dict[tuple[UUID, UUID], set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def listen(self, merchant_id: UUID, customer_id: UUID) -> Iterator[asyncio.Event]:
        """A bell for one account, for as long as the context is open."""
        bell = asyncio.Event()
        account = (merchant_id, customer_id)
        self._bells[account].add(bell)
        try:
            yield bell
        finally:
            self._bells[account].discard(bell)
            if not self._bells[account]:
                del self._bells[account]

    def ring(self, merchant_id: UUID, customer_id: UUID) -> None:
        """Wake those who listen for this account."""
        for bell in self._bells.get((merchant_id, customer_id), ()):
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody: some rings may have been missed."""
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    def count(self) -> int:
        """How many listen."""
        return sum(len(bells) for bells in self._bells.values())
