"""Keeping a shop's token. Each command is one statement, so that none needs a transaction of its own."""

from domain import db
from domain.installations.rules import LEASE, Grant
from domain.scope import Scope
from domain.seal import seal


async def install(scope: Scope, grant: Grant) -> None:
    """Keep the grant of a shop that has installed the app, for the first time or again."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into installations (
                merchant_id, access_token, refresh_token, expires_at, refresh_expires_at, scopes, revision, installed_at
            )
            values ($1, $2, $3, $4, $5, $6, 1, $7)
            on conflict (merchant_id) do update set
                access_token = excluded.access_token, refresh_token = excluded.refresh_token, expires_at = excluded.expires_at,
                refresh_expires_at = excluded.refresh_expires_at, scopes = excluded.scopes, installed_at = excluded.installed_at,
                revision = installations.revision + 1, renewing_until = null, uninstalled_at = null
            """,
            scope.merchant_id,
            *_sealed(scope, grant),
            grant.expires_at,
            grant.refresh_expires_at,
            grant.scopes,
            scope.at,
        )


async def claim_refresh(scope: Scope, revision: int) -> bool:
    """Whether the caller, and nobody else for the next 20 s, is to renew this revision of the token."""
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            update installations set renewing_until = $3
            where merchant_id = $1 and revision = $2 and uninstalled_at is null
                and (renewing_until is null or renewing_until <= $4)
            """,
            scope.merchant_id,
            revision,
            scope.at + LEASE,
            scope.at,
        )
    return status == "UPDATE 1"


async def renew(scope: Scope, revision: int, grant: Grant) -> bool:
    """Replace both tokens at once. Returns False, and changes nothing, when this revision is not the current one."""
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            update installations set access_token = $2, refresh_token = $3, expires_at = $4, refresh_expires_at = $5, scopes = $6,
                revision = revision + 1, renewing_until = null
            where merchant_id = $1 and revision = $7 and uninstalled_at is null
            """,
            scope.merchant_id,
            *_sealed(scope, grant),
            grant.expires_at,
            grant.refresh_expires_at,
            grant.scopes,
            revision,
        )
    return status == "UPDATE 1"


async def uninstall(scope: Scope) -> None:
    """Forget the tokens: they are void, and the merchant must install the app again."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            update installations set access_token = null, refresh_token = null, uninstalled_at = $2, renewing_until = null
            where merchant_id = $1 and uninstalled_at is null
            """,
            scope.merchant_id,
            scope.at,
        )


def _sealed(scope: Scope, grant: Grant) -> tuple[bytes, bytes]:
    """Both tokens as they are stored: the one cannot be opened in the place of the other."""
    return (
        seal(scope.merchant_id, "installations.access_token", str(scope.merchant_id), grant.access_token.encode()),
        seal(scope.merchant_id, "installations.refresh_token", str(scope.merchant_id), grant.refresh_token.encode()),
    )
