"""Turns a case (config, customer, cart, classes) into what Shopify would hand the function.

The input is made by executing the extension's own query against Shopify's schema, so it has the shape, the aliases and
the types that Shopify's has, and a field that the query forgets is missing here too.
"""

import functools
import json
from pathlib import Path
from typing import Any

import graphql

from local.shopify_stand_in.build import ROOT

Json = dict[str, Any]

EXTENSION = ROOT / "shopify_functions" / "loyalty-discount"
LINES = "cart_lines_discounts_generate_run"
DELIVERY = "cart_delivery_options_discounts_generate_run"
# The country of a case that names none: Shopify's code for an unknown region.
NOWHERE = "ZZ"


@functools.cache
def shopify_schema() -> graphql.GraphQLSchema:
    return graphql.build_schema((EXTENSION / "schema.graphql").read_text())


@functools.cache
def query(target: str) -> graphql.DocumentNode:
    return graphql.parse((EXTENSION / "src" / f"{target}.graphql").read_text())


def function_input(target: str, case: Json, variables: Json | None = None) -> Json:
    """The input of `target` for a case; raises AssertionError where the case is nothing Shopify could send."""
    declared = {node.variable.name.value for node in query(target).definitions[0].variable_definitions}
    asked = {name: value for name, value in (variables or {}).items() if name in declared}
    answer = graphql.execute_sync(shopify_schema(), query(target), root_value=root(case), variable_values=asked)
    assert answer.errors is None, answer.errors
    assert answer.data is not None
    return json.loads(json.dumps(answer.data))


def root(case: Json) -> Json:
    cart = case["cart"]
    classes = case.get("classes", ["order", "product", "shipping"])
    return {
        "discount": {"discountClasses": [name.upper() for name in classes], "metafield": metafield("config", case.get("config"))},
        "triggeringDiscountCode": cart.get("code"),
        "enteredDiscountCodes": [{"code": code} for code in cart.get("entered_codes", [])],
        "presentmentCurrencyRate": cart.get("rate", "1.0"),
        "localization": {"country": {"isoCode": cart.get("country", NOWHERE)}},
        "shop": {"localTime": local_time(cart["local_time"])},
        "cart": {
            "attribute": lambda _, key: attribute(key, cart.get("reservation")),
            "buyerIdentity": buyer(case),
            "cost": {"subtotalAmount": {"currencyCode": cart["currency"]}},
            "deliveryGroups": [{"id": f"gid://shopify/CartDeliveryGroup/{index}"} for index in range(cart.get("deliveries", 0))],
            "lines": [line_of(line) for line in cart["lines"]],
        },
    }


def metafield(known: str, content: Any) -> Any:
    """Shopify's resolver: only `$app` metafields of this key, and none at all where there is no content."""
    text = content if isinstance(content, str) or content is None else json.dumps(content, separators=(",", ":"))

    def resolve(_: Any, namespace: str, key: str) -> Json | None:
        return {"value": text} if (namespace, key) == ("$app", known) and text is not None else None

    return resolve


def attribute(key: str, reservation: str | None) -> Json | None:
    return {"value": reservation} if key == "_loyalnest_reservation" and reservation is not None else None


def buyer(case: Json) -> Json | None:
    if case.get("customer", None) is None and not case.get("signed_in", False):
        return None
    return {"customer": {"metafield": metafield("loyalty", case.get("customer"))}}


def local_time(now: str) -> Json:
    moment = now if "T" in now else f"{now}T00:00:00"
    return {"date": moment[:10], "dateTimeAfter": lambda _, **moments: moment >= moments["dateTime"]}


def line_of(line: Json) -> Json:
    gift_card = line.get("gift_card", False)
    tags, collections = line.get("tags", []), line.get("collections", [])
    product = {
        "id": line.get("product"),
        "isGiftCard": gift_card,
        "hasAnyTag": lambda _, tags: any(tag in product_tags for tag in tags),
        "inAnyCollection": lambda _, ids: any(one in collections for one in ids),
    }
    product_tags = tags
    merchandise = {"__typename": "ProductVariant", "product": product}
    if line.get("product") is None:
        merchandise = {"__typename": "CustomProduct", "isGiftCard": gift_card}
    return {
        "id": line["id"],
        "quantity": line["quantity"],
        "cost": {"subtotalAmount": {"amount": line["subtotal"]}},
        "merchandise": merchandise,
    }


def vector_cases(pattern: str = "discount_*.json") -> list[Json]:
    folder = ROOT / "native" / "vectors"
    return [case for path in sorted(folder.glob(pattern)) for case in json.loads(Path(path).read_text())["cases"]]
