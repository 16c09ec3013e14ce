"""What goes wrong on demand."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["latency", "throttled", "too_many", "unavailable", "lost", "refused", "garbled"]
"""latency: the answer comes late. throttled: HTTP 200 with THROTTLED. too_many: HTTP 429. unavailable: HTTP 503, nothing is
done. lost: it is done, and the answer is HTTP 504. refused: a userError. garbled: done, and the answer is no JSON."""


@dataclass
class Fault:
    """One kind of trouble for the next `times` calls of an operation; `*` is every operation, `oauth` the token endpoint."""

    operation: str
    kind: Kind
    times: int = 1
    latency_ms: int = 0


@dataclass
class Faults:
    """The faults that are to come, in their order."""

    coming: list[Fault] = field(default_factory=list)
    latency_ms: int = 0
    """Added to every answer."""

    async def meet(self, operation: str) -> Fault | None:
        """The fault of this call, if it has one; lateness is served here."""
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 1000)
        for fault in self.coming:
            if fault.times > 0 and fault.operation in (operation, "*"):
                fault.times -= 1
                if fault.latency_ms:
                    await asyncio.sleep(fault.latency_ms / 1000)
                return None if fault.kind == "latency" else fault
        return None
