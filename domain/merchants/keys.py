"""Partners' keys. A merchant who makes one agrees to what it may do; taking it back is revoking it.

Keys live by the real clock, also those of a sandbox.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain import audit, db
from domain.access import PARTNER_SCOPES, Permission
from domain.errors import Code, DomainError, NotFound
from domain.identifiers import new_id
from domain.scope import Scope

API_KEY_PREFIX = "lnp_"
"""Partners' keys begin with it, so that a leaked one can be recognised by a scanner."""
NAME_LENGTH_MAX = 100
OVERLAP_MAX = timedelta(days=7)
"""How long at most a replaced key stays good beside its successor."""
USED_EVERY = timedelta(minutes=1)
"""The last use is written at most so often: a busy partner costs no write per request."""

_COLUMNS = "id, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, replaces"


class ScopeUnknown(DomainError):
    """A key cannot have this scope."""

    code = Code.SCOPE_UNKNOWN


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A partner's key, without the key. `created_by` is who agreed to its scopes; `last_used_at` is exact to a minute."""

    id: UUID
    name: str
    scopes: frozenset[Permission]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaces: UUID | None


@dataclass(frozen=True, slots=True)
class Partner:
    """Whom a key lets in."""

    merchant_id: UUID
    key_id: UUID
    scopes: frozenset[Permission]
    expires_at: datetime | None
    sandbox: bool


async def api_key_create(
    scope: Scope, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key, and in the clear what can never be shown again: only its hash is kept. Precondition: a transaction.

    Raises ScopeUnknown, and refusals for a blank or long name and an instant that has passed.
    """
    label = name.strip()
    if not label:
        raise DomainError("Say whom the key is for.", field=("name",), code=Code.BLANK)
    if len(label) > NAME_LENGTH_MAX:
        raise DomainError(f"A name has at most {NAME_LENGTH_MAX} characters.", field=("name",), code=Code.TOO_LONG)
    if expires_at is not None and expires_at <= scope.real_at:
        raise DomainError("The key would have expired already.", field=("expiresAt",))
    row, secret = await _insert(scope, label, _granted(scopes), expires_at, None)
    await audit.record(scope, "api_key.created", f"gid://loyalnest/ApiKey/{row.id}", after=_told(row))
    return row, secret


async def api_key_rotate(scope: Scope, *, key_id: UUID, overlap: timedelta) -> tuple[ApiKey, str]:
    """A successor with the same name, scopes and expiry; the old key stays good for `overlap`. Precondition: a transaction.

    Raises NotFound for a key that is not good any more, and ALREADY_EXISTS when it has a successor.
    """
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise DomainError(f"Both keys are good together for at most {OVERLAP_MAX.days} days.", field=("overlapHours",))
    before = await _good(scope, key_id)
    async with db.connection(scope) as connection:
        if await connection.fetchval("select exists (select from api_keys where replaces = $1)", key_id):
            raise DomainError("The key has a successor already.", field=("id",), code=Code.ALREADY_EXISTS)
        row, secret = await _insert(scope, before.name, before.scopes, before.expires_at, key_id)
        await connection.execute(
            "update api_keys set expires_at = least(expires_at, $3) where merchant_id = $1 and id = $2",
            scope.merchant_id,
            key_id,
            scope.real_at + overlap,
        )
    await audit.record(scope, "api_key.rotated", f"gid://loyalnest/ApiKey/{row.id}", before={"id": str(key_id)}, after=_told(row))
    return row, secret


async def api_key_revoke(scope: Scope, *, key_id: UUID) -> None:
    """End a key at once. Precondition: a transaction. Raises NotFound for a key that is not good any more."""
    before = await _good(scope, key_id)
    async with db.connection(scope) as connection:
        await connection.execute(
            "update api_keys set revoked_at = $3 where merchant_id = $1 and id = $2", scope.merchant_id, key_id, scope.real_at
        )
    await audit.record(scope, "api_key.revoked", f"gid://loyalnest/ApiKey/{key_id}", before=_told(before))


async def api_keys(scope: Scope, first: int, after: UUID | None) -> list[ApiKey]:
    """At most `first` keys of the merchant, newest first, from behind `after`."""
    async with db.connection(scope) as connection:
        rows = await connection.fetch(
            f"""
            select {_COLUMNS} from api_keys where merchant_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
            """,
            scope.merchant_id,
            after,
            first,
        )
    return [_key(row) for row in rows]


async def by_api_key(key: str, at: datetime) -> Partner | None:
    """Whom a key lets in that is neither expired nor revoked at `at`; notes the use."""
    hashed = sha256(key.encode()).digest()
    async with db.reference() as connection:
        row = await connection.fetchrow(
            """
            select k.merchant_id, k.id, k.scopes, k.expires_at, k.last_used_at, m.sandbox
            from api_keys k join merchants m on m.id = k.merchant_id
            where k.key_hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > $2)
            """,
            hashed,
            at,
        )
        if row is not None and (row["last_used_at"] is None or row["last_used_at"] < at - USED_EVERY):
            await connection.execute(
                "update api_keys set last_used_at = $3 where merchant_id = $1 and id = $2", row["merchant_id"], row["id"], at
            )
    if row is None:
        return None
    return Partner(row["merchant_id"], row["id"], _permissions(row["scopes"]), row["expires_at"], row["sandbox"])


async def _insert(
    scope: Scope, name: str, scopes: frozenset[Permission], expires_at: datetime | None, replaces: UUID | None
) -> tuple[ApiKey, str]:
    secret = API_KEY_PREFIX + secrets.token_urlsafe(32)
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            insert into api_keys (merchant_id, id, key_hash, name, scopes, created_at, created_by, expires_at, replaces)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {_COLUMNS}
            """,
            scope.merchant_id,
            new_id(),
            sha256(secret.encode()).digest(),
            name,
            sorted(scopes),
            scope.real_at,
            str(scope.actor),
            expires_at,
            replaces,
        )
    return _key(row), secret


async def _good(scope: Scope, key_id: UUID) -> ApiKey:
    """The key, locked, if it is good now."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            f"""
            select {_COLUMNS} from api_keys
            where merchant_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > $3) for update
            """,
            scope.merchant_id,
            key_id,
            scope.real_at,
        )
    if row is None:
        raise NotFound("There is no such key, or it is not good any more.", field=("id",))
    return _key(row)


def _granted(scopes: Iterable[str]) -> frozenset[Permission]:
    wanted = set(scopes)
    known = {one.value for one in PARTNER_SCOPES}
    if not wanted or not wanted <= known:
        raise ScopeUnknown(f"A key has one or more of these scopes: {', '.join(sorted(known))}.", field=("scopes",))
    return frozenset(Permission(one) for one in wanted)


def _permissions(scopes: list[str]) -> frozenset[Permission]:
    # What a scope once granted and no longer is, is not granted.
    return frozenset(Permission(one) for one in scopes if one in {known.value for known in PARTNER_SCOPES})


def _key(row: Any) -> ApiKey:
    values: dict[str, Any] = dict(row)
    values["scopes"] = _permissions(row["scopes"])
    return ApiKey(**values)


def _told(row: ApiKey) -> dict[str, object]:
    expires = None if row.expires_at is None else row.expires_at.isoformat()
    return {"name": row.name, "scopes": sorted(row.scopes), "expires_at": expires}
