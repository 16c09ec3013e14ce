"""Keeping a shop's token. Each command but one is one statement, so that none of those needs a transaction."""

from datetime import datetime

from domain import audit, db
from domain.installations.rules import LEASE, WEBHOOKS_LEASE, Grant
from domain.scope import Scope
from domain.seal import seal


async def install(scope: Scope, grant: Grant) -> None:
    """Keep the grant of a shop that has installed the app, for the first time or again. Its webhooks are to be compared then."""
    async with db.connection(scope) as connection:
        await connection.execute(
            """
            insert into installations (
                merchant_id, access_token, refresh_token, expires_at, refresh_expires_at, scopes, revision, installed_at,
                webhooks_due_at
            )
            values ($1, $2, $3, $4, $5, $6, 1, $7, $7)
            on conflict (merchant_id) do update set
                access_token = excluded.access_token, refresh_token = excluded.refresh_token, expires_at = excluded.expires_at,
                refresh_expires_at = excluded.refresh_expires_at, scopes = excluded.scopes, installed_at = excluded.installed_at,
                revision = installations.revision + 1, renewing_until = null, uninstalled_at = null,
                webhooks_due_at = excluded.webhooks_due_at
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


async def uninstall(scope: Scope, told_at: datetime | None = None) -> bool:
    """Forget the tokens: they are void, and the merchant must install the app again. Returns whether there were any.

    told_at: the real instant at which Shopify said so. What has been installed since stays: the word of it came late.
    """
    async with db.connection(scope) as connection:
        status = await connection.execute(
            """
            update installations set access_token = null, refresh_token = null, uninstalled_at = $2, renewing_until = null,
                webhooks_due_at = null
            where merchant_id = $1 and uninstalled_at is null and ($3::timestamptz is null or installed_at <= $3)
            """,
            scope.merchant_id,
            scope.at,
            told_at,
        )
    return status == "UPDATE 1"


async def check_webhooks(scope: Scope) -> bool:
    """Have the shop's webhooks compared now; audited. Returns False, and changes nothing, where the app is not installed.

    Precondition: an open transaction.
    """
    async with db.connection(scope) as connection:
        status = await connection.execute(
            "update installations set webhooks_due_at = $2 where merchant_id = $1 and uninstalled_at is null",
            scope.merchant_id,
            scope.at,
        )
    if status != "UPDATE 1":
        return False
    subject = f"gid://loyalnest/Merchant/{scope.merchant_id}"
    await audit.record(scope, "webhooks.checked", subject, after={"dueAt": scope.at.isoformat()})
    return True


async def claim_webhooks(scope: Scope) -> datetime | None:
    """Until when the shop's webhooks are the caller's to compare; None when that is not due, or another's to do."""
    async with db.connection(scope) as connection:
        leased: datetime | None = await connection.fetchval(
            """
            update installations set webhooks_due_at = $3
            where merchant_id = $1 and uninstalled_at is null and webhooks_due_at <= $2 returning webhooks_due_at
            """,
            scope.merchant_id,
            scope.at,
            scope.at + WEBHOOKS_LEASE,
        )
    return leased


async def webhooks_checked(scope: Scope, leased: datetime, again_at: datetime) -> None:
    """The webhooks have been compared, or could not be: when to do so again. Who has asked for it meanwhile is not put off."""
    async with db.connection(scope) as connection:
        await connection.execute(
            "update installations set webhooks_due_at = $3 where merchant_id = $1 and webhooks_due_at = $2",
            scope.merchant_id,
            leased,
            again_at,
        )


def _sealed(scope: Scope, grant: Grant) -> tuple[bytes, bytes]:
    """Both tokens as they are stored: the one cannot be opened in the place of the other."""
    return (
        seal(scope.merchant_id, "installations.access_token", str(scope.merchant_id), grant.access_token.encode()),
        seal(scope.merchant_id, "installations.refresh_token", str(scope.merchant_id), grant.refresh_token.encode()),
    )
