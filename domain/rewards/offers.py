"""A reward as the discount function reads it: the offer of a discount's config (docs/functions.md)."""

from typing import Any

import msgspec
from loyalty_native import discount_evaluate, discount_query_variables

from domain.rewards.queries import Redemption, Reservation
from domain.rewards.rules import Definition, RewardKind, amount_text, percent_text

PRODUCT = "gid://shopify/Product/{}"


def metafields(config: str) -> list[dict[str, str]]:
    """The two metafields of a discount, which are written together: its config, and the variables of the input queries."""
    return [
        {"namespace": "$app", "key": "config", "type": "json", "value": config},
        {"namespace": "$app", "key": "function-variables", "type": "json", "value": discount_query_variables(config)},
    ]


def free_product(kept: Redemption, currency: str) -> str:
    """The config of a code for free products. Shopify itself binds the code to its customer and to one use."""
    definition = kept.definition
    assert definition.kind is RewardKind.FREE_PRODUCT, "other codes are Shopify's own discounts"
    offer = {
        "id": "reward",
        "trigger": "code",
        "codes": [kept.code],
        "members_only": False,
        "message": definition.name(),
        "only": {"products": [PRODUCT.format(number) for number in definition.product_ids]},
        "value": {"kind": "free_product", "quantity": definition.quantity},
    }
    return _config(currency, offer)


def pay_with_points(definition: Definition, currency: str) -> str:
    """The config of the automatic discount by which reserved points are paid with."""
    assert definition.amount_minor is not None, "a definition of paying with points has an amount"
    value: dict[str, Any] = {
        "kind": "pay_with_points",
        "points": definition.points,
        "worth": amount_text(definition.amount_minor, currency),
    }
    if definition.percent_hundredths is not None:
        value["share"] = percent_text(definition.percent_hundredths)
    return _config(currency, {"id": "points", "message": definition.name(), "value": value})


def points_worth(held: Reservation, amount_minor: int, currency: str) -> int:
    """The points that a discount of this amount took out of a reservation, as the core counts them."""
    definition = msgspec.structs.replace(held.definition, percent_hundredths=None)
    reservation = {"id": str(held.id), "points": held.points}
    case = {
        "config": pay_with_points(definition, currency),
        "customer": {"version": 1, "balance": held.points, "reservation": reservation},
        "cart": {
            "currency": currency,
            "local_time": "2000-01-01",
            "reservation": str(held.id),
            "lines": [{"id": "paid", "quantity": 1, "subtotal": amount_text(amount_minor, currency)}],
        },
    }
    [offer] = msgspec.json.decode(discount_evaluate(msgspec.json.encode(case)))["offers"]
    return min(held.points, offer["how"]["used"]) if offer["applied"] else 0


def _config(currency: str, offer: dict[str, Any]) -> str:
    return msgspec.json.encode({"version": 1, "currency": currency, "offers": [offer]}).decode()
