"""What orders tell of rewards: which code was used, how many reserved points were paid with, and what was cancelled."""

from collections.abc import Sequence
from typing import Any

import msgspec
from loyalty_native import LoyaltyError

from domain import customers, db, money
from domain.errors import DomainError
from domain.identifiers import uuid_or_none
from domain.rewards import ledger, reservations, settling
from domain.rewards.commands import SOURCE
from domain.rewards.offers import points_worth
from domain.rewards.queries import REDEMPTION, Redemption, Reservation, is_theirs, reservation
from domain.rewards.returning import settle_returns
from domain.scope import Scope

ATTRIBUTE = "_loyalnest_reservation"
"""The cart's attribute by which a checkout names its reservation."""


class _Code(msgspec.Struct):
    code: str = ""


class _Application(msgspec.Struct):
    type: str = ""
    title: str | None = None


class _Allocation(msgspec.Struct):
    amount: str | int | float = "0"
    discount_application_index: int = -1


class _Line(msgspec.Struct):
    discount_allocations: list[_Allocation] = []


class _Attribute(msgspec.Struct):
    name: str = ""
    value: str = ""


class _Customer(msgspec.Struct):
    id: int


class _Order(msgspec.Struct):
    id: int
    currency: str
    customer: _Customer | None = None
    cancelled_at: str | None = None
    financial_status: str | None = None
    refunds: list[msgspec.Raw] = []
    discount_codes: list[_Code] = []
    discount_applications: list[_Application] = []
    line_items: list[_Line] = []
    note_attributes: list[_Attribute] = []


def keep(payload: dict[str, Any]) -> dict[str, Any]:
    """What rewards need of an order's webhook beyond what points need: the discounts' titles, and our own cart attribute."""
    applications = payload.get("discount_applications")
    attributes = payload.get("note_attributes")
    kept: dict[str, Any] = {}
    if isinstance(applications, list):
        kept["discount_applications"] = [_picked(one, ("type", "title", "code")) for one in applications]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(attributes, list):
        picked = [_picked(one, ("name", "value")) for one in attributes]  # pyright: ignore[reportUnknownVariableType]
        # What else stands in a cart's attributes is the shop's and the buyer's business.
        kept["note_attributes"] = [one for one in picked if one.get("name") == ATTRIBUTE]
    return kept


def _picked(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {name: inner for name in names if isinstance(inner := value.get(name), str)}  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]


_decoder = msgspec.json.Decoder(_Order, strict=False)


async def track(scope: Scope, payloads: Sequence[str]) -> None:
    """Book what orders say of rewards. In any order, any number of times, the end is the same.

    Precondition: an open transaction, in which the orders were written. A payload that cannot be read is passed over: the orders'
    own reader has refused it, or it says nothing of rewards.
    """
    orders: list[_Order] = []
    for payload in payloads:
        try:
            orders.append(_decoder.decode(payload))
        except msgspec.ValidationError:
            continue
    codes = {code for order in orders for code in _spellings(order)}
    ours = {kept.code or "" for kept in await _with_codes(scope, sorted(codes))}
    for order in orders:
        for code in sorted(_spellings(order) & ours):
            # Read anew for each order: one before may have moved it.
            [kept] = await _with_codes(scope, [code])
            await _code_used(scope, kept, order)
        for attribute in order.note_attributes:
            found = uuid_or_none(attribute.value) if attribute.name == ATTRIBUTE else None
            held = None if found is None else await reservation(scope, found)
            if held is not None and await _is_theirs(scope, held, order):
                await _points_paid(scope, held, order)
    # With most orders nothing has gone back, and nobody has to look.
    await settle_returns(scope, {order.id for order in orders if _goes_back(order)})


def _goes_back(order: _Order) -> bool:
    return bool(order.refunds) or order.cancelled_at is not None or order.financial_status in ("refunded", "voided")


def _spellings(order: _Order) -> set[str]:
    """The order's codes as they were entered, and as ours are written: Shopify does not tell upper and lower case apart."""
    return {spelling for one in order.discount_codes if one.code for spelling in (one.code, one.code.upper())}


async def _with_codes(scope: Scope, codes: list[str]) -> list[Redemption]:
    if not codes:
        return []
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"select {REDEMPTION} from redemptions where merchant_id = $1 and code = any ($2) order by id for update",
            scope.merchant_id,
            codes,
        )
    return [Redemption(*row) for row in rows]


async def _code_used(scope: Scope, kept: Redemption, order: _Order) -> None:
    if kept.status in ("cancelled", "expired", "failed"):
        # The checkout was quicker than the deletion: the points went back, and the discount was had. They are owed.
        payer_id = await ledger.debtor(scope, kept.customer_id)
        if payer_id is None:
            return
        position = await ledger.take(scope, payer_id, kept.points, SOURCE, kept.id, "late", floor=None)
        await settling.revive(scope, kept.id, order.id, payer_id, position)
    elif kept.status != "returned":
        await settling.used(scope, kept.id, order.id)


async def _is_theirs(scope: Scope, held: Reservation, order: _Order) -> bool:
    if order.customer is None:
        return False
    customer = await customers.by_shopify_id(scope, order.customer.id)
    return customer is not None and await is_theirs(scope, held.customer_id, customer.id)


async def _points_paid(scope: Scope, held: Reservation, order: _Order) -> None:
    amount = _paid(held, order)
    used = 0 if amount is None else points_worth(held, amount, order.currency)
    await reservations.capture(scope, held.id, used, order.id)


def _paid(held: Reservation, order: _Order) -> int | None:
    """The minor units that our discount took off the order's lines; None when it took nothing that can be read."""
    title = held.definition.name()
    places = {place for place, one in enumerate(order.discount_applications) if one.type == "automatic" and one.title == title}
    try:
        amount = sum(
            money.parse(str(one.amount), order.currency)
            for line in order.line_items
            for one in line.discount_allocations
            if one.discount_application_index in places
        )
    except (DomainError, LoyaltyError):
        return None
    return amount or None
