"""How many sockets are open, and whose: a stranger gets a few for a moment, a credential gets enough, a process survives."""

from collections import Counter

from domain.errors import Code, DomainError

OPEN_MAX = 5_000
"""Sockets of one process. The balancer tries another one when this one is full."""
WAITING_MAX = 64
"""Sockets from one address that have not shown a credential yet. A shop behind one address opens fewer at once."""
CREDENTIAL_MAX = 100
"""Sockets of one credential in one process: every tab of a busy office."""


class TooManySockets(DomainError):
    """The credential has as many sockets as one may have."""

    code = Code.THROTTLED


class Sockets:
    """The counts of one process."""

    def __init__(self) -> None:
        self.open = 0
        self._waiting: Counter[str] = Counter()
        self._admitted: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a new socket from an address; False when there is no room for it, and then it is not counted."""
        if self.open >= OPEN_MAX or self._waiting[address] >= WAITING_MAX:
            return False
        self.open += 1
        self._waiting[address] += 1
        return True

    def admit(self, address: str, credential: str) -> None:
        """The socket has shown this credential and waits no longer. Raises TooManySockets."""
        if self._admitted[credential] >= CREDENTIAL_MAX:
            raise TooManySockets(f"A credential has at most {CREDENTIAL_MAX} sockets.")
        _less(self._waiting, address)
        self._admitted[credential] += 1

    def leave(self, address: str, credential: str | None) -> None:
        """The socket is closed. `credential` is what it was admitted with."""
        self.open -= 1
        if credential is None:
            _less(self._waiting, address)
        else:
            _less(self._admitted, credential)


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
