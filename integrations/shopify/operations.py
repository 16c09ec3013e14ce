"""The documents that are sent, by name."""

from functools import cache
from pathlib import Path

from graphql import FieldNode, OperationDefinitionNode, parse, print_ast

API_VERSION = "2026-10"
FILE = Path(__file__).with_name("operations.graphql")


@cache
def operations() -> dict[str, str]:
    """Every operation's text by its name."""
    return {node.name.value: print_ast(node) for node in _nodes() if node.name is not None}


@cache
def root_field(name: str) -> str:
    """The one root field of an operation: what its answer is found under."""
    [node] = [node for node in _nodes() if node.name is not None and node.name.value == name]
    [selected] = node.selection_set.selections
    assert isinstance(selected, FieldNode), "an operation asks for one field"
    return selected.name.value


def _nodes() -> list[OperationDefinitionNode]:
    return [node for node in parse(FILE.read_text()).definitions if isinstance(node, OperationDefinitionNode)]
