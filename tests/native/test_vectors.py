"""The golden cases of earning, which Rust and the Wasm modules run too."""

import json
from pathlib import Path
from typing import Any

import pytest
from loyalty_native import LoyaltyError, Order, Program, trace_points
from reference import evaluate as evaluate_by_reference

Json = dict[str, Any]

VECTORS = Path(__file__).parents[2] / "native" / "vectors"


def cases(pattern: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(VECTORS.glob(pattern))
        for case in json.loads(path.read_bytes())["cases"]
    ]


EVALUATIONS = [case for case in cases("earning_*.json") if "expect" in case.values[0]]


@pytest.mark.parametrize("case", EVALUATIONS)
def test_core_agrees(case: Json) -> None:
    program, order = Program(json.dumps(case["program"]), 1), Order.from_json(json.dumps(case["order"]))
    evaluation, expect = program.evaluate(order), case["expect"]
    assert (evaluation.points, evaluation.reason, evaluation.base_minor) == (
        expect["points"],
        expect["reason"],
        expect["base_minor"],
    )
    assert evaluation.lines == [tuple(line) for line in expect["lines"]]
    trace = json.loads(evaluation.trace())
    why_not = {rule["id"]: rule["why_not"] for rule in trace["rules"] if not rule["fired"]}
    assert why_not == expect.get("why_not", {})
    assert trace_points(evaluation.trace()) == expect["points"]


@pytest.mark.parametrize("case", EVALUATIONS)
def test_reference_agrees(case: Json) -> None:
    earned, expect = evaluate_by_reference(case["program"], case["order"]), case["expect"]
    assert (earned.points, earned.reason, earned.base_minor) == (
        expect["points"],
        expect["reason"],
        expect["base_minor"],
    )
    assert earned.lines == [tuple(line) for line in expect["lines"]]
    assert earned.why_not == expect.get("why_not", {})


@pytest.mark.parametrize("case", cases("earning_errors.json"))
def test_refusals(case: Json) -> None:
    with pytest.raises(LoyaltyError) as refusal:
        run_refused(case)
    assert {"code": refusal.value.code, "path": refusal.value.path} == case["error"]
    assert str(refusal.value).startswith(case["error"]["path"])


def run_refused(case: Json) -> None:
    if "order" not in case and "order_text" not in case:
        Program(document(case, "program"), 1)
    elif "program" not in case:
        Order.from_json(document(case, "order"))
    else:
        Program(document(case, "program"), 1).evaluate(Order.from_json(document(case, "order")))


def document(case: Json, name: str) -> str:
    """The case's document, which is given as text where it is no JSON."""
    return case[f"{name}_text"] if f"{name}_text" in case else json.dumps(case[name])
