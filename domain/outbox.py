"""Effects that leave the database: added in the command's transaction, sent by the relay after the commit."""

from typing import Any

import msgspec

from domain import db
from domain.scope import Scope


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `name` is noun.verb in the past tense; the payload carries ids and versions only."""

    id: int
    name: str
    payload: dict[str, Any]

    @property
    def request_id(self) -> str:
        """The request that caused it; empty for what the ledger itself tells, and for our own work."""
        return self.payload.get("request_id", "")


async def add(scope: Scope, name: str, **payload: Any) -> None:
    """Leave an event in the command's transaction, with the request that caused it. Precondition: an open transaction."""
    if scope.request_id:
        payload["request_id"] = scope.request_id
    async with db.connection(scope) as connection:
        await connection.execute(
            "insert into outbox (merchant_id, event, payload, created_at) values ($1, $2, $3, $4)",
            scope.merchant_id,
            name,
            msgspec.json.encode(payload).decode(),
            scope.at,
        )


async def unsent(scope: Scope, limit: int) -> list[Event]:
    """The oldest events that wait, without a lock: two relays may send one twice, and every receiver bears that."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "select id, event, payload from outbox where merchant_id = $1 order by id limit $2", scope.merchant_id, limit
        )
    return [Event(number, name, msgspec.json.decode(payload)) for number, name, payload in rows]


async def forget(scope: Scope, events: list[Event]) -> list[Event]:
    """Remove events that have been sent. Returns those that were still there: of two relays, one removes each."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            "delete from outbox where merchant_id = $1 and id = any ($2) returning id",
            scope.merchant_id,
            [event.id for event in events],
        )
    removed = {row["id"] for row in rows}
    return [event for event in events if event.id in removed]
