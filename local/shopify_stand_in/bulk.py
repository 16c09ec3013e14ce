"""Bulk queries over the shop's own orders: executed by graphql-core, and left as JSON lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import graphql

from local.shopify_stand_in import orders
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
    nodes = [{"node": orders.as_graphql(one)} for one in shop.orders.values()]
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
