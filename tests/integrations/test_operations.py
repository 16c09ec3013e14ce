"""Every document that we send is one that Shopify's own schema takes."""

import graphql
import pytest

from domain import doctor
from integrations.shopify.operations import operations, root_field
from integrations.shopify.refresh_schema import SCHEMA
from local.shopify_stand_in import admin


def test_the_schema_is_whole() -> None:
    graphql.assert_valid_schema(graphql.build_schema(SCHEMA.read_text()))


@pytest.mark.parametrize("text", [*operations().values(), doctor.QUERY.read_text()])
def test_a_document_is_valid_and_uses_nothing_deprecated(text: str) -> None:
    document = graphql.parse(text)
    assert graphql.validate(admin.schema(), document) == []
    rules = [graphql.NoDeprecatedCustomRule]
    assert graphql.validate(admin.schema(), document, rules) == []


@pytest.mark.parametrize("name", sorted(operations()))
def test_a_document_costs_less_than_shopify_allows_for_one(name: str) -> None:
    assert 0 < admin.cost(graphql.parse(operations()[name])) <= 1000


def test_an_answer_is_found_under_its_root_field() -> None:
    assert root_field("CodeBasic") == "discountCodeBasicCreate"


def test_a_document_that_shopify_would_refuse_is_refused_here() -> None:
    document = graphql.parse('mutation { discountCodeDelete(identifier: "1") { deletedCodeDiscountId } }')
    assert graphql.validate(admin.schema(), document) != []
