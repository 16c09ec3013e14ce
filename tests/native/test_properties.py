"""Laws of earning that hold for every program and order, seen through Python."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from loyalty_native import Evaluation, LoyaltyError, Order, Program, money_format, money_parse, trace_points
from reference import EXPONENTS
from reference import evaluate as evaluate_by_reference
from strategies import CURRENCIES, decimal_text, orders, programs

Json = dict[str, Any]

FLAT_KINDS = ("per_order", "goal_spend")


def read_program(program: Json) -> Program:
    return Program(json.dumps(program), 1)


def read_order(order: Json) -> Order:
    return Order.from_json(json.dumps(order))


def evaluate(program: Json, order: Json) -> Evaluation:
    return read_program(program).evaluate(read_order(order))


@settings(max_examples=400, deadline=None)
@given(programs(), orders())
def test_core_and_reference_agree(program: Json, order: Json) -> None:
    core, reference = evaluate(program, order), evaluate_by_reference(program, order)
    assert (core.points, core.reason, core.base_minor) == (reference.points, reference.reason, reference.base_minor)
    assert [name for name, _ in core.lines] == [name for name, _ in reference.lines]
    assert sum(points for _, points in core.lines) == core.points
    # Points for a whole order are spread over its lines in steps of the common denominator, which can
    # turn a tie of remainders.
    most_apart = 1 if any(rule["kind"] in FLAT_KINDS for rule in program["rules"]) else 0
    for (_, by_core), (_, by_reference) in zip(core.lines, reference.lines, strict=True):
        assert abs(by_core - by_reference) <= most_apart
    trace = json.loads(core.trace())
    assert {rule["id"]: rule["why_not"] for rule in trace["rules"] if not rule["fired"]} == reference.why_not
    assert trace_points(core.trace()) == core.points


@settings(max_examples=60, deadline=None)
@given(programs(), st.lists(orders(), max_size=12))
def test_batches_equal_single_orders(program: Json, many: list[Json]) -> None:
    compiled, read = read_program(program), [read_order(order) for order in many]
    single = [compiled.evaluate(order) for order in read]
    batch = compiled.evaluate_batch(read)
    assert [item.lines for item in batch] == [item.lines for item in single]
    assert [item.trace() for item in batch] == [item.trace() for item in single]
    assert compiled.points_batch(read) == [item.points for item in single]


@settings(max_examples=100, deadline=None)
@given(programs(), orders(), st.integers(1, 10_000), st.data())
def test_a_higher_price_never_earns_less(program: Json, order: Json, more: int, data: st.DataObject) -> None:
    before = evaluate(program, order).points
    if order["lines"]:
        line = data.draw(st.sampled_from(order["lines"]))
        price = money_parse(line["unit_price"], order["currency"])
        line["unit_price"] = decimal_text(price + more, order["currency"])
    assert evaluate(program, order).points >= before


@settings(max_examples=100, deadline=None)
@given(programs(), orders(), st.data())
def test_any_split_of_refunds_ends_at_zero(program: Json, order: Json, data: st.DataObject) -> None:
    # Discount and tax are shared out when a line is split up, which is the caller's work: here lines come back whole.
    earned = kept = evaluate(program, order).points
    taken_back = 0
    for line in data.draw(st.permutations(order["lines"])):
        line |= {"quantity": 0, "discount": "0", "tax": "0"}
        points = evaluate(program, order).points
        taken_back += kept - points
        kept = points
    order |= {"shipping": "0", "shipping_tax": "0", "tip": "0"}
    points = evaluate(program, order).points
    assert points == 0
    assert taken_back + kept - points == earned


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(CURRENCIES))
def test_money_is_decimal(minor: int, currency: str) -> None:
    text = money_format(minor, currency)
    assert Decimal(text) == Decimal(minor).scaleb(-EXPONENTS[currency])
    assert money_parse(text, currency) == minor


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(programs(), orders(), json_values, st.data())
def test_junk_anywhere_is_refused_with_its_path(program: Json, order: Json, junk: object, data: st.DataObject) -> None:
    """Any value of a valid document may be replaced: the core evaluates it or says where it is wrong."""
    document = data.draw(st.sampled_from([program, order]))
    field = replace_somewhere(document, junk, data)
    evaluation = refusal = None
    try:
        evaluation = evaluate(program, order)
    except LoyaltyError as error:
        refusal = error
    if evaluation:
        assert sum(points for _, points in evaluation.lines) == evaluation.points
    else:
        # Neither a sum that overflows nor what is no JSON at all (NaN, lone surrogates) has a field.
        assert refusal.code in ("OVERFLOW", "JSON_INVALID") or refusal.path.startswith(field)


def replace_somewhere(document: Json, junk: object, data: st.DataObject) -> str:
    """Puts junk in place of one value and returns the name of the field at the top that holds it."""
    top = data.draw(st.sampled_from(sorted(document)))
    owner: Any = document
    key: Any = top
    while isinstance(owner[key], dict | list) and owner[key] and data.draw(st.booleans()):
        owner = owner[key]
        key = data.draw(st.sampled_from(sorted(owner) if isinstance(owner, dict) else range(len(owner))))
    owner[key] = junk
    return top
