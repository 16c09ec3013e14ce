"""Documents are priced before they are run, in as many steps as they have selections."""

from typing import Any

import pytest
from graphql import GraphQLError, NoUnusedVariablesRule, OperationDefinitionNode, get_introspection_query, parse

from domain.errors import DomainError
from schema import documents
from schema.cost import Walk, actual_cost
from schema.documents import CACHED_CHARACTERS_MAX, PRICES_MAX, Unreadable, prepare
from schema.errors import Code
from schema.root import schema
from tests.schema.bombs import BOMBS, COMPLEX, doubling
from tests.shop import Shop, rate

CORE = schema._schema


def price(document: str, **variables: Any) -> int:
    return prepare(CORE, document).cost(None, variables)


@pytest.mark.parametrize(
    ("document", "cost"),
    [
        ("{ __typename }", 1),
        ("{ program { id version } }", 1),
        # A page, its information, and each item once, whether by node or by edge; an edge is an object too.
        ("{ customers(first: 10) { nodes { id } } }", 11),
        ("{ customers(first: 10) { nodes { id } pageInfo { hasNextPage } } }", 12),
        ("{ customers(first: 10) { edges { cursor node { id } } } }", 21),
        ("{ customers(first: 10) { nodes { pointsTransactions(first: 5) { nodes { id } } } } }", 71),
        ("{ customers(first: 10) { ...P } } fragment P on CustomerConnection { nodes { id } }", 11),
        ("{ customers(first: 0) { nodes { id } } }", 1),
        # What is no size of a page is priced as the largest, and refused later.
        ("{ customers(first: 101) { nodes { id } } }", 101),
        ("{ customers(first: -1) { nodes { id } } }", 101),
        ("{ a: program { id } b: program { id } }", 2),
        ('{ node(id: "x") { id ... on Customer { pointsTransactions(first: 2) { nodes { id } } } } }', 4),
        ("mutation { programDraftDiscard { userErrors { code } } }", 12),
    ],
)
def test_one_point_for_every_object_that_may_come(document: str, cost: int) -> None:
    assert price(document) == cost


def test_a_page_is_as_large_as_its_variable_says() -> None:
    document = "query ($first: Int! = 7) { customers(first: $first) { nodes { id } } }"
    assert price(document) == 8
    assert price(document, first=3) == 4
    assert price(document, first=100) == 101
    assert price(document, first="many") == 101
    assert price(document, first=None) == 101
    assert price(document, first=True) == 2


def test_the_operation_asked_for_is_the_one_priced() -> None:
    prepared = prepare(CORE, "query A { program { id } } query B { customers(first: 50) { nodes { id } } }")
    assert prepared.cost("A", None) == 1
    assert prepared.cost("B", None) == 51


def test_a_long_document_costs_its_reading() -> None:
    names = [f"f{number}: version" for number in range(79)]
    assert price("{ program { id " + " ".join(names) + " } }") == 1 + 81 // 20


def test_prices_kept_are_few() -> None:
    prepared = prepare(CORE, "query ($first: Int!) { customers(first: $first) { nodes { id ... @skip(if: false) { id } } } }")
    for first in range(101):
        assert prepared.cost(None, {"first": first}) == 1 + first
    assert len(prepared._prices) <= PRICES_MAX + 1


def test_every_selection_is_visited_once() -> None:
    """Twenty doubling fragments are a million paths and 62 selections."""
    for levels in (5, 20, 28):
        document = parse(doubling(levels))
        walk = Walk(CORE, document, {})
        [operation] = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        # Two spreads for each level, the first spread, and the leaf.
        assert (walk.cost(operation), walk.steps) == (1 + walk.steps // 20, 2 * levels + 2)


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused(shop: Shop, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And whoever throws bombs does not fill the log."""
    document, code = BOMBS[name]
    errors: list[GraphQLError] = []
    try:
        cost = prepare(CORE, document).cost(None, None)
        assert (cost > 1_000, code) == (True, COMPLEX), name
    except Unreadable as error:
        errors = error.errors
    refusals = {one.original_error.code for one in errors if isinstance(one.original_error, DomainError)}
    assert refusals <= ({Code.COST_EXCEEDED} if code == COMPLEX else set())
    answer = await shop.ask(document)
    assert {one["extensions"]["code"] for one in answer["errors"]} == {code}
    assert answer.get("data") is None
    [line] = capsys.readouterr().out.splitlines()
    assert "graphql.answered" in line
    assert len(line) < 400


def test_reading_ends_at_the_first_unknown_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, few are looked at: the rules that walk whole operations do not begin."""
    begun: list[str] = []

    class Walking(NoUnusedVariablesRule):
        def __init__(self, context: Any) -> None:
            begun.append("it walks")
            super().__init__(context)

    monkeypatch.setattr(documents, "RULES", (Walking,))
    with pytest.raises(Unreadable) as refused:
        prepare(CORE, BOMBS["unknown fields"][0])
    messages = [error.message for error in refused.value.errors]
    assert messages[:3] == [f"Cannot query field 'f{number}' on type 'Query'." for number in range(3)]
    assert (len(messages), begun) == (4, [])
    prepare(CORE, "{ program { id version } } # that nobody has read yet")
    assert begun == ["it walks"]


def test_the_usual_tools_may_ask_what_there_is() -> None:
    assert price(get_introspection_query(descriptions=True, input_value_deprecation=True)) < 500


def test_only_what_can_run_is_remembered() -> None:
    documents._remembered.cache_clear()
    for number in range(50):
        with pytest.raises(Unreadable):
            prepare(CORE, f"{{ nothing{number} }}")
    with pytest.raises(Unreadable):
        prepare(CORE, "{")
    prepare(CORE, "{ program { id } }" + " " * CACHED_CHARACTERS_MAX)
    assert documents._remembered.cache_info().currsize == 0
    assert prepare(CORE, "{ program { id } }") is prepare(CORE, "{ program { id } }")


async def test_the_price_is_never_below_what_comes(shop: Shop) -> None:
    await shop.publish(rate(10))
    for _ in range(5):
        await shop.customer()
    for document in (
        "{ customers(first: 5) { nodes { id pointsTransactions(first: 5) { nodes { id } pageInfo { endCursor } } } } }",
        "{ customers(first: 5) { edges { node { id } } nodes { id } pageInfo { hasNextPage } } }",
        "{ program { id version } programVersions(first: 3) { nodes { id } } }",
    ):
        data = await shop.data(document)
        assert actual_cost(data) - 1 <= price(document), document
