"""Reading roles."""

from dataclasses import dataclass
from datetime import datetime

from domain import db
from domain.access import StaffRole
from domain.scope import Scope
from domain.staff.rules import effective


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the staff whose role was given, when and by whom."""

    user_id: str
    role: StaffRole
    updated_at: datetime
    updated_by: str


async def role_of(scope: Scope, user_id: str) -> StaffRole:
    """The role of a user whom Shopify has let into the app."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select (select role from staff_members where merchant_id = $1 and user_id = $2) as role,
                exists (select from staff_members where merchant_id = $1 and role = 'owner') as has_owner
            """,
            scope.merchant_id,
            user_id,
        )
    assert row is not None, "a select without a table gives one row"
    return effective(row["role"], has_owner=row["has_owner"])


async def page(scope: Scope, first: int, after: str | None) -> list[Member]:
    """At most `first` members by their user id, from behind `after`."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            """
            select user_id, role, updated_at, updated_by from staff_members
            where merchant_id = $1 and ($2::text is null or user_id > $2) order by user_id limit $3
            """,
            scope.merchant_id,
            after,
            first,
        )
    return [Member(row["user_id"], StaffRole(row["role"]), row["updated_at"], row["updated_by"]) for row in rows]
