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


def selection(kind: GraphQLNamedType, depth: int = 4, prefix: str = "") -> str:
    """All fields of a type, and of theirs, as deep as `depth`. Of a page only the nodes: the edges hold the same.

    `prefix` names the fields apart where several types stand side by side in one selection.
    """
    if is_leaf_type(kind):
        return ""
    if isinstance(kind, GraphQLInterfaceType):
        kinds = CORE.get_possible_types(kind)
        return (
            "{ __typename id "
            + " ".join(f"... on {one.name} {selection(one, depth - 1, f'{one.name}_')}" for one in kinds)
            + " }"
        )
    assert isinstance(kind, GraphQLObjectType)
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        needed = {key for key, one in field.args.items() if is_required_argument(one)}
        assert needed <= {"first"}, f"{kind.name}.{name}: this selection does not know how to ask for it"
        if not is_leaf_type(inner) and (depth <= 1 or name == "edges"):
            continue
        alias = f"{prefix}{name}: " if prefix else ""
        chosen.append(f"{alias}{name}{PAGE if needed else ''} {selection(inner, depth - 1)}".strip())
    return "{ " + " ".join(chosen) + " }"
