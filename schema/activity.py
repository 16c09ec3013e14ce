"""What happens to an account, in one order: the ledger's entries, and what the customer was told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import strawberry

from domain import points, rewards
from domain.points import Activity, ExpiryReason, Notice, Reached
from schema.context import Info
from schema.enums import describe
from schema.identifiers import gid
from schema.localised import LocalisedText, localised
from schema.pagination import Connection, check_first, connection, read_cursor
from schema.points import PointsTransaction, points_transaction
from schema.scalars import Points

Place = tuple[
    Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)],
    Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)],
]
"""Where something stands in an account: behind how many entries, and which notice behind the last of them; 0 for the entry."""

describe(
    ExpiryReason,
    name="ExpiryReason",
    description="Why points will expire.",
    values={
        ExpiryReason.LOT: "They came with an expiry.",
        ExpiryReason.INACTIVITY: "The customer has neither earned nor spent for long; either keeps them.",
    },
)


@strawberry.type(description="That points will expire, told days ahead. What is spent meanwhile does not expire.")
class PointsExpiryNotice:
    """A warning."""

    points: Points = strawberry.field(description="How many there were when it was told.")
    expires_at: datetime = strawberry.field(description="When they expire.")
    reason: ExpiryReason = strawberry.field(description="Why.")
    occurred_at: datetime = strawberry.field(description="When it was told.")


@strawberry.type(
    description=(
        "That an entry brought the balance to or over what a reward costs, which the customer could take then. "
        "It is as it was told: the reward may have changed since."
    )
)
class RewardReachableNotice:
    """A reward within reach."""

    row: strawberry.Private[Reached]
    reward_id: strawberry.ID = strawberry.field(description="The reward.")
    names: list[LocalisedText] = strawberry.field(description="Its name in every language that it had.")
    points: Points = strawberry.field(description="What it cost.")
    occurred_at: datetime = strawberry.field(description="When it was told.")

    @strawberry.field(description="Its name in a language, or in English where it had none.")
    def name(self, locale: Annotated[str, strawberry.argument(description="The locale, such as pt-BR.")] = "en") -> str:
        """The localised name."""
        return rewards.name_in(self.row.names, locale)


@strawberry.type(description="One thing that happened to an account: one of its fields is there, the others are null.")
class CustomerActivity:
    """An entry or a notice."""

    points_transaction: PointsTransaction | None = strawberry.field(default=None, description="An entry of the ledger.")
    expiry_notice: PointsExpiryNotice | None = strawberry.field(default=None, description="That points will expire.")
    reachable_notice: RewardReachableNotice | None = strawberry.field(
        default=None, description="That a reward has come within reach."
    )


@strawberry.type(description="A message of `customerActivity`.")
class CustomerActivityUpdate:
    """What happened, and where the stream stands."""

    cursor: str = strawberry.field(description="Where the stream stands, to pass as `since` after a reconnect.")
    activity: CustomerActivity | None = strawberry.field(
        description="What happened; null in the first message of a stream without `since`, which says where it begins."
    )


def _notice(notice: Notice) -> PointsExpiryNotice:
    return PointsExpiryNotice(
        points=Points(notice.points), expires_at=notice.expires_at, reason=notice.reason, occurred_at=notice.occurred_at
    )


def _reached(reached: Reached) -> RewardReachableNotice:
    return RewardReachableNotice(
        row=reached,
        reward_id=strawberry.ID(gid("Reward", reached.reward_id)),
        names=localised(reached.names),
        points=Points(reached.points),
        occurred_at=reached.occurred_at,
    )


def activity(row: Activity) -> CustomerActivity:
    """One thing that happened, as the API shows it."""
    return CustomerActivity(
        points_transaction=None if row.entry is None else points_transaction(row.entry),
        expiry_notice=None if row.notice is None else _notice(row.notice),
        reachable_notice=None if row.reached is None else _reached(row.reached),
    )


async def activity_page(info: Info, customer_id: UUID, first: int, after: str | None) -> Connection[CustomerActivity]:
    """A page of what happened to an account, newest first."""
    rows_wanted = check_first(first)
    rows = await points.activity_page(info.context.scope, customer_id, read_cursor(after, Place), rows_wanted)
    return connection(rows, first, after, activity, lambda row: (row.position, row.number))
