"""Writes loyalty-discount/schema.graphql: the part of Shopify's discount schema that our functions touch.

Shopify publishes the schema only as introspection inside the npm package @shopify/dev-mcp, and that introspection
has lost the @oneOf directive of the function results. This script prints it as SDL without descriptions, keeps the
fields our input queries select and everything the two results can hold, and puts @oneOf back, because without it the
generated Rust types would be structs of options that Shopify refuses.

Run:   python shopify_functions/refresh_schema.py [--check] [--data FILE]

--data takes the introspection file of an unpacked package (functions_discount_2026-10.json.gz); without it the package
is fetched with `npm pack` into a temporary folder. --check writes nothing and exits 1 when the file would change.
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

API_VERSION = "2026-10"
PACKAGE = "@shopify/dev-mcp@1.16.0"
EXTENSION = Path(__file__).parent / "loyalty-discount"
SCHEMA = EXTENSION / "schema.graphql"
RESULT_FIELDS = ("cartLinesDiscountsGenerateRun", "cartDeliveryOptionsDiscountsGenerateRun")
ONE_OF = {
    "CartOperation",
    "DeliveryOperation",
    "Condition",
    "OrderDiscountCandidateTarget",
    "ProductDiscountCandidateTarget",
    "DeliveryDiscountCandidateTarget",
    "OrderDiscountCandidateValue",
    "ProductDiscountCandidateValue",
    "DeliveryDiscountCandidateValue",
    "ProductDiscountCandidatePrerequisite",
}
HEADER = f"""\
# The part of Shopify's Discount Function API {API_VERSION} that our functions touch, as SDL without descriptions.
# Made by shopify_functions/refresh_schema.py from the npm package {PACKAGE}; @oneOf is put back by that script.
"""


def fetched_introspection() -> bytes:
    """The gzipped introspection from the npm package; raises CalledProcessError when npm cannot fetch it."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(folder) / packed.stdout.strip().splitlines()[-1]) as archive:
            member = archive.extractfile(f"package/dist/data/functions_discount_{API_VERSION}.json.gz")
            assert member is not None
            return member.read()


def queries() -> list[graphql.DocumentNode]:
    return [graphql.parse(path.read_text()) for path in sorted(EXTENSION.glob("src/*.graphql"))]


def selected_fields(schema: graphql.GraphQLSchema) -> set[tuple[str, str]]:
    """Every (type, field) pair the input queries select."""
    type_info = graphql.TypeInfo(schema)
    selected: set[tuple[str, str]] = set()

    class Collect(graphql.Visitor):
        def enter_field(self, node: graphql.FieldNode, *_: object) -> None:
            parent = type_info.get_parent_type()
            assert parent is not None
            if not node.name.value.startswith("__"):
                selected.add((parent.name, node.name.value))

    for document in queries():
        errors = graphql.validate(schema, document)
        if errors:
            raise SystemExit("\n".join(str(error) for error in errors))
        graphql.visit(document, graphql.TypeInfoVisitor(type_info, Collect()))
    selected.update(("MutationRoot", field) for field in RESULT_FIELDS)
    return selected


def reachable(schema: graphql.GraphQLSchema, selected: set[tuple[str, str]]) -> set[str]:
    """Names of the types that the selected fields, their arguments and the results lead to."""
    names: set[str] = set()
    waiting: list[graphql.GraphQLNamedType] = []
    for type_name, field_name in selected:
        parent = schema.type_map[type_name]
        assert isinstance(parent, graphql.GraphQLObjectType)
        field = parent.fields[field_name]
        arguments = [graphql.get_named_type(argument.type) for argument in field.args.values()]
        waiting += [parent, graphql.get_named_type(field.type), *arguments]
    while waiting:
        kind = waiting.pop()
        if kind.name in names:
            continue
        names.add(kind.name)
        if isinstance(kind, graphql.GraphQLUnionType):
            waiting += kind.types
        if isinstance(kind, graphql.GraphQLInputObjectType):
            waiting += [graphql.get_named_type(field.type) for field in kind.fields.values()]
    return names


def trimmed(schema: graphql.GraphQLSchema) -> str:
    """The SDL text; a type none of whose fields is selected keeps one, because SDL knows no empty type."""
    selected = selected_fields(schema)
    names = reachable(schema, selected)
    parts = ["schema {\n  query: Input\n  mutation: MutationRoot\n}"]
    for name in sorted(names - set(graphql.specified_scalar_types)):
        kind = schema.type_map[name]
        if isinstance(kind, graphql.GraphQLObjectType):
            kept = {key: field for key, field in kind.fields.items() if (name, key) in selected}
            kind.fields = kept or dict(list(kind.fields.items())[:1])
            kind.interfaces = ()
        text = graphql.print_type(kind)
        parts.append(text.replace(" {", " @oneOf {", 1) if name in ONE_OF else text)
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def without_descriptions(value: Any) -> Any:
    """The introspection without its descriptions, which are most of its size."""
    if isinstance(value, dict):
        return {key: without_descriptions(item) for key, item in value.items() if key != "description"}
    if isinstance(value, list):
        return [without_descriptions(item) for item in value]
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    raw = arguments.data.read_bytes() if arguments.data else fetched_introspection()
    introspection = json.loads(gzip.decompress(raw))
    introspection = without_descriptions(introspection.get("data", introspection))
    text = trimmed(graphql.build_client_schema(introspection))
    graphql.validate_schema(graphql.build_schema(text))
    if arguments.check:
        same = SCHEMA.read_text() == text
        print(f"{SCHEMA.name} {'is current' if same else 'differs: run refresh_schema.py'}")
        return 0 if same else 1
    SCHEMA.write_text(text)
    print(f"wrote {SCHEMA.name}: {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
