"""Reading a shop's token."""

from dataclasses import dataclass
from datetime import datetime

from domain import db
from domain.installations.rules import RENEW_BEFORE
from domain.scope import Scope
from domain.seal import unseal


@dataclass(frozen=True, slots=True)
class Installation:
    """A shop's grant, opened. `revision` rises with each renewal."""

    access_token: str
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    scopes: str
    revision: int

    def is_fresh(self, at: datetime) -> bool:
        """Whether the access token still has more than its margin."""
        return at < self.expires_at - RENEW_BEFORE


async def current(scope: Scope) -> Installation | None:
    """The merchant's installation; None when there is none, or none any more. Raises Damaged when a token does not open."""
    async with db.connection(scope) as connection:
        row = await connection.fetchrow(
            """
            select access_token, expires_at, refresh_token, refresh_expires_at, scopes, revision from installations
            where merchant_id = $1 and uninstalled_at is null
            """,
            scope.merchant_id,
        )
    if row is None:
        return None
    return Installation(
        access_token=_open(scope, "access_token", row["access_token"]),
        expires_at=row["expires_at"],
        refresh_token=_open(scope, "refresh_token", row["refresh_token"]),
        refresh_expires_at=row["refresh_expires_at"],
        scopes=row["scopes"],
        revision=row["revision"],
    )


async def is_newer(scope: Scope, at: datetime) -> bool:
    """Whether the merchant's installation is there, and is newer than a real instant."""
    async with db.connection(scope) as connection:
        return await connection.fetchval(
            "select exists (select from installations where merchant_id = $1 and uninstalled_at is null and installed_at > $2)",
            scope.merchant_id,
            at,
        )


def _open(scope: Scope, column: str, sealed: bytes) -> str:
    return unseal(scope.merchant_id, f"installations.{column}", str(scope.merchant_id), sealed).decode()
