"""A cart of any length and a discount of eight offers with 25 conditions, for measuring what a run costs."""

from typing import Any

Json = dict[str, Any]

COLLECTION = "gid://shopify/Collection/489012345001"
TAG = "sale"


def product_id(index: int) -> str:
    return f"gid://shopify/Product/{8_012_345_000_000 + index}"


def line_id(index: int) -> str:
    """As long as Shopify's are: a line's id is a UUID."""
    return f"gid://shopify/CartLine/{index:08x}-5f2a-4c1b-9d3e-0123456789ab"


def config() -> Json:
    """All offers hold for `case` but the two for another tier and code; conditions are counted beside each."""
    return {
        "version": 1,
        "currency": "USD",
        "offers": [
            {  # 5
                "id": "gold",
                "message": "Gold members: 10 % off",
                "tiers": ["gold", "platinum"],
                "countries": ["US", "CA", "MX"],
                "starts_at": "2026-01-01",
                "ends_at": "2027-01-01",
                "minimum_subtotal": "50.00",
                "value": {"kind": "percentage", "percent": "10"},
            },
            {  # 3
                "id": "silver",
                "tiers": ["silver"],
                "segments": ["loyal", "champions"],
                "minimum_subtotal": "50.00",
                "value": {"kind": "percentage", "percent": "5"},
            },
            {  # 4
                "id": "autumn",
                "message": "Autumn: 15 % off coats",
                "countries": ["US", "CA"],
                "starts_at": "2026-11-20T09:00:00",
                "ends_at": "2026-12-01",
                "only": {"collections": [COLLECTION]},
                "value": {"kind": "percentage", "percent": "15"},
            },
            {  # 3
                "id": "sale",
                "segments": ["champions"],
                "ends_at": "2026-12-24T18:00:00",
                "only": {"tags": [TAG]},
                "value": {"kind": "percentage", "percent": "20", "at_most": "500.00"},
            },
            {  # 3
                "id": "picked",
                "tiers": ["gold"],
                "minimum_subtotal": "20.00",
                "only": {"products": [product_id(index) for index in range(0, 50, 5)]},
                "value": {"kind": "amount_off", "amount": "12.00"},
            },
            {  # 2
                "id": "gift",
                "minimum_subtotal": "5.00",
                "only": {"products": [product_id(7), product_id(11)]},
                "value": {"kind": "free_product", "quantity": 1},
            },
            {  # 2
                "id": "shipping",
                "countries": ["US"],
                "minimum_subtotal": "75.00",
                "value": {"kind": "free_shipping"},
            },
            {  # 3
                "id": "code",
                "trigger": "code",
                "codes": ["LN-7F3K", "LN-8G4L"],
                "tiers": ["gold"],
                "ends_at": "2027-01-01",
                "value": {"kind": "amount_off", "amount": "5.00"},
            },
        ],
    }


def case(lines: int) -> Json:
    """About a third of the lines is discounted by some product offer, every 40th line is a gift card."""
    return {
        "config": config(),
        "customer": {"version": 1, "tier": "gold", "segments": ["champions", "loyal"], "balance": 1250, "codes": ["LN-1A2B"]},
        "cart": {
            "currency": "EUR",
            "rate": "0.9234",
            "country": "US",
            "local_time": "2026-11-21T12:30:00",
            "deliveries": 1,
            "lines": [
                {
                    "id": line_id(index),
                    "product": product_id(index),
                    "tags": [TAG] if index % 10 == 0 else [],
                    "collections": [COLLECTION] if index % 4 == 1 else [],
                    "quantity": 1 + index % 4,
                    "subtotal": f"{12 + index % 60}.{index % 100:02d}",
                    "gift_card": index % 40 == 39,
                }
                for index in range(lines)
            ],
        },
    }
