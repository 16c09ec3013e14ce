"""Whatever is missing or broken: no operation, one line in the log, never a trap."""

import copy
import json
import random
from typing import Any

import pytest

from local.shopify_stand_in import outputs
from local.shopify_stand_in.host import Run, answers, run
from local.shopify_stand_in.inputs import DELIVERY, LINES, Json, function_input
from tests.functions import heavy

OPEN = {"version": 1, "currency": "USD", "offers": [{"id": "ten", "value": {"kind": "percentage", "percent": "10"}}]}
MEMBER = {"version": 1, "tier": "gold"}


def case(**changes: Any) -> Json:
    line = {"id": "a", "product": "gid://shopify/Product/1", "quantity": 1, "subtotal": "10.00"}
    cart = {"currency": "USD", "local_time": "2026-11-21", "deliveries": 1, "lines": [line]}
    return {"config": OPEN, "customer": MEMBER, "cart": cart | changes.pop("cart", {})} | changes


def ends_quietly(ended: Run, reason: str) -> None:
    assert ended.output == {"operations": []}
    assert ended.log.startswith("loyalty-discount: ")
    assert ended.log.count("\n") == 1
    assert ended.log.endswith("\n")
    assert reason in ended.log


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": None}, "the discount has no config metafield"),
        ({"config": ""}, "config: JSON_INVALID"),
        ({"config": "null"}, "config: FIELD_TYPE"),
        ({"config": "{"}, "config: JSON_INVALID"),
        ({"customer": None}, "ten=NOT_A_MEMBER"),
        ({"customer": None, "signed_in": True}, "ten=NOT_A_MEMBER"),
        ({"customer": "{"}, "ten=CUSTOMER_UNREADABLE (loyalty: JSON_INVALID"),
        ({"customer": {"version": 1, "tier": 5}}, "ten=CUSTOMER_UNREADABLE (loyalty: FIELD_TYPE tier: must be a text)"),
        ({"classes": ["product"]}, "ten=CLASS_NOT_ALLOWED"),
        ({"classes": []}, "ten=CLASS_NOT_ALLOWED"),
        ({"cart": {"currency": "XXX"}}, "cart: CURRENCY_UNKNOWN"),
        ({"cart": {"rate": "0.0"}}, "cart: VALUE_ZERO rate"),
        ({"cart": {"rate": "much"}}, "cart: AMOUNT_INVALID rate"),
        ({"cart": {"rate": "0." + "1" * 30}}, "cart: OVERFLOW rate"),
        ({"cart": {"lines": []}}, "ten=NOTHING_ELIGIBLE"),
    ],
)
def test_nothing_happens_and_the_log_says_why(changes: Json, reason: str) -> None:
    ends_quietly(run("loyalty-discount", LINES, function_input(LINES, case(**changes))), reason)


def test_the_other_targets_offers_are_no_refusal() -> None:
    ended = run("loyalty-discount", DELIVERY, function_input(DELIVERY, case()))
    ends_quietly(ended, "the discount has no offer for this target")


def test_a_long_log_is_cut_at_a_character() -> None:
    offers = [{"id": f"{index:02d}" + "é" * 31, "tiers": ["none"], "value": OPEN["offers"][0]["value"]} for index in range(25)]
    ended = run("loyalty-discount", LINES, function_input(LINES, case(config=OPEN | {"offers": offers})))
    ends_quietly(ended, "no offer applies: 00")
    assert len(ended.log.encode()) <= 1000
    assert "\ufffd" not in ended.log


def test_a_line_feed_in_an_id_does_not_break_the_line() -> None:
    offers = [OPEN["offers"][0] | {"id": "a\nb\r", "tiers": ["none"]}]
    ended = run("loyalty-discount", LINES, function_input(LINES, case(config=OPEN | {"offers": offers})))
    ends_quietly(ended, "a b =TIER_DIFFERS")


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all fields and elements below a value."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*path, key), *paths_of(item, (*path, key)))]


@pytest.mark.parametrize("target", [LINES, DELIVERY])
@pytest.mark.parametrize("instead", [None, 7, True, "text", [], {}])
def test_input_of_another_shape_never_traps(target: str, instead: Any) -> None:
    """Shopify's input follows its schema; should a field ever be missing or of another type, checkout goes on."""
    whole = function_input(target, case(cart={"code": "A", "entered_codes": ["A"]}))
    for path in paths_of(whole):
        broken = copy.deepcopy(whole)
        parent = broken
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = instead
        ended = run("loyalty-discount", target, broken)
        assert outputs.check(target, ended.output) == [], path
        assert bool(ended.output["operations"]) != bool(ended.log), (path, ended)


def mutated(text: str, source: random.Random) -> str:
    """The text after one to three of: a byte changed, a piece dropped, a piece doubled, a token put in."""
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(text) + 1)
        end = min(len(text), at + source.randint(1, 12))
        piece = source.choice([chr(source.randrange(32, 127)), "", text[at:end] * 2, *TOKENS])
        text = text[:at] + piece + text[end if source.random() < 0.5 else at :]
    return text


TOKENS = [*'"{}[]:,-\\é\u0000', "null", "true", "1e9", "9" * 25, "\\u00e9", "\\ud800", "[" * 99]


def test_thousands_of_broken_metafields_are_answered_by_the_core() -> None:
    source = random.Random(4)
    config, loyalty = json.dumps(heavy.config()), json.dumps(heavy.case(1)["customer"])
    cart = heavy.case(3)["cart"]
    cases = [
        json.dumps({"config": mutated(config, source), "customer": mutated(loyalty, source), "cart": cart}) for _ in range(6000)
    ]
    answered = [json.loads(answer) for answer in answers("discounts", cases)]
    refused = sum("error" in answer for answer in answered)
    # Mutation must reach both sides: what is refused, and what is still read and evaluated.
    assert refused > 2000
    assert len(answered) - refused > 300


def test_hundreds_of_broken_metafields_never_trap_the_function() -> None:
    source = random.Random(5)
    config, loyalty = json.dumps(heavy.config()), json.dumps(heavy.case(1)["customer"])
    whole = {target: function_input(target, heavy.case(2)) for target in (LINES, DELIVERY)}
    for index in range(600):
        target = (LINES, DELIVERY)[index % 2]
        broken = copy.deepcopy(whole[target])
        broken["discount"]["config"]["value"] = mutated(config, source) if index % 3 else config
        broken["cart"]["buyerIdentity"]["customer"]["loyalty"]["value"] = mutated(loyalty, source)
        ended = run("loyalty-discount", target, broken)
        assert outputs.check(target, ended.output) == []
        assert ended.log.count("\n") == (0 if ended.output["operations"] else 1)
