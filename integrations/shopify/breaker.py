"""A circuit breaker: when a shop's API has failed again and again, calls fail at once instead of waiting for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from integrations.shopify.errors import NotSent, Unanswered

FAILURES_MAX = 5
"""So many calls in a row without an answer open the circuit."""

PAUSE_S = 10.0
"""How long it stays open before one call may try."""


class CircuitOpen(NotSent):
    """Shopify has not answered for a while, and the pause is not over."""


@dataclass(slots=True)
class Breaker:
    """Closed while `failures` is below its limit; then open for a pause; then half open: one call tries for all.

    Only a missing answer is a failure. A refusal or throttling is an answer.
    """

    clock: Callable[[], float] = field(default=monotonic)
    failures: int = 0
    opened_at: float = 0.0
    trying: bool = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call. Raises CircuitOpen when it must not be made."""
        trial = self.failures >= FAILURES_MAX
        if trial:
            if self.trying or self.clock() - self.opened_at < PAUSE_S:
                raise CircuitOpen("Shopify does not answer at present.")
            self.trying = True
        try:
            yield
        except Unanswered:
            self.failures += 1
            self.opened_at = self.clock()
            raise
        except BaseException as error:
            # Cancelled in the middle: nothing was learned. Any other error is an answer.
            if isinstance(error, Exception):
                self.failures = 0
            raise
        else:
            self.failures = 0
        finally:
            if trial:
                self.trying = False
