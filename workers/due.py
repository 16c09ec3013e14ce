"""What lies in tables until its time has come: the one list of it, by which the sweeper finds it and a new time wakes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import dramatiq

from workers.actions import give_birthdays, mature_claims, settle_reviews
from workers.inbox import work_off_inbox
from workers.installations import compare_webhooks
from workers.orders import mature_orders
from workers.points import daily_work, expire_points
from workers.relay import relay_outbox
from workers.rewards import end_reservations, publish_rewards, settle_redemptions, tell_standings

LOST_AFTER = timedelta(seconds=30)
"""How old work may get whose message was sent when it came to be, before that message is taken for lost."""


@dataclass(frozen=True, slots=True)
class Due:
    """Work of one kind: `job` has something to do for every merchant with a row in `table` whose `column` has passed.

    column: an instant of the merchant's clock. condition: what must hold of the row besides, in SQL. patience: how long
    after its instant the work is left alone, because somebody was told of it already. The dispatcher's role needs a policy
    and grants for the columns that are named here, and the table an index that leads to rows that are due.
    """

    job: "dramatiq.Actor[Any, Any]"
    table: str
    column: str
    condition: str = "true"
    patience: timedelta = timedelta()


DUE = (
    Due(work_off_inbox, "inbox", "due_at", "status = 'pending'", LOST_AFTER),
    Due(relay_outbox, "outbox", "created_at", patience=LOST_AFTER),
    Due(mature_orders, "orders", "matures_at"),
    Due(expire_points, "points_lots", "expires_at", "remaining > 0"),
    Due(daily_work, "schedules", "wakes_at", "job = 'daily'"),
    Due(mature_claims, "action_claims", "matures_at"),
    Due(give_birthdays, "birthdays", "due_at"),
    Due(settle_reviews, "reviews", "due_at"),
    # Here the instant is the end of a worker's lease, so nobody else is at it.
    Due(settle_redemptions, "redemptions", "due_at"),
    Due(end_reservations, "reservations", "due_at"),
    Due(publish_rewards, "rewards", "due_at"),
    Due(tell_standings, "standings", "due_at"),
    Due(compare_webhooks, "installations", "webhooks_due_at"),
)
"""Everything that becomes due. A feature adds its line here, and nothing else has to know of it."""


async def merchants_with(
    connection: "asyncpg.Connection[asyncpg.Record]", due: Due, at: datetime, ahead: dict[UUID, timedelta]
) -> set[UUID]:
    """The merchants for whom such work is due at the real instant `at`, or earlier; `ahead` has those whose clocks are ahead.

    Whoever's clock is ahead is asked for a second time, by their own clock.
    """
    latest = at - due.patience
    rows = await connection.fetch(
        f"""
        select distinct merchant_id from {due.table} where {due.column} <= $1 and {due.condition}
        union
        select distinct merchant_id from {due.table} join unnest($2::uuid[], $3::timestamptz[]) as sandbox (merchant_id, latest)
            using (merchant_id)
        where {due.column} <= sandbox.latest and {due.condition}
        """,  # noqa: S608 -- the names stand in the list above
        latest,
        list(ahead),
        [latest + offset for offset in ahead.values()],
    )
    return {row["merchant_id"] for row in rows}


def wake_due(merchant_id: str) -> None:
    """Have the workers look for everything that can be due at a merchant, such as after their clock was advanced."""
    for job in dict.fromkeys(due.job for due in DUE):
        job.send(merchant_id)
