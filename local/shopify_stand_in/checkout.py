"""A checkout: the codes that a buyer enters, Shopify's own discounts, our functions in Wasm, and the order that comes of it."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from loyalty_native import money_format, money_parse

from local.shopify_stand_in import host, outputs
from local.shopify_stand_in.inputs import DELIVERY, LINES, function_input
from local.shopify_stand_in.shop import Discount, Json, ShopState, now

MODULE = "loyalty-discount"
SHIPPING_MINOR = 500


@dataclass
class Basket:
    """What the buyer has at the till. lines: (product number, quantity)."""

    customer: int
    lines: list[tuple[int, int]]
    codes: list[str] = field(default_factory=list)
    reservation: str | None = None


@dataclass
class _Applied:
    """A discount that took something: by line, and off the delivery; minor units."""

    discount: Discount
    by_line: dict[int, int]
    shipping: int

    @property
    def amount(self) -> int:
        return sum(self.by_line.values()) + self.shipping


def check_out(shop: ShopState, basket: Basket) -> Json:
    """Place the order. Returns it, with `refused_codes`: code → why it did not apply."""
    currency = shop.currency
    lines = [
        {
            **shop.products[product],
            "quantity": quantity,
            "minor": money_parse(shop.products[product]["price"], currency) * quantity,
        }
        for product, quantity in basket.lines
    ]
    left = {index: line["minor"] for index, line in enumerate(lines)}
    applied: list[_Applied] = []
    refused: dict[str, str] = {}
    for code in basket.codes:
        discount = shop.by_code(code)
        why = "UNKNOWN" if discount is None else _inapplicable(discount, basket)
        taken = None if discount is None or why else _take(shop, discount, basket, lines, left, code)
        if taken is None or taken.amount == 0:
            refused[code] = why or "TAKES_NOTHING"
            continue
        applied.append(taken)
    for discount in shop.discounts.values():
        if discount.kind == "automatic" and _inapplicable(discount, basket) == "":
            taken = _take(shop, discount, basket, lines, left, None)
            if taken.amount:
                applied.append(taken)
    order = _order(shop, basket, lines, applied)
    shop.orders[order["id"]] = order
    for one in applied:
        one.discount.used += 1
        one.discount.used_by[basket.customer] = one.discount.used_by.get(basket.customer, 0) + 1
    return order | {"refused_codes": refused}


def _inapplicable(discount: Discount, basket: Basket) -> str:
    """Why a discount is not for this buyer now; empty when it is."""
    given = discount.given
    if discount.status(now()) != "ACTIVE":
        return "NOT_ACTIVE"
    if given.get("usageLimit") is not None and discount.used >= given["usageLimit"]:
        return "USED_UP"
    if given.get("appliesOncePerCustomer") and discount.used_by.get(basket.customer):
        return "USED_UP"
    chosen = (given.get("context") or {}).get("customers")
    if chosen is not None and f"gid://shopify/Customer/{basket.customer}" not in chosen["add"]:
        return "ANOTHER_CUSTOMER"
    return ""


def _take(
    shop: ShopState, discount: Discount, basket: Basket, lines: list[Json], left: dict[int, int], code: str | None
) -> _Applied:
    """Apply one discount to what the others have left of the lines."""
    minimum = ((discount.given.get("minimumRequirement") or {}).get("subtotal") or {}).get("greaterThanOrEqualToSubtotal")
    goods = sum(line["minor"] for line in lines if not line["gift_card"])
    if minimum is not None and goods < money_parse(minimum, shop.currency):
        return _Applied(discount, {}, 0)
    if discount.kind == "shipping":
        return _Applied(discount, {}, SHIPPING_MINOR)
    if discount.kind == "basic":
        by_line = _basic(shop, discount, lines, left)
    else:
        by_line, shipping = _function(shop, discount, basket, lines, code)
        if shipping:
            return _Applied(discount, by_line, SHIPPING_MINOR)
    kept = {}
    for index, amount in by_line.items():
        kept[index] = min(amount, left[index])
        left[index] -= kept[index]
    return _Applied(discount, {index: amount for index, amount in kept.items() if amount}, 0)


def _basic(shop: ShopState, discount: Discount, lines: list[Json], left: dict[int, int]) -> dict[int, int]:
    gets = discount.given["customerGets"]
    products = (gets["items"].get("products") or {}).get("productsToAdd")
    chosen = [
        index
        for index, line in enumerate(lines)
        if not line["gift_card"] and (products is None or f"gid://shopify/Product/{line['id']}" in products)
    ]
    base = sum(left[index] for index in chosen)
    if gets["value"].get("percentage") is not None:
        amount = int((Decimal(base) * Decimal(str(gets["value"]["percentage"]))).quantize(Decimal(1), ROUND_HALF_UP))
    else:
        amount = min(base, money_parse(gets["value"]["discountAmount"]["amount"], shop.currency))
    return _spread(amount, {index: left[index] for index in chosen})


def _spread(amount: int, room: dict[int, int]) -> dict[int, int]:
    """An amount over lines in proportion to their room; what rounding leaves goes to the last ones with room."""
    whole = sum(room.values())
    shares = {index: amount * size // whole for index, size in room.items()} if whole else {}
    missing = amount - sum(shares.values())
    for index in reversed(list(shares)):
        more = min(missing, room[index] - shares[index])
        shares[index] += more
        missing -= more
    return shares


def _function(
    shop: ShopState, discount: Discount, basket: Basket, lines: list[Json], code: str | None
) -> tuple[dict[int, int], bool]:
    """What the built function takes: by line, and whether delivery is free."""
    config, variables = discount.metafield("config"), discount.metafield("function-variables")
    classes = [one.lower() for one in discount.given.get("discountClasses") or []]
    loyalty = shop.customers[basket.customer]["metafields"].get(("$app", "loyalty"))
    moment = now().isoformat()[:19]
    cart = {
        "currency": shop.currency,
        "local_time": moment,
        "deliveries": 1,
        "lines": [
            {
                "id": str(index),
                "product": f"gid://shopify/Product/{line['id']}",
                "quantity": line["quantity"],
                "subtotal": money_format(line["minor"], shop.currency),
                "gift_card": line["gift_card"],
            }
            for index, line in enumerate(lines)
        ],
    }
    if code is not None:
        cart |= {"code": code, "entered_codes": [code]}
    if basket.reservation is not None:
        cart["reservation"] = basket.reservation
    case = {"config": config, "customer": loyalty, "cart": cart, "classes": classes, "signed_in": True}
    given = json.loads(variables) if variables else {}
    output = host.run(MODULE, LINES, function_input(LINES, case, given)).output or {"operations": []}
    problems = outputs.check(LINES, output)
    assert problems == [], problems
    taken = outputs.discounts(output, cart)
    room = {index: line["minor"] for index, line in enumerate(lines)}
    by_line: dict[int, int] = {}
    if taken["product"]:
        targets = {
            int(target["cartLine"]["id"])
            for operation in output["operations"]
            for candidate in operation.get("productDiscountsAdd", {}).get("candidates", [])
            for target in candidate["targets"]
        }
        by_line = _spread(taken["product"], {index: room[index] for index in sorted(targets)})
    if taken["order"]:
        goods = {index: room[index] - by_line.get(index, 0) for index, line in enumerate(lines) if not line["gift_card"]}
        for index, amount in _spread(taken["order"], goods).items():
            by_line[index] = by_line.get(index, 0) + amount
    delivery = {"operations": []}
    if "shipping" in classes:
        delivery = host.run(MODULE, DELIVERY, function_input(DELIVERY, case, given)).output or delivery
    return by_line, bool(delivery["operations"])


def _order(shop: ShopState, basket: Basket, lines: list[Json], applied: list[_Applied]) -> Json:
    """Shopify's order object, as its webhooks carry it."""

    def text(minor: int) -> str:
        return money_format(minor, shop.currency)

    at = now().isoformat()
    subtotal = sum(line["minor"] for line in lines) - sum(sum(one.by_line.values()) for one in applied)
    shipping_discount = max([one.shipping for one in applied], default=0)
    return {
        "id": next(shop.numbers),
        "created_at": at,
        "updated_at": at,
        "cancelled_at": None,
        "currency": shop.currency,
        "presentment_currency": shop.currency,
        "financial_status": "paid",
        "test": False,
        "taxes_included": False,
        "source_name": "web",
        "customer": {"id": basket.customer, "email": "buyer@example.com"},
        "email": "buyer@example.com",
        "note_attributes": [{"name": "_loyalnest_reservation", "value": basket.reservation}] if basket.reservation else [],
        "discount_codes": [
            {
                "code": one.discount.code,
                "amount": text(one.amount),
                "type": "shipping" if one.shipping else "fixed_amount",
            }
            for one in applied
            if one.discount.code
        ],
        "discount_applications": [
            {
                "type": "discount_code" if one.discount.code else "automatic",
                "target_type": "shipping_line" if one.shipping else "line_item",
                "value": text(one.amount),
                "value_type": "fixed_amount",
                "allocation_method": "across",
                **({"code": one.discount.code} if one.discount.code else {"title": one.discount.title}),
            }
            for one in applied
        ],
        "line_items": _line_items(shop, lines, applied),
        "shipping_lines": [_shipping_line(shop, applied)],
        "total_tip_received": "0.00",
        "total_discounts": text(sum(one.amount for one in applied)),
        "subtotal_price": text(subtotal),
        "total_price": text(subtotal + SHIPPING_MINOR - shipping_discount),
        "refunds": [],
    }


