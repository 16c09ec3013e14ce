"""Signing in: password and code, then a refresh token that is good once."""

import asyncio
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain import audit, db, master
from domain.access import AdminRole
from domain.admins.commands import EMAILS
from domain.admins.queries import totp_place
from domain.admins.rules import NOBODYS_HASH, inside, is_password, lock_seconds, step_of
from domain.damage import damaged
from domain.errors import Code, DomainError
from domain.identifiers import new_id
from domain.scope import NOBODY, Actor, Door, Scope

REFRESH_PREFIX = "lna_"
LASTS = timedelta(hours=12)
"""A session that is not refreshed for so long is over."""
LASTS_AT_MOST = timedelta(days=7)

_hashing = asyncio.Semaphore(2)
"""Hashing takes memory by design; more at a time than this would let strangers take all of it."""


class Refused(DomainError):
    """The sign-in, the session or the refresh token is not good. Which of them, and why, is not told."""

    code = Code.UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session as its owner holds it. `refresh_token` is good once."""

    admin_id: UUID
    session_id: UUID
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good now."""

    admin_id: UUID
    role: AdminRole


async def sign_in(scope: Scope, *, email: str, password: str, code: str, address: str) -> Tokens:
    """Begin a session. Precondition: none; it writes in statements of their own, so that a failure is remembered.

    Raises Refused: for an unknown, disabled or locked account, a wrong password or code, a code that was used, a foreign network.
    """
    terms = await master.macs(email.strip().casefold(), EMAILS)
    async with db.connection(scope) as connection:
        row = await connection.fetchrow("select * from admins where email_term = any ($1)", terms)
    async with _hashing:
        matches = await asyncio.to_thread(is_password, password, NOBODYS_HASH if row is None else row["password_hash"])
    if row is None:
        raise _refused()
    step = await _checked(scope, row, code, address) if matches else None
    if step is None:
        await _note_failure(scope, row)
        raise _refused()
    session_id, token = new_id(), secrets.token_urlsafe(32)
    async with db.connection(scope) as connection:
        # The code opens once, whoever else sends it at the same moment.
        taken = await connection.fetchval(
            "update admins set totp_step = $2, failures = 0, locked_until = null where id = $1 and totp_step < $2 returning id",
            row["id"],
            step,
        )
        if taken is None:
            raise _refused()
        await connection.execute(
            """
            insert into admin_sessions (id, admin_id, refresh_hash, created_at, refreshed_at, expires_at, origin)
            values ($1, $2, $3, $4, $4, $5, $6)
            """,
            session_id,
            row["id"],
            _hashed(token),
            scope.at,
            scope.at + LASTS,
            scope.origin,
        )
    await audit.record(
        _as(scope, row["id"]), "admin.signed_in", f"gid://loyalnest/Admin/{row['id']}", after={"session": str(session_id)}
    )
    return Tokens(row["id"], session_id, _token(session_id, token))


async def _checked(scope: Scope, row: Any, code: str, address: str) -> int | None:
    """The time step of the code, if everything but the password is right."""
    is_locked = row["locked_until"] is not None and row["locked_until"] > scope.at
    if is_locked or row["disabled_at"] is not None or not inside(address, row["networks"]):
        return None
    try:
        secret = await master.unwrap(row["totp_secret"], totp_place(row["id"]))
    except master.UNOPENED as error:
        # Refused like a wrong code. `adminReset` makes a new one.
        damaged(NOBODY, "admins.totp_secret", row["id"], error)
        return None
    return step_of(secret, code, scope.at, row["totp_step"])


async def _note_failure(scope: Scope, row: Any) -> None:
    async with db.connection(scope) as connection:
        failures = await connection.fetchval(
            "update admins set failures = failures + 1 where id = $1 returning failures", row["id"]
        )
        lock = lock_seconds(failures)
        if lock:
            await connection.execute(
                "update admins set locked_until = $2 where id = $1", row["id"], scope.at + timedelta(seconds=lock)
            )
    await audit.record(scope, "admin.sign_in_failed", f"gid://loyalnest/Admin/{row['id']}", after={"failures": failures})


async def refresh(scope: Scope, *, token: str, address: str) -> Tokens:
    """The next refresh token of a session. Raises Refused.

    A token that was used before ends the session: either its owner or a thief holds an old one, and nobody can tell which.
    """
    session_id, secret = _read(token)
    fresh = secrets.token_urlsafe(32)
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select s.admin_id, s.refresh_hash, s.created_at, s.expires_at, s.revoked_at, a.disabled_at, a.networks
            from admin_sessions s join admins a on a.id = s.admin_id where s.id = $1
            """,
            session_id,
        )
        if row is None or row["revoked_at"] is not None or row["expires_at"] <= scope.at or row["disabled_at"] is not None:
            raise _refused()
        if not inside(address, row["networks"]):
            raise _refused()
        is_current = hmac.compare_digest(row["refresh_hash"], _hashed(secret))
        if is_current:
            # Compared again as it is changed: of two that refresh at once, one holds an old token.
            is_current = await connection.fetchval(
                """
                update admin_sessions set refresh_hash = $3, refreshed_at = $4, expires_at = $5
                where id = $1 and refresh_hash = $2 and revoked_at is null returning true
                """,
                session_id,
                row["refresh_hash"],
                _hashed(fresh),
                scope.at,
                min(scope.at + LASTS, row["created_at"] + LASTS_AT_MOST),
            )
        if not is_current:
            await connection.execute(
                "update admin_sessions set revoked_at = $2 where id = $1 and revoked_at is null", session_id, scope.at
            )
    if not is_current:
        await audit.record(_as(scope, row["admin_id"]), "admin.refresh_reused", f"gid://loyalnest/Admin/{row['admin_id']}")
        raise _refused()
    return Tokens(row["admin_id"], session_id, _token(session_id, fresh))


async def session(scope: Scope, session_id: UUID, address: str) -> Session:
    """The session of an access token, if it is still good from this address. Raises Refused."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select s.admin_id, a.role, a.networks from admin_sessions s join admins a on a.id = s.admin_id
            where s.id = $1 and s.revoked_at is null and s.expires_at > $2 and a.disabled_at is null
            """,
            session_id,
            scope.at,
        )
    if row is None or not inside(address, row["networks"]):
        raise _refused()
    return Session(row["admin_id"], AdminRole(row["role"]))


async def end(scope: Scope, session_id: UUID) -> None:
    """Sign out. Doing it twice is doing it once."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update admin_sessions set revoked_at = $2 where id = $1 and revoked_at is null", session_id, scope.at
        )


def _as(scope: Scope, admin_id: UUID) -> Scope:
    return Scope(NOBODY, Actor(Door.ADMIN, str(admin_id)), scope.at, scope.request_id, origin=scope.origin)


def anonymous(at: datetime, request_id: str, origin: str) -> Scope:
    """The scope of somebody who has yet to prove who they are."""
    return Scope(NOBODY, Actor(Door.ADMIN, "anonymous"), at, request_id, origin=origin)


def _token(session_id: UUID, secret: str) -> str:
    return f"{REFRESH_PREFIX}{session_id.hex}.{secret}"


def _read(token: str) -> tuple[UUID, str]:
    head, _, secret = token.removeprefix(REFRESH_PREFIX).partition(".")
    try:
        return UUID(hex=head), secret
    except ValueError as error:
        raise _refused() from error


def _hashed(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _refused() -> Refused:
    return Refused("This does not open anything.")
