"""The documents of our front ends: written down as their files say, valid, affordable, and open to those who send them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLField, TypeInfo, TypeInfoVisitor, Visitor, parse, visit

from domain.access import STAFF_GRANTS, Permission, StaffRole
from domain.scope import Door
from schema import documents
from schema.cost import COST_MAX
from schema.documents import CACHED, prepare
from schema.root import schema
from schema.trusted import CLIENTS, FOLDER, MANIFEST, SUPERSEDED, TRUSTED, Trusted, document_id, kept
from schema.trusted.__main__ import superseded, written
from tests.house.test_permissions import Kind, opened

CORE = schema._schema
SENDERS = {
    "widget": Kind(Door.CUSTOMER, "", frozenset()),
    "dashboard": Kind(Door.STAFF, StaffRole.OWNER.value, STAFF_GRANTS[StaffRole.OWNER]),
}
SUPPORT = Kind(Door.STAFF, StaffRole.SUPPORT.value, STAFF_GRANTS[StaffRole.SUPPORT])
PAGE = {"first": 20}


def fields(text: str) -> Iterator[GraphQLField]:
    """Every field that a document asks for."""
    found: list[GraphQLField] = []
    types = TypeInfo(CORE)

    class Collector(Visitor):
        def enter_field(self, *_: object) -> None:
            field = types.get_field_def()
            assert field is not None
            found.append(field)

    visit(parse(text), TypeInfoVisitor(types, Collector()))
    return iter(found)


def test_the_manifests_are_what_the_files_say() -> None:
    """When it fails: ./dev.sh documents."""
    assert kept(MANIFEST) == written(FOLDER)
    assert superseded(kept(MANIFEST), kept(SUPERSEDED)) == kept(SUPERSEDED)
    assert {one.client_name for one in kept(MANIFEST)} == set(CLIENTS)
    assert sorted(TRUSTED) == sorted(one.id for one in [*kept(MANIFEST), *kept(SUPERSEDED)])


def test_ids_are_hashes_and_names_are_unique() -> None:
    assert [one.id for one in TRUSTED.values()] == [document_id(one.body) for one in TRUSTED.values()]
    names = [one.name for one in kept(MANIFEST)]
    assert len(set(names)) == len(names) > 40


@pytest.mark.parametrize("document", TRUSTED.values(), ids=lambda one: f"{one.client_name}/{one.name}")
def test_a_document_is_valid_and_affordable_and_open_to_its_sender(document: Trusted) -> None:
    """Those that are superseded too: clients that have not been loaded anew send them."""
    assert prepare(CORE, document.body).cost(document.name, PAGE) <= COST_MAX / 2
    shut = [field.description for field in fields(document.body) if not opened(field, SENDERS[document.client_name])]
    assert shut == []


def test_a_document_that_not_every_member_of_the_staff_may_run_is_noticed() -> None:
    """The control of the test above: it can tell an open field from a shut one."""
    [audit] = [one for one in TRUSTED.values() if one.name == "Audit"]
    assert not all(opened(field, SUPPORT) for field in fields(audit.body))
    [person] = [one for one in TRUSTED.values() if one.name == "CustomerPerson"]
    analyst = Kind(Door.STAFF, StaffRole.ANALYST.value, frozenset({Permission.READ}))
    assert [opened(field, analyst) for field in fields(person.body)].count(False) >= 4


def made(name: str, text: str) -> Trusted:
    return Trusted(document_id(text), name, "query", text, "widget")


def test_what_a_document_was_before_stays_and_what_it_is_again_leaves() -> None:
    first, second, other = (
        made("A", "query A { __typename }"),
        made("A", "query A { viewer { actor } }"),
        made("B", "query B { a }"),
    )
    assert superseded([second, other], [first, other]) == [first]
    assert superseded([second], [first, second, other, first]) == [first, other]
    assert superseded([first], [first, second]) == [second]
    assert superseded([first, second], [second, first]) == []


def test_a_file_is_called_as_its_operation(tmp_path: Path) -> None:
    (tmp_path / "widget").mkdir()
    path = tmp_path / "widget" / "Balance.graphql"
    for text in (
        "query Other { __typename }",
        "{ __typename }",
        "query Balance { a } query More { b }",
        "fragment A on Query { a }",
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match="must hold one operation, called Balance"):
            written(tmp_path)
    path.write_text("query Balance { customer { id } }\n")
    assert [(one.name, one.type, one.client_name) for one in written(tmp_path)] == [("Balance", "query", "widget")]


def test_a_trusted_document_is_read_and_priced_once_whatever_strangers_send() -> None:
    balance = next(one for one in TRUSTED.values() if one.name == "Balance")
    prepared = prepare(CORE, balance.body)
    for number in range(CACHED + 10):
        prepare(CORE, f"query Q{number} {{ program {{ id }} }}")
    assert documents._remembered.cache_info().currsize == CACHED
    assert prepare(CORE, balance.body) is prepared
    # Long ones too, which of strangers are not remembered.
    assert all(prepare(CORE, one.body) is prepare(CORE, one.body) for one in TRUSTED.values())
