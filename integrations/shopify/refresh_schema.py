"""Writes admin_schema.graphql: the part of Shopify's Admin schema that our documents touch.

Run:   python -m integrations.shopify.refresh_schema [--check] [--data FILE]

Shopify publishes the schema as introspection inside the npm package @shopify/dev-mcp. Types and arguments are kept whole as
far as our documents reach: every field that they select, and every input with all its fields, so that an argument which
Shopify does not have is refused here too. --data takes the introspection of an unpacked package (admin_2026-10.json.gz);
without it the package is fetched with `npm pack`. --check writes nothing and exits 1 when the file would change.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import graphql

from domain import doctor

API_VERSION = "2026-10"
PACKAGE = "@shopify/dev-mcp@1.16.0"
HERE = Path(__file__).parent
SCHEMA = HERE / "admin_schema.graphql"
DOCUMENTS = (HERE / "operations.graphql", doctor.QUERY)
"""The operations, and what a bulk operation runs."""

HEADER = f"""\
# The part of Shopify's Admin API {API_VERSION} that our documents touch, as SDL without descriptions.
# Made by integrations/shopify/refresh_schema.py from the npm package {PACKAGE}.
"""


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True)
        with tarfile.open(Path(folder) / packed.stdout.strip().splitlines()[-1]) as archive:
            member = archive.extractfile(f"package/dist/data/admin_{API_VERSION}.json.gz")
            assert member is not None
            return member.read()


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_descriptions(item) for key, item in value.items() if key != "description"}
    return [_without_descriptions(item) for item in value] if isinstance(value, list) else value


def _touched(schema: graphql.GraphQLSchema) -> tuple[set[tuple[str, str]], set[str]]:
    """Every (type, field) pair the documents select, and the types that they name in fragments."""
    info = graphql.TypeInfo(schema)
    fields: set[tuple[str, str]] = set()
    types: set[str] = set()

    class Collect(graphql.Visitor):
        def enter_field(self, node: graphql.FieldNode, *_: object) -> None:
            parent = info.get_parent_type()
            assert parent is not None
            types.add(parent.name)
            if not node.name.value.startswith("__"):
                fields.add((parent.name, node.name.value))

    for document in _valid(schema):
        graphql.visit(document, graphql.TypeInfoVisitor(info, Collect()))
    return fields, types


def _valid(schema: graphql.GraphQLSchema) -> list[graphql.DocumentNode]:
    """The documents; ends the program when one of them is not the schema's."""
    documents = [graphql.parse(path.read_text()) for path in DOCUMENTS]
    errors = [error for document in documents for error in graphql.validate(schema, document)]
    if errors:
        raise SystemExit("\n".join(str(error) for error in errors))
    return documents


def _reachable(schema: graphql.GraphQLSchema, fields: set[tuple[str, str]], types: set[str]) -> set[str]:
    names: set[str] = set()
    waiting = [schema.type_map[name] for name in sorted(types)]
    for type_name, field_name in sorted(fields):
        field = schema.type_map[type_name].fields[field_name]
        waiting.append(graphql.get_named_type(field.type))
        waiting += [graphql.get_named_type(argument.type) for argument in field.args.values()]
    while waiting:
        kind = waiting.pop()
        if kind.name in names:
            continue
        names.add(kind.name)
        if isinstance(kind, graphql.GraphQLInputObjectType):
            waiting += [graphql.get_named_type(field.type) for field in kind.fields.values()]
    return names


def trimmed(schema: graphql.GraphQLSchema) -> str:
    """The SDL text. Of an abstract type those members are kept that the documents name; it has one at least."""
    fields, types = _touched(schema)
    names = _reachable(schema, fields, types)
    parts = ["directive @idempotent(key: String!) on FIELD", "schema {\n  query: QueryRoot\n  mutation: Mutation\n}"]
    for kind in (schema.type_map[name] for name in sorted(names)):
        if isinstance(kind, graphql.GraphQLInterfaceType):
            kept = {key: field for key, field in kind.fields.items() if (kind.name, key) in fields}
            kind.fields = kept or {"id": graphql.GraphQLField(graphql.GraphQLNonNull(graphql.GraphQLID))}
            kind.interfaces = ()
    for name in sorted(names - set(graphql.specified_scalar_types)):
        kind = schema.type_map[name]
        if isinstance(kind, graphql.GraphQLObjectType):
            kept = {key: field for key, field in kind.fields.items() if (name, key) in fields} or dict([*kind.fields.items()][:1])
            interfaces = [one for one in kind.interfaces if one.name in names and set(one.fields) <= set(kind.fields)]
            kind.fields = kept | {key: kind.fields[key] for interface in interfaces for key in interface.fields}
            kind.interfaces = interfaces
        elif isinstance(kind, graphql.GraphQLUnionType):
            kind.types = [one for one in kind.types if one.name in names]
        parts.append(graphql.print_type(kind))
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description="Writes admin_schema.graphql.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    introspection = json.loads(gzip.decompress(arguments.data.read_bytes() if arguments.data else _fetched()))
    text = trimmed(
        # As Shopify serves it: a few of its own deprecations are such as graphql-core would refuse.
        graphql.build_client_schema(_without_descriptions(introspection.get("data", introspection)), assume_valid=True)
    )
    built = graphql.build_schema(text)
    graphql.assert_valid_schema(built)
    _valid(built)
    if arguments.check:
        return 0 if SCHEMA.read_text() == text else 1
    SCHEMA.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
