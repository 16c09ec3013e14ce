"""One key, one effect: the row that a command leaves in its own transaction, so that a repeat gives the same answer."""

from hashlib import sha256

import msgspec

from domain import db
from domain.errors import Code, DomainError
from domain.scope import Scope

KEY_LENGTH_MAX = 255


class KeyRequired(DomainError):
    """A command that moves points was called with a blank key."""

    code = Code.IDEMPOTENCY_KEY_REQUIRED


class KeyReused(DomainError):
    """The key was used before, by another command or with other input."""

    code = Code.IDEMPOTENCY_KEY_REUSED


def check(key: str) -> None:
    """Raises KeyRequired for a blank key and a TOO_LONG refusal for one above 255 characters."""
    if not key.strip():
        raise KeyRequired("A command that moves points needs an idempotency key.", field=("idempotencyKey",))
    if len(key) > KEY_LENGTH_MAX:
        raise DomainError(
            f"An idempotency key has at most {KEY_LENGTH_MAX} characters.", field=("idempotencyKey",), code=Code.TOO_LONG
        )


async def earlier(scope: Scope, key: str, command: str, given: object) -> str | None:
    """The result remembered for this key, or None when this call is the first.

    Precondition: an open transaction. Calls with one key wait for each other here, so that exactly one of them acts.
    Raises KeyReused when the key belongs to another command or to other input.
    """
    async with db.connection(scope) as connection:
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{scope.merchant_id}/{key}")
        row = await connection.fetchrow(
            "select command, input_hash, result from idempotency_keys where merchant_id = $1 and key = $2",
            scope.merchant_id,
            key,
        )
    if row is None:
        return None
    if row["command"] != command or row["input_hash"] != _hash(given):
        raise KeyReused("This idempotency key was used with another input.", field=("idempotencyKey",))
    return row["result"]


async def remember(scope: Scope, key: str, command: str, given: object, result: str) -> None:
    """Keep the result of the call that acted. Precondition: the transaction in which `earlier` answered None."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into idempotency_keys (merchant_id, key, command, input_hash, result, created_at)
            values ($1, $2, $3, $4, $5, $6)
            """,
            scope.merchant_id,
            key,
            command,
            _hash(given),
            result,
            scope.at,
        )


def _hash(given: object) -> bytes:
    return sha256(msgspec.json.encode(given, order="deterministic")).digest()
