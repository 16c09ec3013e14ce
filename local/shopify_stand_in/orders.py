"""Orders and refunds, which are kept as REST has them, in the Admin API's shape."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from local.shopify_stand_in.shop import Json


def as_graphql(rest: Json) -> Json:
    """An order."""
    currency = rest["currency"]
    applications = rest["discount_applications"]
    lines = [
        {
            "id": _gid("LineItem", line["id"]),
            "quantity": line["quantity"],
            "currentQuantity": line["current_quantity"],
            "isGiftCard": line["gift_card"],
            "product": {"id": _gid("Product", line["product_id"])},
            "variant": None,
            "originalUnitPriceSet": _bag(line["price"], currency),
            **_parts(line, applications, currency),
        }
        for line in rest["line_items"]
    ]
    shipping = [
        {
            "id": _gid("ShippingLine", line["id"]),
            "originalPriceSet": _bag(line["price"], currency),
            **_parts(line, applications, currency),
        }
        for line in rest["shipping_lines"]
    ]
    buyer = {"__typename": "Customer", "id": _gid("Customer", rest["customer"]["id"])}
    return {
        "id": _gid("Order", rest["id"]),
        "createdAt": rest["created_at"],
        "updatedAt": rest["updated_at"],
        "processedAt": rest["created_at"],
        "cancelledAt": rest["cancelled_at"],
        "test": rest["test"],
        "taxesIncluded": rest["taxes_included"],
        "sourceName": rest["source_name"],
        "tags": [],
        "paymentGatewayNames": [],
        "currencyCode": currency,
        "presentmentCurrencyCode": rest["presentment_currency"],
        "displayFinancialStatus": rest["financial_status"].upper(),
        "discountCodes": [one["code"] for one in rest["discount_codes"]],
        "customAttributes": [{"key": one["name"], "value": one["value"]} for one in rest["note_attributes"]],
        "customer": buyer,
        "purchasingEntity": buyer,
        "shippingAddress": None,
        "totalPriceSet": _bag(rest["total_price"], currency),
        "totalTipReceivedSet": _bag(rest["total_tip_received"], currency),
        "refunds": [{"id": _gid("Refund", one["id"]), "createdAt": one["created_at"]} for one in rest["refunds"]],
        "lineItems": {"edges": [{"node": line} for line in lines]},
        "shippingLines": {"edges": [{"node": line} for line in shipping]},
    }


def refund_as_graphql(rest: Json, currency: str) -> Json:
    """A refund of an order in this currency. graphql-core calls its connections with their arguments."""
    lines = [
        {"quantity": one["quantity"], "lineItem": {"id": _gid("LineItem", one["line_item_id"])}}
        for one in rest["refund_line_items"]
    ]
    shipping = [
        {
            "id": _gid("RefundShippingLine", place),
            "subtotalAmountSet": _bag(one["subtotal_amount_set"]["shop_money"]["amount"], currency),
            "taxAmountSet": _bag(one["tax_amount_set"]["shop_money"]["amount"], currency),
        }
        for place, one in enumerate(rest.get("refund_shipping_lines", []))
    ]
    transactions = [
        {
            "id": _gid("OrderTransaction", one["id"]),
            "kind": one["kind"].upper(),
            "status": one["status"].upper(),
            "gateway": one.get("gateway"),
            "amountSet": _bag(one["amount"], currency),
        }
        for one in rest["transactions"]
    ]
    return {
        "id": _gid("Refund", rest["id"]),
        "refundLineItems": _connection(lines),
        "refundShippingLines": _connection(shipping),
        "transactions": _connection(transactions),
    }


def _connection(nodes: list[Json]) -> Callable[..., Json]:
    def page(_: Any, first: int, after: str | None = None, **__: Any) -> Json:
        begin = int(after or 0)
        end = min(begin + first, len(nodes))
        return {"nodes": nodes[begin:end], "pageInfo": {"hasNextPage": end < len(nodes), "endCursor": str(end)}}

    return page


def _bag(amount: str, currency: str) -> Json:
    # GraphQL writes 25.0 where REST writes 25.00.
    whole, _, part = f"{Decimal(amount):f}".partition(".")
    told = {"amount": f"{whole}.{part.rstrip('0') or '0'}", "currencyCode": currency}
    return {"shopMoney": told, "presentmentMoney": told}


def _parts(line: Json, applications: list[Json], currency: str) -> Json:
    return {
        "taxLines": [{"priceSet": _bag(one["price"], currency)} for one in line["tax_lines"]],
        "discountAllocations": [
            {
                "allocatedAmountSet": _bag(one["amount"], currency),
                "discountApplication": _application(applications, one["discount_application_index"]),
            }
            for one in line["discount_allocations"]
        ],
    }


def _application(applications: list[Json], index: int) -> Json:
    found = applications[index]
    if found["type"] == "automatic":
        return {"__typename": "AutomaticDiscountApplication", "index": index, "title": found["title"]}
    return {"__typename": "DiscountCodeApplication", "index": index, "code": found["code"]}


def _gid(kind: str, number: Any) -> str:
    return f"gid://shopify/{kind}/{number}"
