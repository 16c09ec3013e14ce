"""Making, changing and disabling the platform's people. Each command runs in its caller's transaction and is audited."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from domain import audit, db, master
from domain.access import AdminRole
from domain.admins.queries import COLUMNS, Admin, admin, email_of, email_place, totp_place
from domain.admins.rules import (
    check_email,
    check_name,
    check_networks,
    check_password,
    hash_password,
    is_password,
    new_password,
    new_totp_secret,
    totp_address,
)
from domain.errors import Code, DomainError, NotFound
from domain.identifiers import new_id
from domain.scope import Scope

EMAILS = "admins.email"
"""The context of the keyed hashes under which addresses are found."""


class LastAdmin(DomainError):
    """Nobody would be left who can manage the others."""

    code = Code.LAST_ADMIN


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a person needs for the first sign-in. It is shown once."""

    admin: Admin
    password: str
    totp_address: str


async def create(scope: Scope, *, email: str, name: str, role: AdminRole, networks: list[str]) -> Enrolment:
    """A new account with a first password and an authenticator's secret. Raises ALREADY_EXISTS and refusals of the input."""
    address, label, kept = check_email(email), check_name(name), check_networks(networks)
    admin_id, password, secret = new_id(), new_password(), new_totp_secret()
    hashed = await asyncio.to_thread(hash_password, password)
    terms = await master.macs(address, EMAILS)
    try:
        async with db.connection(scope) as connection:
            if await connection.fetchval("select exists (select from admins where email_term = any ($1))", terms):
                raise _exists()
            row = await connection.fetchrow(
                f"""
                insert into admins (id, email, email_term, name, role, networks, password_hash, totp_secret, created_at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {COLUMNS}
                """,
                admin_id,
                await master.wrap(address.encode(), email_place(admin_id)),
                terms[0],
                label,
                role,
                kept,
                hashed,
                await master.wrap(secret, totp_place(admin_id)),
                scope.at,
            )
    except asyncpg.UniqueViolationError as error:
        raise _exists() from error
    await audit.record(scope, "admin.created", f"gid://loyalnest/Admin/{admin_id}", after={"role": role, "networks": kept})
    return Enrolment(await admin(row), password, totp_address(secret, address))


async def update(
    scope: Scope, *, admin_id: UUID, name: str | None = None, role: AdminRole | None = None, networks: list[str] | None = None
) -> Admin:
    """Change what is given. Raises NotFound, and LastAdmin when nobody would be left to manage the others.

    What is as it was already is no change, and leaves no entry in the audit.
    """
    label = None if name is None else check_name(name)
    kept = None if networks is None else check_networks(networks)
    async with db.connection(scope) as connection:
        before = await _locked(connection, admin_id)
        if role is not None and role is not AdminRole.FULL:
            await _check_another(connection, admin_id)
        row = await connection.fetchrow(
            f"""
            update admins set name = coalesce($2, name), role = coalesce($3, role), networks = coalesce($4, networks)
            where id = $1 returning {COLUMNS}
            """,
            admin_id,
            label,
            role,
            kept,
        )
    assert row is not None, "the row is locked"
    if row != before:
        await audit.record(scope, "admin.updated", f"gid://loyalnest/Admin/{admin_id}", before=_told(before), after=_told(row))
    return await admin(row)


async def disable(scope: Scope, *, admin_id: UUID) -> Admin:
    """End an account and all its sessions at once; one that has ended stays as it is. Raises NotFound, and LastAdmin."""
    async with db.connection(scope) as connection:
        before = await _locked(connection, admin_id)
        if before["disabled_at"] is not None:
            return await admin(before)
        await _check_another(connection, admin_id)
        row = await connection.fetchrow(
            f"update admins set disabled_at = $2 where id = $1 returning {COLUMNS}", admin_id, scope.at
        )
        await end_sessions(connection, admin_id, scope)
    await audit.record(scope, "admin.disabled", f"gid://loyalnest/Admin/{admin_id}", before=_told(before))
    return await admin(row)


async def reset(scope: Scope, *, admin_id: UUID) -> Enrolment:
    """A fresh password and authenticator for somebody who lost theirs; ends their sessions. Raises NotFound."""
    password, secret = new_password(), new_totp_secret()
    hashed = await asyncio.to_thread(hash_password, password)
    async with db.connection(scope) as connection:
        await _locked(connection, admin_id)
        row = await connection.fetchrow(
            f"""
            update admins set password_hash = $2, totp_secret = $3, totp_step = 0, failures = 0, locked_until = null
            where id = $1 returning {COLUMNS}
            """,
            admin_id,
            hashed,
            await master.wrap(secret, totp_place(admin_id)),
        )
        await end_sessions(connection, admin_id, scope)
    found = await admin(row)
    await audit.record(scope, "admin.reset", f"gid://loyalnest/Admin/{admin_id}")
    return Enrolment(found, password, totp_address(secret, found.email or found.name))


async def password_change(scope: Scope, *, admin_id: UUID, current: str, password: str) -> None:
    """A password of one's own choice; ends every session. Raises NotFound when `current` is wrong, and PasswordWeak."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow("select password_hash, email from admins where id = $1 for update", admin_id)
        if row is None or not await asyncio.to_thread(is_password, current, row["password_hash"]):
            raise NotFound("The present password is another.", field=("current",))
        check_password(password, await email_of(admin_id, row["email"]))
        hashed = await asyncio.to_thread(hash_password, password)
        await connection.execute("update admins set password_hash = $2 where id = $1", admin_id, hashed)
        await end_sessions(connection, admin_id, scope)
    await audit.record(scope, "admin.password_changed", f"gid://loyalnest/Admin/{admin_id}")


async def end_sessions(connection: db.Connection, admin_id: UUID, scope: Scope) -> None:
    """End every session of an account."""
    await connection.execute(
        "update admin_sessions set revoked_at = $2 where admin_id = $1 and revoked_at is null", admin_id, scope.at
    )


async def _locked(connection: db.Connection, admin_id: UUID) -> Any:
    # Two who disable each other at once must not both succeed: accounts change one at a time.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('admins', 0))")
    row = await connection.fetchrow(f"select {COLUMNS} from admins where id = $1 for update", admin_id)
    if row is None:
        raise NotFound("There is no such account.", field=("id",))
    return row


async def _check_another(connection: db.Connection, leaving: UUID) -> None:
    others = await connection.fetchval(
        "select exists (select from admins where role = 'full' and disabled_at is null and id <> $1)", leaving
    )
    if not others:
        raise LastAdmin("Give somebody else the role `full` first.", field=("id",))


def _told(row: Any) -> dict[str, object]:
    return {"role": row["role"], "networks": row["networks"]}


def _exists() -> DomainError:
    return DomainError("There is an account with this address.", field=("email",), code=Code.ALREADY_EXISTS)
