"""The first of the two walls: every statement names the merchant itself; row-level security is the second."""

import ast
import re

from tests.house.source import modules, place, texts, tree
from tests.house.test_catalog import TENANT_TABLES
from tests.house.test_tables import CLASSES

STATEMENTS = modules("api", "schema", "domain", "integrations", "workers", "local")
_TENANT_TABLE = re.compile(rf"\b(?:from|into|update|join)\s+({'|'.join(sorted(TENANT_TABLES))})\b", re.IGNORECASE)
_NAMES_MERCHANT = re.compile(
    r"merchant_id = \$1\b|insert into \w+ \(\s*merchant_id\b|select distinct merchant_id from \w+ where"
    # The doctor, as the dispatcher: whose midnight is late.
    r"|select merchant_id, due_at, attempts, failure from schedules\b",
    re.IGNORECASE,
)


def test_every_statement_on_a_tenants_table_names_the_merchant() -> None:
    seen, careless = 0, []
    for path in STATEMENTS:
        for node, text in texts(path):
            if _TENANT_TABLE.search(text):
                seen += 1
                if not _NAMES_MERCHANT.search(text):
                    careless.append(place(path, node))
    assert careless == []
    assert seen >= 25, "the statements are where this test looks for them"


def test_every_query_of_piccolo_names_the_merchant() -> None:
    classes = {cls.__name__ for name, cls in CLASSES.items() if name in TENANT_TABLES}
    careless = []
    for path in STATEMENTS:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.stmt) or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if isinstance(node, ast.With | ast.AsyncWith | ast.If | ast.For | ast.While | ast.Try | ast.Match):
                continue
            source = ast.unparse(node)
            careless += [
                place(path, node)
                for name in classes
                if re.search(rf"\b{name}\.(?!merchant_id\b|_meta\b)[a-z]+\(", source)
                and f"{name}.merchant_id == scope.merchant_id" not in source
            ]
    assert careless == []


def test_work_is_claimed_merchant_by_merchant() -> None:
    """Citus refuses FOR UPDATE over several tenants, and one merchant's backlog must not hold up the others."""
    claims = [(place(path, node), text) for path in STATEMENTS for node, text in texts(path) if "skip locked" in text.lower()]
    assert len(claims) == 9
    assert [where for where, text in claims if "merchant_id = $1" not in text] == []


def test_one_function_sets_the_tenant() -> None:
    setters = [place(path, node).partition(":")[0] for path in STATEMENTS for node, text in texts(path) if "app.merchant" in text]
    assert setters == ["domain/db.py"]
    assert [place(path, node) for path in STATEMENTS for node, text in texts(path) if "set_config" in text.lower()] == []


def test_only_the_edges_open_a_transaction() -> None:
    """`@command` and the workers do; the domain never opens or commits. The seed is an edge of its own."""
    openers = {
        str(place(path, node)).partition(":")[0]
        for path in STATEMENTS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "db.transaction"
    }
    assert openers == {"schema/command.py", "workers/inbox.py", "workers/job.py", "local/seed.py", "api/tokens.py"}


def test_piccolos_batch_is_not_used() -> None:
    """It swallows exceptions, and reads on a connection of its own, outside the tenant."""
    used = [
        place(path, node)
        for path in STATEMENTS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "batch"
    ]
    assert used == []


def test_only_points_writes_the_ledger() -> None:
    writers = {
        place(path, node).partition(":")[0]
        for path in STATEMENTS
        for node, text in texts(path)
        if re.search(r"\b(?:into|update)\s+points_|\bpoints_post(?:_one)?\(", text, re.IGNORECASE)
    }
    # The customers' package makes the empty account of a new customer, in the same statement as the customer.
    assert writers == {
        "domain/points/commands.py",
        "domain/points/notices.py",
        "domain/points/reaching.py",
        "domain/customers/commands.py",
    }
