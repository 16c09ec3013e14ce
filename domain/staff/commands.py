"""Giving and taking roles."""

from typing import Any

from domain import audit, db
from domain.access import StaffRole
from domain.errors import NotFound
from domain.scope import Scope
from domain.staff.queries import Member
from domain.staff.rules import LastOwner, check_user


async def assign(scope: Scope, *, user_id: str, role: StaffRole) -> Member:
    """Give a user a role. Precondition: a transaction. Raises LastOwner when the last owner would be something else."""
    number = check_user(user_id)
    async with db.connection(scope) as connection:
        before = await _locked(scope, connection)
        if role is not StaffRole.OWNER:
            _check_owner_remains(before, number)
        await connection.execute(
            """
            insert into staff_members (merchant_id, user_id, role, updated_at, updated_by) values ($1, $2, $3, $4, $5)
            on conflict (merchant_id, user_id) do update
            set role = excluded.role, updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """,
            scope.merchant_id,
            number,
            role,
            scope.at,
            str(scope.actor),
        )
    await audit.record(
        scope,
        "staff.role_assigned",
        f"gid://shopify/StaffMember/{number}",
        before={"role": before.get(number)},
        after={"role": role.value},
    )
    return Member(number, role, scope.at, str(scope.actor))


async def remove(scope: Scope, *, user_id: str) -> None:
    """Take a user's role. Precondition: a transaction. Raises NotFound, and LastOwner for the last owner."""
    number = check_user(user_id)
    async with db.connection(scope) as connection:
        before = await _locked(scope, connection)
        if number not in before:
            raise NotFound("There is no such member.", field=("userId",))
        _check_owner_remains(before, number)
        await connection.execute("delete from staff_members where merchant_id = $1 and user_id = $2", scope.merchant_id, number)
    await audit.record(scope, "staff.role_removed", f"gid://shopify/StaffMember/{number}", before={"role": before[number]})


async def _locked(scope: Scope, connection: Any) -> dict[str, str]:
    # Two owners who demote each other at once must not both succeed: the merchant's roles change one at a time.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{scope.merchant_id}/staff")
    rows = await connection.fetch("select user_id, role from staff_members where merchant_id = $1", scope.merchant_id)
    return {row["user_id"]: row["role"] for row in rows}


def _check_owner_remains(before: dict[str, str], leaving: str) -> None:
    owners = {user for user, role in before.items() if role == StaffRole.OWNER}
    if owners == {leaving}:
        raise LastOwner("Name another owner first: without one nobody could give roles.", field=("userId",))
