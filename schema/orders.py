"""Orders in the API: what they earned and why, and what a cart would earn."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import money, orders, programs
from domain.errors import DomainError, NotFound
from domain.orders import Order as OrderRow
from domain.programs.commands import DraftMissing
from domain.scope import Door
from schema.context import Info
from schema.customers import visible_customer
from schema.doors import EVERYBODY, STAFF_AND_PARTNERS
from schema.identifiers import gid, shopify_number, uuid_of
from schema.node import Node
from schema.scalars import CurrencyCode, Money, Points
from schema.trace import ExplainTrace, explain


@strawberry.type(description="An order of the shop, as the ledger sees it.")
class Order(Node):
    """An order and its points."""

    row: strawberry.Private[OrderRow]
    shopify_id: strawberry.ID = strawberry.field(description="Shopify's global id of the order.")
    customer_id: strawberry.ID | None = strawberry.field(description="Who ordered; null for a guest.")
    currency: CurrencyCode = strawberry.field(description="The shop's currency, in which the order earns.")
    created_at: datetime = strawberry.field(description="When the order was placed: it decides the program version.")
    paid_at: datetime | None = strawberry.field(description="When it was paid: the hold runs from there.")
    matures_at: datetime | None = strawberry.field(
        description="When its pending points become spendable; null before payment, and once they have."
    )
    program_version: int | None = strawberry.field(description="The version it keeps; null when there was none.")
    points: Points = strawberry.field(description="The points that its state deserves.")
    points_confirmed: Points = strawberry.field(description="Of these, what is booked to the balance.")
    points_pending: Points = strawberry.field(description="Of these, what is booked as pending.")
    reason: str | None = strawberry.field(
        description="Why it earns nothing: NO_PROGRAM, PROGRAM_OFF, TEST_ORDER, NO_CUSTOMER, NOTHING_ELIGIBLE and others. "
        "GUEST_UNCLAIMED: a guest's order waits for a customer with its e-mail address, verified. ACCOUNT_CLOSED: it is not "
        "booked while its customer is disabled, deleted or erased."
    )

    @strawberry.field(description="How the points came about, or why there are none; null without a program.")
    def trace(self) -> ExplainTrace | None:
        """The stored explanation."""
        return None if self.row.trace is None else explain(self.row.trace)


def _order(row: OrderRow) -> Order:
    return Order(
        id=strawberry.ID(gid("Order", row.shopify_id)),
        row=row,
        shopify_id=strawberry.ID(f"gid://shopify/Order/{row.shopify_id}"),
        customer_id=None if row.customer_id is None else strawberry.ID(gid("Customer", row.customer_id)),
        currency=CurrencyCode(row.currency),
        created_at=row.created_at,
        paid_at=row.paid_at,
        matures_at=row.matures_at,
        program_version=row.program_version,
        points=Points(row.deserved),
        points_confirmed=Points(row.posted_points),
        points_pending=Points(row.posted_pending),
        reason=row.reason,
    )


async def visible_order(info: Info, number: int) -> Order | None:
    """The order with this Shopify number, if the caller may see it."""
    row = await orders.by_shopify_id(info.context.scope, number)
    if row is None:
        return None
    if info.context.scope.actor.door is Door.CUSTOMER and row.customer_id != info.context.customer_id:
        return None
    return _order(row)


@strawberry.input(description="A line of a cart.")
class SimulatedLineInput:
    """A line."""

    unit_price: Money = strawberry.field(description="The price of one piece.")
    quantity: int = strawberry.field(default=1, description="How many pieces, zero or more.")
    discount: Money = strawberry.field(default=Money("0"), description="The discount on the whole line.")
    tax: Money = strawberry.field(default=Money("0"), description="The tax on the whole line.")
    gift_card: bool = strawberry.field(default=False, description="Whether the line is a gift card.")
    id: str | None = strawberry.field(default=None, description="A name for the line in the trace; its number when left out.")
    product_id: strawberry.ID | None = strawberry.field(default=None, description="Shopify's id of the product.")
    tags: list[str] = strawberry.field(default_factory=list, description="The product's tags.")
    collection_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Shopify's ids of the collections that the product is in."
    )


@strawberry.input(description="A cart, or an order that does not exist yet.")
class SimulatedOrderInput:
    """A cart."""

    currency: CurrencyCode = strawberry.field(description="The currency of all amounts: the shop's.")
    lines: list[SimulatedLineInput] = strawberry.field(description="The lines.")
    taxes_included: bool = strawberry.field(default=False, description="Whether the prices contain the tax.")
    shipping: Money = strawberry.field(default=Money("0"), description="What shipping costs.")
    shipping_tax: Money = strawberry.field(default=Money("0"), description="The tax on shipping.")
    tip: Money = strawberry.field(default=Money("0"), description="A tip.")
    customer_id: strawberry.ID | None = strawberry.field(
        default=None,
        description=(
            "The customer, by our global id, whose earlier orders count where the program asks for them. A customer is always "
            "themself; for others, leaving it out means a customer without any."
        ),
    )
    tier: str | None = strawberry.field(default=None, description="The customer's tier, for rules that ask for it.")
    segments: list[str] = strawberry.field(default_factory=list, description="The customer's segments.")
    guest: bool = strawberry.field(default=False, description="Whether nobody is signed in.")
    test: bool = strawberry.field(default=False, description="Whether it is a test order.")


def _core_order(info: Info, input: SimulatedOrderInput) -> dict[str, Any]:
    money.require_currency(input.currency, field=("order", "currency"))
    customer: dict[str, Any] = {"segments": input.segments}
    if input.tier is not None:
        customer["tier"] = input.tier
    return {
        "currency": input.currency,
        "at": int(info.context.scope.at.timestamp()),
        "test": input.test,
        "customer": None if input.guest else customer,
        "taxes_included": input.taxes_included,
        "lines": [_core_line(index, line) for index, line in enumerate(input.lines)],
        "shipping": input.shipping,
        "shipping_tax": input.shipping_tax,
        "tip": input.tip,
    }


def _core_line(index: int, line: SimulatedLineInput) -> dict[str, Any]:
    core: dict[str, Any] = {
        "id": line.id or str(index + 1),
        "unit_price": line.unit_price,
        "quantity": line.quantity,
        "discount": line.discount,
        "tax": line.tax,
        "gift_card": line.gift_card,
        "tags": line.tags,
        "collections": [_number("Collection", one, index, "collectionIds") for one in line.collection_ids],
    }
    if line.product_id is not None:
        core["product_id"] = _number("Product", line.product_id, index, "productId")
    return core


def _number(type_name: str, identifier: str, index: int, name: str) -> str:
    number = shopify_number(type_name, identifier)
    if number is None:
        raise DomainError(f"`{name}` is Shopify's id of a {type_name}.", field=("order", "lines", str(index), name))
    return str(number)


async def _customer(info: Info, input: SimulatedOrderInput) -> UUID | None:
    """Whose cart it is. Raises NotFound for a customer whom the caller may not see."""
    if input.customer_id is None:
        return info.context.customer_id
    wanted = uuid_of("Customer", input.customer_id)
    if wanted is None or await visible_customer(info, wanted) is None:
        raise NotFound("There is no such customer.", field=("order", "customerId"))
    return wanted


@strawberry.type
class OrderQueries:
    """The queries about orders."""

    @strawberry.field(
        description="An order: its points, and why it has them or has none; null when it is not known.",
        extensions=[STAFF_AND_PARTNERS],
    )
    async def order(
        self,
        info: Info,
        shopify_id: Annotated[
            strawberry.ID, strawberry.argument(description="Shopify's id: gid://shopify/Order/450789469 or the number.")
        ],
    ) -> Order | None:
        """The order asked for."""
        number = shopify_number("Order", shopify_id)
        return None if number is None else await visible_order(info, number)

    @strawberry.field(
        description=(
            "What a cart would earn under the live program, or under the draft, explained as a booked order is. "
            "Null when nothing is published."
        ),
        extensions=[EVERYBODY],
    )
    async def simulate_order(
        self,
        info: Info,
        order: Annotated[SimulatedOrderInput, strawberry.argument(description="The cart.")],
        draft: Annotated[
            bool, strawberry.argument(description="Whether the draft decides, and not the live program; for staff.")
        ] = False,
    ) -> ExplainTrace | None:
        """The explanation of the cart's points."""
        definition = None
        if draft:
            if info.context.scope.actor.door is not Door.STAFF:
                raise DraftMissing("There is no draft.", field=("draft",))
            found = await programs.draft(info.context.scope)
            if found is None:
                raise DraftMissing("There is no draft.", field=("draft",))
            definition = found.definition
        customer_id = await _customer(info, order)
        evaluation = await orders.simulate(info.context.scope, _core_order(info, order), definition, customer_id)
        return None if evaluation is None else explain(evaluation.trace().decode())
