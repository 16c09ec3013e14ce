"""Bulk queries over the shop's own orders: executed by graphql-core, and left as JSON lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import graphql

from local.shopify_stand_in.shop import Json, ShopState


@dataclass
class Operation:
    """A bulk operation. It is CREATED, then RUNNING for one look, and then COMPLETED."""

    id: str
    lines: list[bytes]
    looks: int = 0

    @property
    def content(self) -> bytes:
        """The file."""
        return b"".join(self.lines)

    def look(self, address: str) -> Json:
        """What Shopify tells of it, at the shop's address."""
        self.looks += 1
        done = self.looks > 1
        return {
            "id": self.id,
            "status": "COMPLETED" if done else "RUNNING",
            "errorCode": None,
            "objectCount": str(len(self.lines) if done else len(self.lines) // 2),
            "fileSize": str(len(self.content)) if done and self.lines else None,
            "url": f"{address}/bulk/{self.id.rpartition('/')[2]}" if done and self.lines else None,
        }


def run(schema: graphql.GraphQLSchema, shop: ShopState, query: str) -> Operation | str:
    """Run a query over all that the shop has now. Returns why it cannot be run where it cannot."""
    try:
        document = graphql.parse(query)
    except graphql.GraphQLSyntaxError as error:
        return error.message
    if errors := graphql.validate(schema, document):
        return errors[0].message
    nodes = [{"node": _order(one)} for one in shop.orders.values()]
    result = graphql.execute_sync(schema, document, root_value={"orders": {"edges": nodes}})
    if result.errors or result.data is None:
        return "; ".join(error.message for error in result.errors or [])
    number = next(shop.numbers)
    lines = [json.dumps(one).encode() + b"\n" for edge in result.data["orders"]["edges"] for one in _lines(edge["node"])]
    return Operation(f"gid://shopify/BulkOperation/{number}", lines)


def _lines(node: Json) -> Iterator[Json]:
    """An object, and behind it the children of its connections as objects of their own."""
    connections = {key: value for key, value in node.items() if isinstance(value, dict) and "edges" in value}
    yield {key: value for key, value in node.items() if key not in connections}
    for connection in connections.values():
        for edge in connection["edges"]:
            for child in _lines(edge["node"]):
                yield {"__parentId": node["id"]} | child


def _order(rest: Json) -> Json:
    """REST's order as the Admin API has it."""
    currency = rest["currency"]

    def bag(amount: str) -> Json:
        # GraphQL writes 25.0 where REST writes 25.00.
        whole, _, rest_ = f"{Decimal(amount):f}".partition(".")
        told = {"amount": f"{whole}.{rest_.rstrip('0') or '0'}", "currencyCode": currency}
        return {"shopMoney": told, "presentmentMoney": told}

    def parts(line: Json) -> Json:
        return {
            "taxLines": [{"priceSet": bag(one["price"])} for one in line["tax_lines"]],
            "discountAllocations": [{"allocatedAmountSet": bag(one["amount"])} for one in line["discount_allocations"]],
        }

    lines = [
        {
            "id": _gid("LineItem", line["id"]),
            "quantity": line["quantity"],
            "currentQuantity": line["current_quantity"],
            "isGiftCard": line["gift_card"],
            "product": {"id": _gid("Product", line["product_id"])},
            "variant": None,
            "originalUnitPriceSet": bag(line["price"]),
            **parts(line),
        }
        for line in rest["line_items"]
    ]
    shipping = [
        {"id": _gid("ShippingLine", line["id"]), "originalPriceSet": bag(line["price"]), **parts(line)}
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
        "customer": buyer,
        "purchasingEntity": buyer,
        "shippingAddress": None,
        "totalPriceSet": bag(rest["total_price"]),
        "totalTipReceivedSet": bag(rest["total_tip_received"]),
        "refunds": [{"id": _gid("Refund", one["id"]), "createdAt": one["created_at"]} for one in rest["refunds"]],
        "lineItems": {"edges": [{"node": line} for line in lines]},
        "shippingLines": {"edges": [{"node": line} for line in shipping]},
    }


def _gid(kind: str, number: Any) -> str:
    return f"gid://shopify/{kind}/{number}"
