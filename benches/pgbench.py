"""The peer: pgbench, with statements that write the same rows as the application in the fewest words PostgreSQL knows."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from benches.shop import CUSTOMER_SQL, ZIPF_EXPONENT, Sample
from benches.stand import HOME
from domain.db import APPLICATION_ROLE
from local import postgres

THREADS = 2

_CUSTOMER = {
    "uniform": r"\set customer random(1, {customers})",
    "zipf": rf"\set customer random_zipfian(1, {{customers}}, {ZIPF_EXPONENT})",
}

# Ledger, lot, account and outbox. What the account becomes is computed where it is locked, and the entry follows from that.
_AWARD = """
    moved as (
        update points_accounts
        set balance = balance + {points}, version = version + 1,
            last_hash = sha256(
                last_hash || int8send(version + 1) || int8send(balance + {points}) || int8send(pending) || {digest}
            ),
            active_at = now()
        where merchant_id = {merchant} and customer_id = {customer}
        returning customer_id, balance, pending, version, last_hash
    ), written as (
        insert into points_transactions ({columns}) select {values} from moved
    ), opened as (
        insert into points_lots (merchant_id, customer_id, lot, points, remaining)
        select {merchant}, customer_id, version, {points}, {points} from moved
    ), announced as (
        insert into outbox (merchant_id, event, payload, created_at)
        select {merchant}, 'points.changed', jsonb_build_object('customer_id', customer_id, 'version', version), now() from moved
    )
"""

_ORDER = """
    , ordered as (
        insert into orders ({columns}) values ({values})
    )
    update inbox set status = 'done', payload = null, profile = null, attempts = attempts + 1
    where merchant_id = {merchant} and webhook_id = 'bench-' || :number::text
"""

_CUSTOMER_ID = CUSTOMER_SQL.format(number=":customer")
# As wide as the application's digest and cheaper: it covers the number alone.
_DIGEST = "sha256(int8send(:number::bigint))"


def award_script(sample: Sample, customers: int, kind: str) -> str:
    """One award as one statement: ledger, lot, account and outbox."""
    # Numbers from so wide a range do not meet twice in one run.
    return f"""
{_CUSTOMER[kind].format(customers=customers)}
\\set number random(1, 4000000000000000000)
with {_award(sample)} select 1;
"""


def order_script(sample: Sample, customers: int, kind: str, first: int, clients: int) -> str:
    """One stored delivery as one statement: order, ledger, lot, account, outbox, and the inbox's mark.

    The clients share the deliveries `bench-<first>`, `bench-<first + 1>` … among them, none twice.
    """
    columns, values = _row(sample.order, {"shopify_id": ":number", "customer_id": _CUSTOMER_ID})
    order = _ORDER.format(columns=columns, values=values, merchant=_literal(sample.order["merchant_id"]))
    return f"""
{_CUSTOMER[kind].format(customers=customers)}
\\set number {first} + :turn * {clients} + :client_id
\\set turn :turn + 1
with {_award(sample)} {order};
"""


def _award(sample: Sample) -> str:
    columns, values = _row(
        sample.entry,
        {
            "customer_id": "customer_id",
            "position": "version",
            "balance_after": "balance",
            "pending_after": "pending",
            "external_id": ":number::text",
            "occurred_at": "now()",
            "digest": _DIGEST,
            "hash": "last_hash",
        },
    )
    return _AWARD.format(
        merchant=_literal(sample.entry["merchant_id"]),
        points=sample.entry["points"],
        customer=_CUSTOMER_ID,
        digest=_DIGEST,
        columns=columns,
        values=values,
    )


def _row(row: dict[str, Any], computed: dict[str, str]) -> tuple[str, str]:
    """The columns of a row, and their values as SQL: computed, or as they were in the sample."""
    return ", ".join(row), ", ".join(computed.get(name) or _literal(value) for name, value in row.items())


def _literal(value: Any) -> str:
    """A literal of SQL in which pgbench finds no variable; a list is one of numbers."""
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        numbers = ",".join(str(number) for number in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return f"'{{{numbers}}}'"
    escaped = str(value).replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a")
    return f"E'{escaped}'"


def run(
    database_url: str, merchant_id: UUID, script: str, clients: int, *, seconds: float | None = None, turns: int | None = None
) -> float:
    """Transactions per second of a script, for some seconds or for a number of turns per client.

    It runs under the application's role and tenant, over TCP, with prepared statements, as the application does.
    Raises RuntimeError when a transaction fails.
    """
    path = HOME / "script.sql"
    # pgbench takes one statement from one line or from many, up to its semicolon.
    path.write_text(script)
    length = [f"--time={max(1, round(seconds))}"] if seconds is not None else [f"--transactions={turns}"]
    command = [
        str(_program()),
        "--no-vacuum",
        "--protocol=prepared",
        f"--file={path}",
        f"--client={clients}",
        f"--jobs={min(THREADS, clients)}",
        "--define=turn=0",
        *length,
        database_url,
    ]
    options = f"-c role={APPLICATION_ROLE} -c app.merchant={merchant_id} -c jit=off"
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**_environment(database_url), "PGOPTIONS": options}
    )
    rate = re.search(r"tps = ([\d.]+) \(without initial connection time\)", done.stdout)
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    if done.returncode != 0 or rate is None or (failed and failed[1] != "0"):
        raise RuntimeError(f"pgbench failed: {done.stdout}\n{done.stderr}")
    return float(rate[1])


def _environment(database_url: str) -> dict[str, str]:
    password = urlsplit(database_url).password or ""
    return {"PATH": os.environ.get("PATH", os.defpath), "PGPASSWORD": unquote(password)}


def _program() -> Path:
    return postgres.program("pgbench")
