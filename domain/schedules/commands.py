"""Planning work that recurs, and moving on when it is done."""

from datetime import datetime, timedelta

from domain import db
from domain.scope import Scope

DAILY = "daily"
"""What is done at every local midnight of a merchant with a program, one midnight after the other."""


PATIENCE, PATIENCE_MAX = timedelta(seconds=30), timedelta(hours=1)
"""How long an attempt is waited for before the next: twice as long after each, up to the most."""


async def plan(scope: Scope, job: str, at: datetime) -> None:
    """Do a job next at `at`. Precondition: an open transaction. What is due already stays due: it is not skipped."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into schedules (merchant_id, job, due_at, wakes_at) values ($1, $2, $3, $3)
            on conflict (merchant_id, job) do update set due_at = excluded.due_at, wakes_at = excluded.due_at
            where schedules.due_at > $4
            """,
            scope.merchant_id,
            job,
            at,
            scope.at,
        )


async def begin(scope: Scope, job: str, occasion: datetime) -> int:
    """Somebody sets about a job for an occasion. Returns how many have by now; it is looked at again later after each.

    The time is counted from the beginning, so that one who is killed, or takes for ever, is waited for like one who fails.
    Precondition: an open transaction. 0 when the occasion is past.
    """
    async with db.connection(scope) as connection:
        attempts: int | None = await connection.fetchval(
            """
            update schedules set attempts = attempts + 1,
                wakes_at = $4::timestamptz + least($5::interval * 2 ^ least(attempts, 20), $6::interval)
            where merchant_id = $1 and job = $2 and due_at = $3 returning attempts
            """,
            scope.merchant_id,
            job,
            occasion,
            scope.at,
            PATIENCE,
            PATIENCE_MAX,
        )
    return attempts or 0


async def fail(scope: Scope, job: str, occasion: datetime, failure: str) -> None:
    """An attempt at a job for an occasion failed. failure: a code, nothing of what was worked on. Precondition: a transaction."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update schedules set failure = $4 where merchant_id = $1 and job = $2 and due_at = $3",
            scope.merchant_id,
            job,
            occasion,
            failure,
        )


async def done(scope: Scope, job: str, occasion: datetime, following: datetime) -> None:
    """A job was done for one occasion, and `following` is the next. Running it twice is running it once."""
    assert following > occasion, "time goes forward"
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update schedules set due_at = $4, wakes_at = $4, attempts = 0, failure = null
            where merchant_id = $1 and job = $2 and due_at = $3
            """,
            scope.merchant_id,
            job,
            occasion,
            following,
        )
