"""How far the work that recurs has come."""

from datetime import datetime

from domain import db
from domain.scope import Scope


async def next_due(scope: Scope, job: str) -> datetime | None:
    """When a job is next to be done, which may be past; None when it was never planned."""
    async with db.connection(scope) as connection:
        at: datetime | None = await connection.fetchval(
            "select due_at from schedules where merchant_id = $1 and job = $2", scope.merchant_id, job
        )
    return at


async def reached(scope: Scope, job: str) -> datetime:
    """Up to when other work may go without overtaking a job: the scope's instant, or the job's first occasion not yet done."""
    due = await next_due(scope, job)
    return scope.at if due is None else min(due, scope.at)
