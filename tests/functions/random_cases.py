"""Random but meaningful cases out of one seeded source, a thousand times quicker than drawing each part alone."""

from random import Random
from typing import Any

Json = dict[str, Any]

EXPONENTS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
RATES = ["1.0", "0.9234", "150.25", "0.0066", "3.2528", "1.00000001"]
PRODUCTS = [f"gid://shopify/Product/{number}" for number in (1, 2, 3, 11)]
TAGS, COLLECTIONS = ["sale"], ["gid://shopify/Collection/5"]
TIERS, SEGMENTS, COUNTRIES = ["silver", "gold"], ["loyal", "at_risk"], ["US", "DE"]
MOMENTS = ["2026-11-20", "2026-11-21T09:00:00", "2026-11-21T18:00:00", "2026-11-22"]


def amount(source: Random, currency: str, most: int) -> str:
    """A decimal text above zero with a random number of its decimals."""
    exponent = EXPONENTS[currency]
    minor = source.randint(1, most * 10**exponent)
    digits = str(minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits


def discount_case(source: Random, currency: str | None = None) -> Json:
    shop, currency = source.choice(list(EXPONENTS)), currency or source.choice(list(EXPONENTS))
    offers = [offer(source, index, shop) for index in range(source.randint(0, 7))]
    customer = None
    if source.random() < 0.9:
        points = source.randint(0, 5000)
        customer = {"version": 1, "segments": source.sample(SEGMENTS, source.randint(0, 2)), "balance": points - 100}
        customer |= {"tier": source.choice([None, *TIERS]), "codes": ["LN-A"], "reservation": {"id": "r1", "points": points}}
    cart = {
        "currency": currency,
        "rate": source.choice(RATES),
        "country": source.choice(COUNTRIES),
        "local_time": source.choice(["2026-11-20T23:59:59", "2026-11-21T09:00:00", "2026-11-21T17:59:59", "2026-11-22T00:00:00"]),
        "entered_codes": source.sample(["LN-A", "ln-b"], source.randint(0, 2)),
        "reservation": source.choice(["r1", "r1", "r2"]),
        "deliveries": source.randint(0, 2),
        "lines": [line(source, index, currency) for index in range(source.randint(0, 6))],
    }
    if source.random() < 0.5:
        cart["code"] = source.choice(["LN-A", "LN-B", "LN-C"])
    classes = ["order", "product", "shipping"] if source.random() < 0.8 else source.sample(["order", "product", "shipping"], 2)
    return {
        "config": {"version": 1, "currency": shop, "offers": offers},
        "customer": customer,
        "cart": cart,
        "classes": classes,
    }


def offer(source: Random, index: int, shop: str) -> Json:
    made: Json = {"id": f"offer {index}", "value": value(source, shop)}
    kind = made["value"]["kind"]
    if kind == "free_product" or (kind in ("amount_off", "percentage") and source.random() < 0.6):
        limits = [{"tags": TAGS}, {"collections": COLLECTIONS}, {"products": source.sample(PRODUCTS, 2)}]
        made["only"] = source.choice(limits)
    possible = {
        "tiers": [source.choice(TIERS)],
        "segments": [source.choice(SEGMENTS)],
        "countries": [source.choice(COUNTRIES)],
        "starts_at": source.choice(MOMENTS[:2]),
        "ends_at": source.choice(MOMENTS[2:]),
        "minimum_subtotal": amount(source, shop, 300),
        "members_only": source.random() < 0.5,
        "trigger": source.choice(["code", "owned_code", "automatic"]),
    }
    for name in source.sample(sorted(possible), source.choice([0, 0, 1, 1, 2])):
        made[name] = possible[name]
    if made.get("trigger") == "code" and source.random() < 0.5:
        made["codes"] = ["LN-B"]
    return made


def value(source: Random, shop: str) -> Json:
    percent = source.choice(["10", "12.5", "0.1", "33.3333", "99.99", "100", f"{source.randint(1, 100)}"])
    match source.randrange(6):
        case 0:
            return {"kind": "amount_off", "amount": amount(source, shop, 40)}
        case 1:
            return {"kind": "percentage", "percent": percent}
        case 2:
            return {"kind": "percentage", "percent": percent, "at_most": amount(source, shop, 40)}
        case 3:
            return {"kind": "free_shipping"}
        case 4:
            return {"kind": "free_product", "quantity": source.randint(1, 4)}
        case _:
            worth = amount(source, shop, 5)
            return {"kind": "pay_with_points", "points": source.randint(1, 300), "worth": worth, "share": percent}


def line(source: Random, index: int, currency: str) -> Json:
    made: Json = {
        "id": f"gid://shopify/CartLine/{index}",
        "quantity": source.randint(1, 5),
        "subtotal": "0" if source.random() < 0.05 else amount(source, currency, 120),
        "gift_card": source.random() < 0.1,
    }
    if source.random() < 0.9:
        made["product"] = source.choice(PRODUCTS)
        made |= {"tags": TAGS if source.random() < 0.4 else [], "collections": COLLECTIONS if source.random() < 0.4 else []}
    return made


def earning_case(source: Random) -> tuple[Json, Json]:
    """A program and an order of its world, with every kind of rule, multiplier and cap."""
    currency = source.choice(list(EXPONENTS))
    program: Json = {"rules": [rule(source, index) for index in range(source.randint(1, 4))]}
    program["rounding"] = source.choice(["floor", "ceil", "half_up", "half_even"])
    if source.random() < 0.7:
        items = [multiplier(source, index) for index in range(source.randint(0, 3))]
        program["multipliers"] = {"stacking": source.choice(["best_of", "additive"]), "items": items}
    if source.random() < 0.3:
        program["caps"] = {"per_order": source.randint(0, 900)}
    if source.random() < 0.3:
        program["exclusions"] = {"products": ["tea"]}
    order: Json = {
        "currency": currency,
        "at": source.randint(0, 100) * 3600,
        "customer": {"tier": source.choice([None, *TIERS]), "segments": [source.choice(SEGMENTS)]},
        "lines": [order_line(source, index, currency) for index in range(source.randint(1, 6))],
        "shipping": amount(source, currency, 15),
        "taxes_included": source.random() < 0.3,
    }
    if source.random() < 0.3:
        order["tenders"] = [{"kind": source.choice(["gift_card", "other"]), "amount": amount(source, currency, 60)}]
    return program, order


def rule(source: Random, index: int) -> Json:
    made: Json = {"id": f"rule {index}"}
    possible = {"tiers": [source.choice(TIERS)], "minimum": "20", "only": {"products": ["tea"]}, "except": {"tags": ["sale"]}}
    for name in source.sample(sorted(possible), source.choice([0, 0, 0, 1, 2])):
        made[name] = possible[name]
    match source.randrange(5):
        case 0 | 1:
            rate = {"points": source.randint(1, 20), "per": source.choice([1, 3, 100])}
            return made | {"kind": "per_currency_unit", "rate": rate}
        case 2:
            return made | {"kind": "per_order", "points": source.randint(1, 200)}
        case 3:
            return made | {"kind": "per_item", "points": source.randint(1, 40)}
        case _:
            return made | {"kind": "goal_spend", "points": 200, "goal": "100", "repeat": source.random() < 0.5}


def multiplier(source: Random, index: int) -> Json:
    factor = source.choice([(1, 1), (3, 2), (2, 1), (10, 3)])
    made: Json = {"id": f"times {index}", "source": "campaign", "factor": {"num": factor[0], "den": factor[1]}}
    if source.random() < 0.5:
        made["tiers"] = [source.choice(TIERS)]
    if source.random() < 0.3:
        made["starts_at"] = source.randint(0, 100) * 3600
    return made


def order_line(source: Random, index: int, currency: str) -> Json:
    made = {"id": f"line {index}", "product_id": source.choice(["tea", "cup", "pot"]), "quantity": source.randint(1, 4)}
    made |= {"unit_price": amount(source, currency, 90), "gift_card": source.random() < 0.1}
    if source.random() < 0.3:
        made["discount"] = amount(source, currency, 5)
    if source.random() < 0.3:
        made |= {"tax": amount(source, currency, 9), "tags": ["sale"]}
    return made
