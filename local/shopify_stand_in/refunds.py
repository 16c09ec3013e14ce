"""Refunds as Shopify writes them: pieces, delivery and money, each by itself or together, and the webhooks that tell of them."""

from dataclasses import dataclass, field

from loyalty_native import money_format, money_parse, share_floor

from local.shopify_stand_in.checkout import touch
from local.shopify_stand_in.shop import Json, ShopState


@dataclass
class Return:
    """What goes back. lines: (line number, pieces); amount: the money as decimal text, left out what the pieces had cost."""

    lines: list[tuple[int, int]] = field(default_factory=list)
    shipping: bool = False
    amount: str | None = None


def refund(shop: ShopState, number: int, wanted: Return) -> tuple[Json, Json]:
    """Take back and give back. Returns the order as it is then, and the refund. Raises ValueError for more than is left."""
    order = shop.orders[number]
    lines = [_line(shop, order, line, quantity) for line, quantity in wanted.lines]
    shipping = _shipping_left(shop, order) if wanted.shipping else 0
    worth = sum(money_parse(one["subtotal_set"]["shop_money"]["amount"], shop.currency) for one in lines) + shipping
    amount = worth if wanted.amount is None else money_parse(wanted.amount, shop.currency)
    left = money_parse(order["total_price"], shop.currency) - _given_back(shop, order)
    if not 0 <= amount <= left:
        raise ValueError(f"{money_format(left, shop.currency)} of the order is left")
    for line, quantity in wanted.lines:
        next(one for one in order["line_items"] if one["id"] == line)["current_quantity"] -= quantity
    at = touch(order)
    made = {
        "id": next(shop.numbers),
        "order_id": number,
        "created_at": at,
        "processed_at": at,
        "refund_line_items": lines,
        "refund_shipping_lines": [
            {"id": next(shop.numbers), "subtotal_amount_set": _both(shop, shipping), "tax_amount_set": _both(shop, 0)}
        ]
        if shipping
        else [],
        "order_adjustments": [],
        "transactions": [_transaction(shop, number, amount)] if amount else [],
    }
    order["refunds"].append(made)
    # Shopify's word for it: nothing of what was paid is left.
    order["financial_status"] = "refunded" if amount == left else "partially_refunded"
    return order, made


def events(order: Json, made: Json) -> list[tuple[str, Json]]:
    """What Shopify tells of a refund, in an order that nobody can rely on."""
    payments = [("order_transactions/create", one) for one in made["transactions"]]
    return [("refunds/create", made), *payments, ("orders/updated", order)]


def _line(shop: ShopState, order: Json, number: int, quantity: int) -> Json:
    line = next((one for one in order["line_items"] if one["id"] == number), None)
    if line is None or not 0 < quantity <= line["current_quantity"]:
        raise ValueError(f"the order has no {quantity} of line {number} left")
    discount = sum(money_parse(one["amount"], shop.currency) for one in line["discount_allocations"])
    kept = line["current_quantity"]
    # The share of what is kept, before and after: so all pieces together are worth what the line had cost.
    before, after = (share_floor(discount, pieces, line["quantity"]) for pieces in (kept, kept - quantity))
    minor = money_parse(line["price"], shop.currency) * quantity - (before - after)
    return {
        "id": next(shop.numbers),
        "line_item_id": number,
        "quantity": quantity,
        # A float, as Shopify has it in these two fields and in no others.
        "subtotal": float(money_format(minor, shop.currency)),
        "total_tax": 0.0,
        "subtotal_set": _both(shop, minor),
        "total_tax_set": _both(shop, 0),
    }


def _shipping_left(shop: ShopState, order: Json) -> int:
    if any(made["refund_shipping_lines"] for made in order["refunds"]):
        return 0
    paid = 0
    for line in order["shipping_lines"]:
        paid += money_parse(line["price"], shop.currency)
        paid -= sum(money_parse(one["amount"], shop.currency) for one in line["discount_allocations"])
    return paid


def _given_back(shop: ShopState, order: Json) -> int:
    return sum(money_parse(one["amount"], shop.currency) for made in order["refunds"] for one in made["transactions"])


def _transaction(shop: ShopState, number: int, amount: int) -> Json:
    return {
        "id": next(shop.numbers),
        "order_id": number,
        "kind": "refund",
        "status": "success",
        "gateway": "bogus",
        "amount": money_format(amount, shop.currency),
        "currency": shop.currency,
    }


def _both(shop: ShopState, minor: int) -> Json:
    amount = {"amount": money_format(minor, shop.currency), "currency_code": shop.currency}
    return {"shop_money": amount, "presentment_money": amount}
