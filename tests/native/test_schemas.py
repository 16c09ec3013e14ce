"""The JSON Schemas say what the core says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from loyalty_native import Order, Program
from strategies import orders, programs
from test_vectors import EVALUATIONS, VECTORS, cases

Json = dict[str, Any]

# What needs arithmetic, or a look at two places at once, is beyond a schema.
BEYOND_SCHEMA = {"ID_DUPLICATE", "FRACTION_TOO_FINE", "MULTIPLIER_BELOW_ONE", "AMOUNT_PRECISION", "OVERFLOW"}


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((VECTORS.parent / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


PROGRAM, ORDER, TRACE = validator("program"), validator("order"), validator("trace")


@pytest.mark.parametrize("case", EVALUATIONS)
def test_golden_documents_are_valid(case: Json) -> None:
    PROGRAM.validate(case["program"])
    ORDER.validate(case["order"])


@settings(max_examples=100, deadline=None)
@given(programs(), orders())
def test_whatever_the_core_reads_and_writes_is_valid(program: Json, order: Json) -> None:
    PROGRAM.validate(program)
    ORDER.validate(order)
    trace = Program(json.dumps(program), 1).evaluate(Order.from_json(json.dumps(order))).trace()
    TRACE.validate(json.loads(trace))


REFUSED = [case for case in cases("earning_errors.json") if len({"program", "order"} & case.values[0].keys()) == 1]


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_core_refuses_the_schemas_refuse(case: Json) -> None:
    name = "program" if "program" in case else "order"
    valid = (PROGRAM if name == "program" else ORDER).is_valid(case[name])
    # Whether a currency exists, and which of two times is later, is beyond a schema too.
    by_eye = case["error"]["code"] == "CURRENCY_UNKNOWN" or case["error"]["path"].endswith("ends_at")
    assert not valid or case["error"]["code"] in BEYOND_SCHEMA or by_eye


def test_limits_are_the_same() -> None:
    schema, rules = PROGRAM.schema, {"rules": []}
    for path in (("rules",), ("multipliers", "items")):
        limit = schema["properties"]["rules"]["maxItems"]
        item = {"source": "campaign", "factor": {"num": 1, "den": 1}} if len(path) > 1 else {"kind": "per_order", "points": 1}
        for count, is_valid in ((limit, True), (limit + 1, False)):
            items = [item | {"id": str(number)} for number in range(count)]
            program = rules | ({"rules": items} if len(path) == 1 else {"multipliers": {"items": items}})
            assert PROGRAM.is_valid(program) == is_valid
            assert accepted(program) == is_valid


def accepted(program: Json) -> bool:
    try:
        Program(json.dumps(program), 1)
    except ValueError:
        return False
    return True
