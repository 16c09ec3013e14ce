"""The golden cases of native/vectors, run by the Wasm core and by the discount function itself."""

import json
from typing import Any

import pytest
from loyalty_native import discount_query_variables

from local.shopify_stand_in import outputs
from local.shopify_stand_in.host import answers, run
from local.shopify_stand_in.inputs import DELIVERY, LINES, Json, function_input, vector_cases

DISCOUNTS = vector_cases()
EVALUATED = [pytest.param(case, id=case["name"]) for case in DISCOUNTS if "expect" in case]
# Shopify has no gift card amounts below zero, no unknown fields and no lines without units; those cases stop at JSON.
REFUSED_CONFIGS = [
    pytest.param(case, id=case["name"]) for case in DISCOUNTS if case.get("error", {}).get("path", "").startswith("config")
]


def input_of(case: Json) -> str:
    return json.dumps({name: case[name] for name in ("config", "customer", "cart", "classes") if name in case})


def test_the_core_in_wasm_gives_the_golden_answers() -> None:
    assert len(DISCOUNTS) > 100
    for case, answer in zip(DISCOUNTS, answers("discounts", [input_of(case) for case in DISCOUNTS]), strict=True):
        got = json.loads(answer)
        if "error" in case:
            assert {name: got["error"][name] for name in ("code", "path")} == case["error"], case["name"]
            continue
        verdicts = {offer["id"]: offer["amount_minor"] if offer["applied"] else offer["reason"] for offer in got["offers"]}
        assert verdicts == case["expect"]["offers"], case["name"]
        assert got["discount_minor"] == case["expect"]["discount_minor"], case["name"]


def test_the_core_in_wasm_earns_the_golden_points() -> None:
    cases = [case for case in vector_cases("earning_*.json") if "expect" in case]
    assert len(cases) > 20
    lines = ["\t".join((json.dumps(case["program"]), "1", json.dumps(case["order"]))) for case in cases]
    for case, answer in zip(cases, answers("earning", lines), strict=True):
        assert json.loads(answer)["points"] == case["expect"]["points"], case["name"]


@pytest.mark.parametrize("case", EVALUATED)
def test_the_function_takes_off_what_was_expected(case: Json) -> None:
    variables = json.loads(discount_query_variables(json.dumps(case["config"])))
    lines = run("loyalty-discount", LINES, function_input(LINES, case, variables))
    assert outputs.check(LINES, lines.output) == []
    assert outputs.discounts(lines.output, case["cart"]) == expected_by_class(case)
    delivery = run("loyalty-discount", DELIVERY, function_input(DELIVERY, case, variables))
    assert outputs.check(DELIVERY, delivery.output) == []
    assert bool(delivery.output["operations"]) == is_delivered_free(case)
    for ended in (lines, delivery):
        assert ended.log.count("\n") == (0 if ended.output["operations"] else 1), ended.log


@pytest.mark.parametrize("case", REFUSED_CONFIGS)
@pytest.mark.parametrize("target", [LINES, DELIVERY])
def test_a_refused_config_does_nothing_and_says_why(case: Json, target: str) -> None:
    ended = run("loyalty-discount", target, function_input(target, case))
    assert ended.output == {"operations": []}
    assert ended.log.startswith(f"loyalty-discount: config: {case['error']['code']} ")
    path = case["error"]["path"].removeprefix("config").removeprefix(".")
    assert path in ended.log
    assert ended.log.count("\n") == 1


def expected_by_class(case: Json) -> dict[str, int]:
    expected = {"product": 0, "order": 0}
    for offer in case["config"]["offers"]:
        amount = case["expect"]["offers"][offer["id"]]
        if isinstance(amount, int) and offer["value"]["kind"] != "free_shipping":
            expected[class_of(offer)] += amount
    return expected


def class_of(offer: Json) -> str:
    limited: Any = offer.get("only")
    return "product" if limited else "order"


def is_delivered_free(case: Json) -> bool:
    """Delivery costs nothing when a shipping offer applies; the function is not told what it would have cost."""
    return any(
        isinstance(case["expect"]["offers"][offer["id"]], int)
        for offer in case["config"]["offers"]
        if offer["value"]["kind"] == "free_shipping"
    )
