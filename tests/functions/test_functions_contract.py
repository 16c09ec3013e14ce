"""What Shopify demands of an extension: its queries, its files, its schema, its limits on all of them."""

import json
import subprocess
import tomllib
from pathlib import Path

import graphql
import jsonschema
import pytest
from loyalty_native import LoyaltyError, discount_evaluate

from integrations.shopify.oauth import SCOPES
from local.shopify_stand_in.build import ROOT, module_path
from local.shopify_stand_in.host import compiled
from local.shopify_stand_in.inputs import DELIVERY, EXTENSION, LINES, function_input, query, shopify_schema, vector_cases
from tests.functions import heavy

FUNCTIONS = ROOT / "shopify_functions"
# Shopify's prices of a field; every other leaf costs 1, and `__typename` and what is inside a metafield nothing.
PRICES = {"metafield": 3, "hasAnyTag": 3, "inAnyCollection": 3, "__typename": 0}
ONE_OF = {
    "CartOperation",
    "Condition",
    "DeliveryDiscountCandidateTarget",
    "DeliveryDiscountCandidateValue",
    "DeliveryOperation",
    "OrderDiscountCandidateTarget",
    "OrderDiscountCandidateValue",
    "ProductDiscountCandidatePrerequisite",
    "ProductDiscountCandidateTarget",
    "ProductDiscountCandidateValue",
}


def cost(selections: graphql.SelectionSetNode | None) -> int:
    total = 0
    for selection in selections.selections if selections else ():
        name = getattr(selection, "name", None)
        if isinstance(selection, graphql.FieldNode) and name.value in PRICES:
            total += PRICES[name.value]
        elif selection.selection_set is None:
            total += 1
        else:
            total += cost(selection.selection_set)
    return total


@pytest.mark.parametrize(("target", "expected"), [(LINES, 28), (DELIVERY, 19)])
def test_queries_stay_within_shopifys_limits(target: str, expected: int) -> None:
    document = query(target)
    assert graphql.validate(shopify_schema(), document) == []
    operation = document.definitions[0]
    assert operation.name.value == "Input"
    assert cost(operation.selection_set) == expected
    assert expected <= 30
    assert (EXTENSION / "src" / f"{target}.graphql").stat().st_size <= 3000


def test_a_discount_without_variables_asks_for_nothing() -> None:
    case = heavy.case(3)
    answered = function_input(LINES, case)
    assert answered["shop"]["localTime"] == {"date": "2026-11-21", "firstReached": False, "secondReached": False}
    assert {line["merchandise"]["product"]["tagged"] for line in answered["cart"]["lines"]} == {False}


def test_the_schema_has_its_one_key_rules_back() -> None:
    types = shopify_schema().type_map.values()
    assert {kind.name for kind in types if getattr(kind, "is_one_of", False)} == ONE_OF


def test_the_extension_names_files_and_exports_that_exist() -> None:
    config = tomllib.loads((EXTENSION / "shopify.extension.toml").read_text())
    (extension,) = config["extensions"]
    assert config["api_version"] == "2026-10"
    assert {targeting["target"] for targeting in extension["targeting"]} == {
        "cart.lines.discounts.generate.run",
        "cart.delivery-options.discounts.generate.run",
    }
    exports = {export.name for export in compiled(module_path("loyalty-discount")).exports}
    for targeting in extension["targeting"]:
        assert (EXTENSION / targeting["input_query"]).is_file()
        assert targeting["export"] in exports
    words = json.loads((EXTENSION / "locales" / "en.default.json").read_text())
    assert extension["name"].removeprefix("t:") in words
    assert extension["description"].removeprefix("t:") in words


def test_shopifys_cli_gets_a_copy_of_the_function() -> None:
    """Run as the CLI runs it: the command split at blanks, in the extension's folder. The CLI rewrites what it is given."""
    (extension,) = tomllib.loads((EXTENSION / "shopify.extension.toml").read_text())["extensions"]
    handed_over = (EXTENSION / extension["build"]["path"]).resolve()
    built = module_path("loyalty-discount")
    handed_over.unlink(missing_ok=True)
    subprocess.run(extension["build"]["command"].split(" "), cwd=EXTENSION, check=True)
    assert handed_over != built
    assert handed_over.read_bytes() == built.read_bytes()


def test_the_app_asks_for_what_the_product_uses() -> None:
    app = tomllib.loads((FUNCTIONS / "shopify.app.toml").read_text())
    assert app["extension_directories"] == [EXTENSION.name, "checkout-points"]
    assert app["access_scopes"]["scopes"] == SCOPES
    assert app["customer"]["metafields"]["app"]["loyalty"]["type"] == "json"
    compliance = [name for one in app["webhooks"]["subscriptions"] for name in one.get("compliance_topics", [])]
    assert sorted(compliance) == ["customers/data_request", "customers/redact", "shop/redact"]


def read_schema(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(Path(FUNCTIONS / "schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_config_the_core_takes_fits_the_schema() -> None:
    config, loyalty, cart = read_schema("discount"), read_schema("loyalty"), read_schema("cart")
    for case in vector_cases():
        if "expect" not in case:
            continue
        config.validate(case["config"])
        cart.validate(case["cart"])
        if isinstance(case["customer"], dict):
            loyalty.validate(case["customer"])
    config.validate(heavy.config())


# What a JSON schema cannot say: an amount's decimals, real days, lists that must agree, known currencies.
BEYOND_SCHEMAS = {
    "An unknown currency",
    "Two offers of one id",
    "An amount with too many decimals",
    "An amount beyond 64 bits",
    "Free products without saying which",
    "Shipping limited to products",
    "Two lists of tags",
    "Two lists of collections",
    "Codes without the trigger for them",
    "A day that does not exist",
    "An end that is not after the start",
    "More different times of day than the query can ask",
}


def test_the_schema_refuses_what_the_core_refuses() -> None:
    config = read_schema("discount")
    passed = {
        case["name"]
        for case in vector_cases("discount_errors.json")
        if case["error"]["path"].startswith("config") and isinstance(case["config"], dict) and config.is_valid(case["config"])
    }
    assert passed == BEYOND_SCHEMAS


def test_a_refusal_names_its_field() -> None:
    with pytest.raises(LoyaltyError, match=r"^config\.offers\[0\]\.value\.percent: must be at most 100$") as refusal:
        discount_evaluate(
            '{"config": {"version": 1, "currency": "USD", "offers": [{"id": "a", "value": {"kind": "percentage", '
            '"percent": "101"}}]}, "cart": {"currency": "USD", "local_time": "2026-11-21", "lines": []}}'
        )
    assert (refusal.value.code, refusal.value.path) == ("VALUE_TOO_LARGE", "config.offers[0].value.percent")
