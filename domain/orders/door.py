"""What is kept of deliveries about orders: all that points depend on, nothing personal. All else is dropped at the door."""

from typing import Any

STAFF_TAGS = frozenset({"staff", "employee"})
"""The tags by which a shop marks an order of its own people. Tags are free text, so of all others nothing is kept."""

_MONEY_SET = {"shop_money": {"amount": True, "currency_code": True}}
_TAXES = {"price": True, "rate": True}
_ALLOCATIONS = {"amount": True, "discount_application_index": True}
_PAYMENT = {"id": True, "kind": True, "status": True, "amount": True, "currency": True, "gateway": True, "amount_set": _MONEY_SET}
REFUND_KEPT: dict[str, Any] = {
    "id": True,
    "order_id": True,
    "created_at": True,
    "processed_at": True,
    "refund_line_items": {
        "id": True,
        "line_item_id": True,
        "quantity": True,
        "subtotal_set": _MONEY_SET,
        "total_tax_set": _MONEY_SET,
    },
    "order_adjustments": {"id": True, "kind": True, "amount_set": _MONEY_SET, "tax_amount_set": _MONEY_SET},
    "refund_shipping_lines": {"id": True, "subtotal_amount_set": _MONEY_SET, "tax_amount_set": _MONEY_SET},
    "transactions": _PAYMENT,
}
PAYMENT_KEPT: dict[str, Any] = {"order_id": True, **_PAYMENT}
DISPUTE_KEPT: dict[str, Any] = {
    "id": True,
    "order_id": True,
    "type": True,
    "status": True,
    "amount": True,
    "currency": True,
    "initiated_at": True,
    "finalized_on": True,
}
EDIT_KEPT: dict[str, Any] = {"order_edit": {"id": True, "order_id": True, "created_at": True}}
DELETION_KEPT: dict[str, Any] = {"id": True}
"""What is kept of deliveries that tell of an order without being it."""

KEPT: dict[str, Any] = {
    "id": True,
    "created_at": True,
    "updated_at": True,
    "processed_at": True,
    "cancelled_at": True,
    "currency": True,
    "presentment_currency": True,
    "financial_status": True,
    "test": True,
    "taxes_included": True,
    "source_name": True,
    "tags": STAFF_TAGS,
    "location_id": True,
    "total_price": True,
    "total_price_set": {**_MONEY_SET, "presentment_money": {"amount": True, "currency_code": True}},
    "total_tip_received": True,
    "payment_gateway_names": True,
    "customer": {"id": True},
    "company": {"id": True},
    "shipping_address": {"country_code": True},
    "discount_codes": {"code": True, "amount": True, "type": True},
    "line_items": {
        "id": True,
        "product_id": True,
        "variant_id": True,
        "price": True,
        "quantity": True,
        "current_quantity": True,
        "gift_card": True,
        "tax_lines": _TAXES,
        "discount_allocations": _ALLOCATIONS,
    },
    "shipping_lines": {"id": True, "price": True, "tax_lines": _TAXES, "discount_allocations": _ALLOCATIONS},
    "refunds": REFUND_KEPT,
}
"""What is kept of an order itself."""


def keep(payload: dict[str, Any], wanted: dict[str, Any] = KEPT) -> dict[str, Any]:
    """The part of a webhook's body that is stored: of an order, or of what tells of one."""
    return _kept(payload, wanted)


def _kept(value: Any, wanted: Any) -> Any:
    if wanted is True:
        return value
    if wanted is STAFF_TAGS:
        words = {word.strip().casefold() for word in value.split(",")} if isinstance(value, str) else set[str]()
        return ", ".join(sorted(words & STAFF_TAGS))
    if isinstance(value, list):
        return [_kept(item, wanted) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {name: _kept(value[name], inner) for name, inner in wanted.items() if name in value}
    # Where an object is wanted and something else stands, nothing says that it is not personal.
    return None
