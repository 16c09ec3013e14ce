"""The checks of a function's output find what Shopify would refuse."""

import copy
from typing import Any

import pytest

from local.shopify_stand_in import outputs
from local.shopify_stand_in.inputs import DELIVERY, LINES, Json

PRODUCT = {
    "targets": [{"cartLine": {"id": "a", "quantity": 1}}],
    "value": {"percentage": {"value": "100"}},
}
ORDER = {
    "targets": [{"orderSubtotal": {"excludedCartLineIds": ["card"]}}],
    "value": {"fixedAmount": {"amount": "5.00"}},
    "message": "Five off",
}
GOOD = {
    "operations": [
        {"productDiscountsAdd": {"selectionStrategy": "ALL", "candidates": [PRODUCT]}},
        {"orderDiscountsAdd": {"selectionStrategy": "FIRST", "candidates": [ORDER]}},
    ]
}
CART = {
    "currency": "USD",
    "lines": [
        {"id": "a", "quantity": 2, "subtotal": "10.01"},
        {"id": "b", "quantity": 1, "subtotal": "20.00"},
        {"id": "card", "quantity": 1, "subtotal": "50.00"},
    ],
}


def changed(path: list[Any], value: Any) -> Json:
    output = copy.deepcopy(GOOD)
    parent: Any = output
    for key in path[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return output


PRODUCTS = ["operations", 0, "productDiscountsAdd"]
ORDERS = ["operations", 1, "orderDiscountsAdd"]


def test_a_good_output_has_no_problems_and_its_amounts() -> None:
    assert outputs.check(LINES, GOOD) == []
    # Half of 10.01 is 5.005, which is 5.01; the gift card is excluded from the order's discount.
    assert outputs.discounts(GOOD, CART) == {"product": 501, "order": 500}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["operations"], ..., "result.operations is null"),
        (["operations", 0, "orderDiscountsAdd"], GOOD["operations"][1]["orderDiscountsAdd"], "exactly one field"),
        (["operations", 0], {}, "exactly one field"),
        (["operations", 0, "productDiscountsAdd"], None, "exactly one field"),
        ([*PRODUCTS, "selectionStrategy"], "BEST", "selectionStrategy is no ProductDiscountSelectionStrategy"),
        ([*PRODUCTS, "selectionStrategy"], ..., "selectionStrategy is null"),
        ([*PRODUCTS, "candidates", 0, "targets", 0, "cartLine", "id"], 5, "id is no ID"),
        ([*PRODUCTS, "candidates", 0, "targets", 0, "cartLine", "quantity"], "1", "quantity is no Int"),
        ([*PRODUCTS, "candidates", 0, "targets"], {}, "targets is no list"),
        ([*PRODUCTS, "candidates", 0, "value", "percentage", "value"], "100.1", "more than 100"),
        ([*PRODUCTS, "candidates", 0, "value", "percentage", "value"], 10, "no decimal text"),
        ([*ORDERS, "candidates", 0, "value", "fixedAmount", "amount"], "-5.00", "no decimal text"),
        ([*ORDERS, "candidates", 0, "value", "fixedAmount", "appliesToEachItem"], False, "appliesToEachItem is unknown"),
        ([*ORDERS, "candidates", 0, "value"], {}, "exactly one field"),
        ([*ORDERS, "candidates", 0, "value"], "5.00", "value is no object"),
    ],
)
def test_what_shopify_would_refuse_is_found(path: list[Any], value: Any, problem: str) -> None:
    problems = outputs.check(LINES, changed(path, value))
    assert any(problem in found for found in problems), problems


def test_a_target_knows_only_its_own_operations() -> None:
    assert outputs.check(DELIVERY, GOOD) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ([*ORDERS, "candidates", 0, "value", "fixedAmount", "amount"], "25.01"),
        ([*ORDERS, "candidates", 0, "value", "fixedAmount", "amount"], "5.001"),
        ([*ORDERS, "candidates", 0, "targets", 0, "orderSubtotal", "excludedCartLineIds"], ["nothing"]),
        ([*PRODUCTS, "candidates"], [PRODUCT, PRODUCT]),
        ([*ORDERS, "candidates"], [ORDER, ORDER]),
    ],
)
def test_more_than_the_line_or_the_order_is_found(path: list[Any], value: Any) -> None:
    with pytest.raises(AssertionError):
        outputs.discounts(changed(path, value), CART)
