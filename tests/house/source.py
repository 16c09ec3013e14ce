"""The project's own sources, as trees, for the tests that read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "schema", "domain", "integrations", "workers", "local", "migrations")


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


def modules(*rooms: str) -> list[Path]:
    """Every Python file of these rooms, in a fixed order."""
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def place(path: Path, node: ast.AST) -> str:
    """Where a node stands, as a person looks for it."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def texts(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every text of a file but its docstrings; in an f-string, the names of the module's own texts are filled in."""
    constants: dict[str, ast.expr] = {}
    for statement in tree(path).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            constants[statement.targets[0].id] = statement.value
    parts = {id(part) for node in ast.walk(tree(path)) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if id(node) not in parts and isinstance(node, ast.Constant | ast.JoinedStr):
            found = _text(node, constants)
            if found is not None:
                yield node, found


def _text(node: ast.AST, constants: dict[str, ast.expr]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, constants) or "…" for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return _text(constants[name], constants)
        case _:
            return None
