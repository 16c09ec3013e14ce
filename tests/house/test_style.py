"""The rules of the house that a reader would otherwise have to watch over."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOMS, ROOT, modules, place, tree

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
EVERYWHERE = [*modules(*ROOMS, "tests", "benches"), ROOT / "piccolo_conf.py"]
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
UNREAD = {".git", ".venv", ".loyalnest", "target", "node_modules", "__pycache__", "playground_assets"}
UNREAD_CACHES = {".hypothesis", ".pytest_cache", ".ruff_cache", ".import_linter_cache"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_there_is_something_to_read() -> None:
    names = {str(path.relative_to(ROOT)) for path in EVERYWHERE}
    assert {"api/app.py", "domain/points/commands.py", "workers/relay.py", "tests/house/test_style.py"} <= names


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in EVERYWHERE}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    long = []
    for path in EVERYWHERE:
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
                    long.append(place(path, node))
    assert long == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "local"])
def test_what_is_public_says_what_it_is(room: str) -> None:
    silent = []
    for path in modules(room):
        if not ast.get_docstring(tree(path)) and path.read_text().strip():
            silent.append(place(path, tree(path)))
        public = (node for node in tree(path).body if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"))
        silent += [place(path, node) for node in public if not ast.get_docstring(node)]
    assert silent == []


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_the_domain_and_the_schema_read_no_clock() -> None:
    """Time is an input. One function reads it, and the edges call that one."""
    clocks = [
        place(path, node).rpartition(":")[0]
        for path in modules("domain", "schema")
        for node, name in calls(path)
        if name in CLOCKS
    ]
    assert clocks == ["domain/scope.py"]
    callers = {
        place(path, node).rpartition(":")[0]
        for path in modules("domain", "schema")
        for node, name in calls(path)
        if name in {"now", "scope.now"}
    }
    assert callers == {"domain/scope.py"}
    presents = [
        place(path, node) for path in modules("domain", "schema") for node, name in calls(path) if name.endswith(".present")
    ]
    assert presents == []


def test_nothing_divides_or_rounds_outside_the_core() -> None:
    """Money and points are integers, and the core names each rounding. A pace of reading is neither."""
    inexact = [
        place(path, node)
        for path in modules("domain", "schema")
        for node, name in calls(path)
        if name in {"float", "round", "Decimal", "Fraction"}
    ]
    assert inexact == []
    dividing = {
        place(path, node).rpartition(":")[0]
        for path in modules("domain", "schema")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv)
    }
    # What an operation costs is neither money nor points of a customer's.
    assert dividing == {"domain/points/verify.py", "domain/orders/verify.py", "domain/sealed.py", "schema/cost.py"}
    literals = [
        place(path, node)
        for path in modules("domain", "schema")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and path.name != "verify.py"
    ]
    assert literals == []


def test_no_import_hides_in_a_function_of_the_application() -> None:
    """An import inside a function dodges a circle. The migrations read their engine late, and say why."""
    hidden = {
        place(path, inner).rpartition(":")[0]
        for path in modules("api", "schema", "domain", "integrations", "workers", "migrations")
        for node in ast.walk(tree(path))
        if isinstance(node, Function)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }
    assert hidden == {"migrations/run.py"}


def test_a_features_tables_are_private() -> None:
    """Other features use what a package exports."""
    trespassers = []
    for path in modules("api", "schema", "domain", "workers"):
        feature = path.relative_to(ROOT).parts[1]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(".tables"):
                assert node.module is not None
                if path.relative_to(ROOT).parts[0] != "domain" or node.module.split(".")[1] != feature:
                    trespassers.append(place(path, node))
    assert trespassers == []


def readable() -> Iterator[tuple[Path, str]]:
    """Every text file that is the project's own: not what tools make or bring."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(set(folders) - UNREAD - UNREAD_CACHES)
        for name in sorted(names):
            path = Path(folder) / name
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    # Put together here, so that this file is none of those it looks for.
    paths = [f"/{folder}/" for folder in ("root", "home", "Users", "work")]
    found = [
        f"{path.relative_to(ROOT)}: {needle}"
        for path, text in readable()
        for needle in paths
        if any(line.startswith(needle) or f'"{needle}' in line or f" {needle}" in line for line in text.splitlines())
    ]
    assert found == []


def test_nothing_is_left_undone_in_words() -> None:
    marks = ["TO" + "DO", "FIX" + "ME"]
    found = [
        f"{path.relative_to(ROOT)}: {mark}"
        for path, text in readable()
        if path.suffix in {".py", ".rs", ".sql", ".sh", ".md", ".toml", ".js"}
        for mark in marks
        if mark in text
    ]
    assert found == []
