"""Reading Shopify's orders, line by line: REST's objects, or what a bulk query (bulk_orders.graphql) leaves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from domain import orders, rewards
from domain.doctor.bulk import CHILDREN, as_rest, refund_as_rest
from domain.errors import DomainError
from domain.orders import OrderSnapshot


@dataclass(frozen=True, slots=True)
class State:
    """An order as Shopify has it: parsed, and as it is stored.

    line: where it began, from 1 on. lacks_refunds: it was refunded, and the lines of the refund are not there.
    """

    line: int
    snapshot: OrderSnapshot
    text: str
    is_from_bulk: bool = False
    lacks_refunds: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no order, and why; of the line nothing is told. The number is Shopify's, where that much can be read."""

    line: int
    shopify_id: int | None
    why: str


def states(lines: Iterable[bytes | str]) -> Iterator[State | Unreadable]:
    """The orders of a file, one by one. A line that cannot be read is told and passed over.

    A line is an order, bare or as {"order": …}, or an object of a bulk query; the children of an order follow it directly, which
    a bulk query does with groupObjects: true.
    """
    parent: dict[str, Any] | None = None
    began = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found: Any = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            yield Unreadable(number, None, "it is not JSON")
            continue
        if not isinstance(found, dict):
            yield Unreadable(number, None, "it is not a JSON object")
            continue
        content: dict[str, Any] = found  # pyright: ignore[reportUnknownVariableType]
        if "__parentId" in content:
            if parent is None or not _adopt(parent, content):
                yield Unreadable(number, None, "it belongs to no order before it: run the bulk query with groupObjects: true")
            continue
        if parent is not None:
            yield _read(began, parent)
            parent = None
        if isinstance(content.get("id"), str):
            parent, began = content, number
        else:
            inner = content.get("order")
            yield _read(number, inner if isinstance(inner, dict) else content)  # pyright: ignore[reportUnknownArgumentType]
    if parent is not None:
        yield _read(began, parent)


def _adopt(parent: dict[str, Any], child: dict[str, Any]) -> bool:
    """Put a child where its order has it. Returns whether it is one of its children."""
    kind = str(child.get("id")).split("/")[3:4]
    if child["__parentId"] != parent["id"] or not kind or kind[0] not in CHILDREN:
        return False
    parent.setdefault(CHILDREN[kind[0]], []).append(child)
    return True


def _read(line: int, content: dict[str, Any]) -> State | Unreadable:
    is_from_bulk = isinstance(content.get("id"), str)
    number = content.get("id")
    try:
        rest = as_rest(content) if is_from_bulk else content
        number = rest["id"] if is_from_bulk else number
        text = msgspec.json.encode(orders.keep(rest) | rewards.keep(rest)).decode()
        snapshot = orders.parse(text)
    except DomainError as error:
        known = number if isinstance(number, int) and not isinstance(number, bool) else None
        return Unreadable(line, known, error.message)
    lacks_refunds = is_from_bulk and bool(rest["refunds"])
    return State(line, snapshot, text, is_from_bulk, lacks_refunds)


def with_refunds(state: State, refunds: Iterable[dict[str, Any]]) -> State:
    """An order of a bulk query with its refunds, as the Admin API tells each by itself. Raises InvalidOrder for what is none."""
    content: dict[str, Any] = msgspec.json.decode(state.text)
    told = {one["id"]: one for one in content["refunds"]}
    for refund in refunds:
        rest = refund_as_rest(refund, state.snapshot.currency)
        told[rest["id"]] = told.get(rest["id"], {}) | rest
    text = msgspec.json.encode(content | {"refunds": [*told.values()]}).decode()
    return replace(state, snapshot=orders.parse(text), text=text, lacks_refunds=False)
