"""Asks for everything that a field can answer, generated from the schema, so that new fields are asked for by themselves."""

from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from schema.root import schema

CORE = schema._schema
PAGE = "(first: 5)"


def selection(kind: GraphQLNamedType, depth: int = 4, only: str | None = None) -> str:
    """All fields of a type, and of theirs, as deep as `depth`. Of a page only the nodes: the edges hold the same.

    `only` is the type to ask for where a field may answer several: side by side they would be dearer than one operation may be.
    """
    if is_leaf_type(kind):
        return ""
    if isinstance(kind, GraphQLInterfaceType):
        kinds = [one for one in CORE.get_possible_types(kind) if one.name == only]
        return "{ __typename id " + " ".join(f"... on {one.name} {selection(one, depth - 1)}" for one in kinds) + " }"
    assert isinstance(kind, GraphQLObjectType)
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        needed = {key for key, one in field.args.items() if is_required_argument(one)}
        assert needed <= {"first"}, f"{kind.name}.{name}: this selection does not know how to ask for it"
        if not is_leaf_type(inner) and (depth <= 1 or name == "edges"):
            continue
        chosen.append(f"{name}{PAGE if needed else ''} {selection(inner, depth - 1)}".strip())
    return "{ " + " ".join(chosen) + " }"