def _line_items(shop: ShopState, lines: list[Json], applied: list[_Applied]) -> list[Json]:
    return [
        {
            "id": next(shop.numbers),
            "product_id": line["id"],
            "title": line["title"],
            "price": line["price"],
            "quantity": line["quantity"],
            "current_quantity": line["quantity"],
            "gift_card": line["gift_card"],
            "tax_lines": [],
            "discount_allocations": [
                {"amount": money_format(one.by_line[index], shop.currency), "discount_application_index": place}
                for place, one in enumerate(applied)
                if one.by_line.get(index)
            ],
        }
        for index, line in enumerate(lines)
    ]


def _shipping_line(shop: ShopState, applied: list[_Applied]) -> Json:
    return {
        "id": next(shop.numbers),
        "price": money_format(SHIPPING_MINOR, shop.currency),
        "tax_lines": [],
        "discount_allocations": [
            {"amount": money_format(one.shipping, shop.currency), "discount_application_index": place}
            for place, one in enumerate(applied)
            if one.shipping
        ],
    }


def cancel(shop: ShopState, number: int) -> Json:
    """Cancel an order and give all money back; its totals stay, as they do at Shopify."""
    order: dict[str, Any] = shop.orders[number]
    at = touch(order)
    order |= {"cancelled_at": at, "financial_status": "refunded"}
    return order


def touch(order: Json) -> str:
    """Note that an order has changed, later than ever before. Returns when."""
    at = now()
    before = datetime.fromisoformat(order["updated_at"])
    order["updated_at"] = max(at, before + timedelta(seconds=1)).isoformat()
    return order["updated_at"]
