"""Who did what to whom, and when: one append-only row for every change that a person or a partner makes."""

import msgspec

from domain import db
from domain.identifiers import new_id
from domain.scope import Scope


async def record(scope: Scope, action: str, subject: str, *, before: object = None, after: object = None) -> None:
    """Write one row in the command's transaction. `before` and `after` hold no personal data."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into audit_entries (merchant_id, id, at, actor, action, subject, before, after, request_id)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            scope.merchant_id,
            new_id(),
            scope.at,
            str(scope.actor),
            action,
            subject,
            None if before is None else msgspec.json.encode(before).decode(),
            None if after is None else msgspec.json.encode(after).decode(),
            scope.request_id,
        )
