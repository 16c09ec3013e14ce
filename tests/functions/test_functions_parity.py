"""The same numbers natively and in Wasm: 10,000 random cases of each kind, answered byte for byte alike.

Hypothesis draws the seeds of cases and many cases go into one call, because a call costs more than a case.
"""

import json
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loyalty_native import LoyaltyError, Order, Program, discount_evaluate, discount_query_variables, discount_trace_amount

from local.shopify_stand_in import outputs
from local.shopify_stand_in.host import answers, run
from local.shopify_stand_in.inputs import DELIVERY, LINES, Json, function_input
from tests.functions.random_cases import discount_case, earning_case

BATCHES, BATCH = 40, 250
FEW_RUNS = settings(
    max_examples=BATCHES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def native_discount(case: str) -> Any:
    try:
        return json.loads(discount_evaluate(case))
    except LoyaltyError as error:
        return {"error": refusal(error)}


def native_earning(program: str, version: int, order: str) -> Any:
    try:
        evaluation = Program(program, version).evaluate(Order.from_json(order))
        return json.loads(evaluation.trace())
    except LoyaltyError as error:
        return {"error": refusal(error)}


def refusal(error: LoyaltyError) -> Json:
    message = str(error).removeprefix(f"{error.path}: ") if error.path else str(error)
    return {"code": error.code, "path": error.path, "message": message}


@FEW_RUNS
@given(seed=st.integers(0, 2**64 - 1))
def test_discounts_are_the_same_natively_and_in_wasm(seed: int) -> None:
    source = Random(seed)
    cases = [json.dumps(discount_case(source)) for _ in range(BATCH)]
    discounted = 0
    for case, answer in zip(cases, answers("discounts", cases), strict=True):
        native = native_discount(case)
        assert json.loads(answer) == native, case
        assert discount_trace_amount(answer) == native["discount_minor"]
        discounted += native["discount_minor"] > 0
    # Cases without a discount would agree in anything.
    assert discounted > BATCH / 4


@FEW_RUNS
@given(seed=st.integers(0, 2**64 - 1))
def test_points_are_the_same_natively_and_in_wasm(seed: int) -> None:
    source = Random(seed)
    cases = [earning_case(source) for _ in range(BATCH)]
    texts = [(json.dumps(program), json.dumps(order)) for program, order in cases]
    lines = [f"{program}\t7\t{order}" for program, order in texts]
    earned = 0
    for (program, order), answer in zip(texts, answers("earning", lines), strict=True):
        native = native_earning(program, 7, order)
        assert json.loads(answer) == native, (program, order)
        earned += native.get("points", 0) > 0
    # Cases that earn nothing would agree in anything.
    assert earned > BATCH / 4


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_the_function_takes_off_what_the_server_computes(seed: int) -> None:
    """What Shopify makes of the function's operations is what the trace says, class by class and to the minor unit."""
    case = discount_case(Random(seed))
    trace = json.loads(discount_evaluate(json.dumps(case)))
    variables = json.loads(discount_query_variables(json.dumps(case["config"])))
    lines = run("loyalty-discount", LINES, function_input(LINES, case, variables))
    assert outputs.check(LINES, lines.output) == []
    expected = {"product": 0, "order": 0, "shipping": 0}
    for offer in trace["offers"]:
        expected[offer["class"]] += offer["amount_minor"] if offer["applied"] else 0
    assert outputs.discounts(lines.output, case["cart"]) == {name: expected[name] for name in ("product", "order")}
    delivery = run("loyalty-discount", DELIVERY, function_input(DELIVERY, case, variables))
    assert outputs.check(DELIVERY, delivery.output) == []
    free = any(offer["applied"] for offer in trace["offers"] if offer["class"] == "shipping")
    assert bool(delivery.output["operations"]) == free


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**64 - 1), currency=st.sampled_from(["JPY", "USD", "KWD"]))
def test_no_discount_is_more_than_what_it_is_taken_from(seed: int, currency: str) -> None:
    case = discount_case(Random(seed), currency)
    trace = json.loads(discount_evaluate(json.dumps(case)))
    costs = {line["id"]: outputs.money_parse(line["subtotal"], currency) for line in case["cart"]["lines"]}
    goods = sum(costs[line["id"]] for line in case["cart"]["lines"] if not line.get("gift_card", False))
    off = dict.fromkeys(costs, 0)
    for offer in trace["offers"]:
        for line in offer.get("lines", []):
            off[line["id"]] += line["amount_minor"]
    assert all(0 <= off[line] <= cost for line, cost in costs.items())
    assert sum(off.values()) <= goods == trace["goods_minor"]
