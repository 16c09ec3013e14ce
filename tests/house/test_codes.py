"""Codes are a promise: each is described, each is unlike the others, and each is met in a test."""

import re

import pytest

from domain.errors import Code, DomainError
from schema.root import schema
from tests.house.source import ROOT, modules

SOURCES = "\n".join(path.read_text() for path in modules("tests") if path.parent != ROOT / "tests" / "house")


def test_codes_are_their_names() -> None:
    assert {code.name: code.value for code in Code} == {code.value: code.value for code in Code}
    assert len({code.value for code in Code}) == len(list(Code))


def test_the_enum_of_the_schema_is_the_enum_of_the_domain() -> None:
    values = schema._schema.type_map["ErrorCode"].values  # type: ignore[attr-defined]
    assert set(values) == {code.name for code in Code}
    descriptions = [value.description for value in values.values()]
    assert all(descriptions)
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_met_in_a_test(code: Code) -> None:
    assert re.search(rf"""\bCode\.{code.name}\b|["']{code.name}["']""", SOURCES)


def test_every_refusal_has_a_code_of_the_enum() -> None:
    def below(kind: type[DomainError]) -> set[type[DomainError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    kinds = below(DomainError)
    assert len(kinds) > 8
    assert {kind.__name__ for kind in kinds if not isinstance(kind.code, Code)} == set()
    assert {kind.__name__ for kind in kinds if not kind.__doc__} == set()
