"""What drift is: an order that Shopify and the ledger do not agree about, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from domain.doctor.reading import State
from domain.orders import OrderSnapshot
from domain.orders.rules import is_newer

DIFFERENCES_MAX = 6
"""How many fields are named; an order that changed altogether needs no longer list."""


class Cause(StrEnum):
    """Why an order drifts."""

    MISSING = "missing"
    OLDER = "older snapshot"
    INCOMPLETE = "needs the whole order"
    LEDGER_DIFFERS = "ledger differs"
    NOT_IN_SHOPIFY = "not in Shopify"
    UNREADABLE = "unreadable"


SETTLED = frozenset({Cause.MISSING, Cause.OLDER})
"""What booking mends. For the others a person decides."""


@dataclass(frozen=True, slots=True)
class Movement:
    """An entry that settles an order: signed points and pending points of a customer, by the customer's Shopify number."""

    customer: int
    points: int
    pending: int
    purpose: str


@dataclass(frozen=True, slots=True)
class Drift:
    """An order that drifts. `state` is Shopify's, where there is one that can be read."""

    shopify_id: int
    cause: Cause
    why: str
    state: State | None = None
    movements: tuple[Movement, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """An order as the ledger has it: its snapshot, what its row says was posted, and what was posted (points, pending)."""

    snapshot: OrderSnapshot
    text: str
    posted: tuple[int, int]
    entries: tuple[int, int]


def drift_of(state: State, kept: Kept | None) -> Drift | None:
    """Whether and why an order drifts, before anything is evaluated."""
    snapshot = state.snapshot
    if kept is None:
        cause, why = Cause.MISSING, f"placed {snapshot.created_at:%Y-%m-%d %H:%M:%SZ}, and no delivery of it was booked"
    elif _is_ahead(state, kept):
        cause, why = Cause.OLDER, _changes(kept.snapshot, snapshot)
    elif kept.posted != kept.entries:
        told, found = _told(kept.posted), _told(kept.entries)
        why = f"its row says that {told} were posted, its entries sum up to {found}; ./dev.sh verify looks closer"
        return Drift(snapshot.id, Cause.LEDGER_DIFFERS, why, state)
    else:
        return None
    if state.lacks_refunds:
        why = f"{cause}, and refunded: a bulk query does not tell the lines of a refund"
        return Drift(snapshot.id, Cause.INCOMPLETE, why, state)
    return Drift(snapshot.id, cause, why, state)


def _is_ahead(state: State, kept: Kept) -> bool:
    # Of one second, only texts of one origin can be compared: a bulk query words the same order differently than a webhook.
    texts = ("", "") if state.is_from_bulk else (state.text, kept.text)
    return is_newer(state.snapshot, texts[0], kept.snapshot, texts[1])


def _told(amounts: tuple[int, int]) -> str:
    return f"{amounts[0]} points and {amounts[1]} pending"


def _changes(kept: OrderSnapshot, snapshot: OrderSnapshot) -> str:
    # Instants stay what they are: one and the same is written in several time zones.
    before, after = (msgspec.to_builtins(one, builtin_types=(datetime,)) for one in (kept, snapshot))
    paths = list(_paths(before, after, ""))
    paths = [path for path in paths if path != "updated_at"]
    named = ", ".join(paths[:DIFFERENCES_MAX]) or "nothing that points depend on"
    more = f" and {len(paths) - DIFFERENCES_MAX} more" if len(paths) > DIFFERENCES_MAX else ""
    return f"the ledger has that of {kept.updated_at:%Y-%m-%d %H:%M:%SZ}; changed since: {named}{more}"


def _paths(before: Any, after: Any, path: str) -> Iterator[str]:
    """Where two values differ, in dots and brackets; what they hold is not told."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _paths(before.get(name), after.get(name), f"{path}.{name}" if path else name)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):  # pyright: ignore[reportUnknownArgumentType]
        for index, (one, other) in enumerate(zip(before, after, strict=True)):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _paths(one, other, f"{path}[{index}]")
    elif before != after:
        yield path
