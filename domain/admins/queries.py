"""Reading the platform's people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import db, master
from domain.access import AdminRole
from domain.damage import damaged
from domain.scope import NOBODY

COLUMNS = "id, email, name, role, networks, created_at, disabled_at, locked_until"


@dataclass(frozen=True, slots=True)
class Admin:
    """One of the platform's own people, without their secrets. Their address is None when it does not open."""

    id: UUID
    email: str | None
    name: str
    role: AdminRole
    networks: list[str]
    created_at: datetime
    disabled_at: datetime | None
    locked_until: datetime | None


async def page(first: int, after: UUID | None) -> list[Admin]:
    """At most `first` people, newest first, from behind `after`."""
    async with db.reference() as connection:
        rows = await connection.fetch(
            f"select {COLUMNS} from admins where $1::uuid is null or id < $1 order by id desc limit $2", after, first
        )
    return [await admin(row) for row in rows]


async def admin(row: Any) -> Admin:
    """A row, opened."""
    values: dict[str, Any] = dict(row)
    values |= {"email": await email_of(row["id"], row["email"]), "role": AdminRole(row["role"])}
    return Admin(**values)


async def email_of(admin_id: UUID, wrapped: bytes) -> str | None:
    """The address, opened; None when it does not open. Such an account can still be read, changed and ended."""
    try:
        return (await master.unwrap(wrapped, email_place(admin_id))).decode()
    except master.UNOPENED as error:
        damaged(NOBODY, "admins.email", admin_id, error)
        return None


def email_place(admin_id: UUID) -> str:
    """Where an address is sealed for."""
    return f"admins.email/{admin_id}"


def totp_place(admin_id: UUID) -> str:
    """Where an authenticator's secret is sealed for."""
    return f"admins.totp_secret/{admin_id}"
