"""What a run costs, counted as Shopify counts: guest and provider together."""

import json

import pytest
from loyalty_native import discount_query_variables

from local.shopify_stand_in import outputs
from local.shopify_stand_in.build import module_path
from local.shopify_stand_in.host import Run, run
from local.shopify_stand_in.inputs import DELIVERY, LINES, Json, function_input
from tests.functions import heavy

# Shopify's limits up to 200 lines; above, those of instructions, input and output grow with the lines, up to tenfold.
INSTRUCTIONS, INPUT_BYTES, OUTPUT_BYTES, MEMORY_BYTES, MODULE_BYTES = 11_000_000, 128_000, 20_000, 10_000_000, 256_000


def variables(config: Json) -> Json:
    return json.loads(discount_query_variables(json.dumps(config)))


def runs(case: Json) -> tuple[Run, Run]:
    """The discount function and the reading-only yardstick on the same input."""
    whole = function_input(LINES, case, variables(case["config"]))
    return run("loyalty-discount", LINES, whole), run("functions-reads", "read_interned", whole)


def conditions(offer: Json) -> int:
    """The conditions of an offer; a limit counts once, a list of codes with its trigger."""
    names = ("tiers", "segments", "countries", "starts_at", "ends_at", "minimum_subtotal", "only", "codes")
    return sum(name in offer for name in names)


def test_the_module_is_small() -> None:
    assert module_path("loyalty-discount").stat().st_size <= 100_000 < MODULE_BYTES


def test_200_lines_and_25_conditions() -> None:
    case = heavy.case(200)
    assert sum(conditions(offer) for offer in case["config"]["offers"]) == 25
    ours, reading = runs(case)
    assert outputs.check(LINES, ours.output) == []
    taken = outputs.discounts(ours.output, case["cart"])
    assert taken["product"] > 0
    assert taken["order"] > 0
    assert ours.instructions <= 4_000_000 < INSTRUCTIONS
    assert ours.instructions <= 1.5 * reading.instructions
    assert ours.memory_bytes <= MEMORY_BYTES
    assert ours.input_bytes <= INPUT_BYTES
    assert len(json.dumps(ours.output, separators=(",", ":"))) <= OUTPUT_BYTES


def test_200_lines_all_of_which_are_discounted() -> None:
    """The dearest answer: every line is a target, so every line is read and written."""
    case = heavy.case(200)
    case["config"] = {
        "version": 1,
        "currency": "USD",
        "offers": [{"id": "all", "only": {"tags": [heavy.TAG]}, "value": {"kind": "percentage", "percent": "10"}}],
    }
    for line in case["cart"]["lines"]:
        line |= {"tags": [heavy.TAG], "gift_card": False}
    ours, _ = runs(case)
    assert len(ours.output["operations"][0]["productDiscountsAdd"]["candidates"][0]["targets"]) == 200
    assert ours.instructions <= INSTRUCTIONS / 2
    assert len(json.dumps(ours.output, separators=(",", ":"))) <= OUTPUT_BYTES


@pytest.mark.parametrize("lines", [1, 500, 2000])
def test_the_limits_hold_as_they_scale(lines: int) -> None:
    factor = min(10, max(1, lines * 0.005))
    case = heavy.case(lines)
    ours, _ = runs(case)
    assert outputs.check(LINES, ours.output) == []
    outputs.discounts(ours.output, case["cart"])
    assert ours.instructions <= INSTRUCTIONS * factor / 2
    assert ours.memory_bytes <= MEMORY_BYTES
    assert len(json.dumps(ours.output, separators=(",", ":"))) <= OUTPUT_BYTES * factor
    delivery = run("loyalty-discount", DELIVERY, function_input(DELIVERY, case, variables(case["config"])))
    assert delivery.output["operations"] or lines == 1
    assert delivery.instructions <= INSTRUCTIONS * factor / 2


def test_a_config_of_the_longest_metafield() -> None:
    """10,000 bytes of products, none of which is in the cart, is what takes longest to compare."""
    case = heavy.case(200)
    products = [[heavy.product_id(900_000 + 60 * offer + index) for index in range(60)] for offer in range(4)]
    value = {"kind": "percentage", "percent": "10"}
    offers = [{"id": str(index), "only": {"products": ids}, "value": value} for index, ids in enumerate(products)]
    case["config"] = {"version": 1, "currency": "USD", "offers": offers}
    text = json.dumps(case["config"])
    assert 9_000 < len(text) <= 10_000
    ours, _ = runs(case)
    assert "0=NOTHING_ELIGIBLE" in ours.log
    assert ours.instructions <= INSTRUCTIONS / 2
