"""Planning work that recurs, and moving on when it is done."""

from datetime import datetime

from domain import db
from domain.scope import Scope

DAILY = "daily"
"""What is done at every local midnight of a merchant with a program, one midnight after the other."""


async def plan(scope: Scope, job: str, at: datetime) -> None:
    """Do a job next at `at`. Precondition: an open transaction. What is due already stays due: it is not skipped."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into schedules (merchant_id, job, due_at) values ($1, $2, $3)
            on conflict (merchant_id, job) do update set due_at = excluded.due_at where schedules.due_at > $4
            """,
            scope.merchant_id,
            job,
            at,
            scope.at,
        )


async def done(scope: Scope, job: str, occasion: datetime, following: datetime) -> None:
    """A job was done for one occasion, and `following` is the next. Running it twice is running it once."""
    assert following > occasion, "time goes forward"
    async with db.connection(scope) as connection:
        await connection.execute(
            "update schedules set due_at = $4 where merchant_id = $1 and job = $2 and due_at = $3",
            scope.merchant_id,
            job,
            occasion,
            following,
        )
