"""What Shopify does with a function's output: checks it against the schema, then takes the discounts off the cart."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import graphql
from loyalty_native import currency_exponent, money_parse

from local.shopify_stand_in.inputs import DELIVERY, LINES, shopify_schema

Json = dict[str, Any]

RESULTS = {LINES: "CartLinesDiscountsGenerateRunResult", DELIVERY: "CartDeliveryOptionsDiscountsGenerateRunResult"}
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


def check(target: str, output: Any) -> list[str]:
    """Everything in an output that Shopify would refuse: types, the one-key rules, decimals and ranges."""
    problems: list[str] = []
    kind = shopify_schema().type_map[RESULTS[target]]
    check_value(output, graphql.GraphQLNonNull(kind), "result", problems)
    return problems


def check_value(value: Any, kind: Any, path: str, problems: list[str]) -> None:
    if isinstance(kind, graphql.GraphQLNonNull):
        if value is None:
            problems.append(f"{path} is null")
            return
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, graphql.GraphQLList):
        if not isinstance(value, list):
            problems.append(f"{path} is no list")
            return
        for index, item in enumerate(value):
            check_value(item, kind.of_type, f"{path}[{index}]", problems)
    elif isinstance(kind, graphql.GraphQLInputObjectType):
        check_object(value, kind, path, problems)
    elif kind.name == "Decimal":
        check_decimal(value, path, problems)
    elif isinstance(kind, graphql.GraphQLEnumType):
        if value not in kind.values:
            problems.append(f"{path} is no {kind.name}")
    elif not isinstance(value, {"Int": int, "Boolean": bool}.get(kind.name, str)) or (kind.name == "Int" and value is True):
        problems.append(f"{path} is no {kind.name}")


def check_object(value: Any, kind: graphql.GraphQLInputObjectType, path: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(f"{path} is no object")
        return
    problems += [f"{path}.{name} is unknown" for name in value if name not in kind.fields]
    if kind.is_one_of and (len(value) != 1 or None in value.values()):
        problems.append(f"{path} must have exactly one field")
    for name, field in kind.fields.items():
        if name in value or not kind.is_one_of:
            check_value(value.get(name), field.type, f"{path}.{name}", problems)


def check_decimal(value: Any, path: str, problems: list[str]) -> None:
    if not isinstance(value, str) or not DECIMAL.fullmatch(value):
        problems.append(f"{path} is no decimal text")
    elif ".percentage." in path and Decimal(value) > 100:
        problems.append(f"{path} is more than 100")


def discounts(output: Json, cart: Json) -> dict[str, int]:
    """What the operations take off the cart, by class and in minor units, as Shopify applies them.

    Product discounts first, each line by one candidate at most; then the order discount on what is left of the lines it
    does not exclude. Raises AssertionError for a line that is unknown or discounted twice.
    """
    left = {line["id"]: money_parse(line["subtotal"], cart["currency"]) for line in cart["lines"]}
    quantities = {line["id"]: line["quantity"] for line in cart["lines"]}
    taken = {"product": 0, "order": 0}
    touched: set[str] = set()
    for operation in output["operations"]:
        for candidate in operation.get("productDiscountsAdd", {}).get("candidates", []):
            targets = [target["cartLine"] for target in candidate["targets"]]
            ids = [target["id"] for target in targets]
            assert not touched.intersection(ids), f"{ids} are discounted twice"
            assert len(set(ids)) == len(ids)
            touched.update(ids)
            taken["product"] += take(candidate["value"], targets, left, quantities, cart["currency"])
    for operation in output["operations"]:
        for candidate in operation.get("orderDiscountsAdd", {}).get("candidates", []):
            assert taken["order"] == 0, "Shopify applies one order discount"
            excluded = candidate["targets"][0]["orderSubtotal"]["excludedCartLineIds"]
            assert set(excluded) <= set(left)
            base = sum(minor for line, minor in left.items() if line not in excluded) - taken["product"]
            taken["order"] = part(candidate["value"], base, cart["currency"])
    return taken


def take(value: Json, targets: list[Json], left: dict[str, int], quantities: dict[str, int], currency: str) -> int:
    """A candidate's amount; whole units of a line, where the target names a quantity."""
    if any(target.get("quantity") is not None for target in targets):
        assert value == {"percentage": {"value": "100"}}
        return sum(
            rounded(Decimal(left[target["id"]]) * min(target["quantity"], quantities[target["id"]]) / quantities[target["id"]])
            for target in targets
        )
    return part(value, sum(left[target["id"]] for target in targets), currency)


def part(value: Json, base: int, currency: str) -> int:
    if "percentage" in value:
        return rounded(Decimal(base) * Decimal(value["percentage"]["value"]) / 100)
    fixed = value["fixedAmount"]
    assert not fixed.get("appliesToEachItem", False)
    amount = Decimal(fixed["amount"]).scaleb(currency_exponent(currency))
    assert amount == int(amount), f"{fixed} has more decimals than {currency}"
    assert 0 < amount <= base, f"{fixed} is more than the {base} it is taken from"
    return int(amount)


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
