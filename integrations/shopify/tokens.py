"""The token to speak with: the stored one, renewed by one process for all when its time comes."""

import asyncio
from time import monotonic

import httpx2

from domain import installations, scope
from domain.damage import Damaged
from domain.installations import Installation
from domain.log import log
from domain.scope import Scope
from integrations.shopify import oauth
from integrations.shopify.errors import NotInstalled, Refused, Unanswered

PATIENCE_S = 25.0
"""How long to wait for another process that renews: a little longer than its lease."""

LOOK_AGAIN_S = 0.05


async def token(within: Scope, http: httpx2.AsyncClient, shop: str, *, not_revision: int | None = None) -> Installation:
    """A token with time left, or another than the revision that Shopify has refused.

    Of any number of callers in any number of processes one renews; the others wait for what it brings.
    Raises NotInstalled, or Unanswered when the token could not be renewed in time.
    """
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        # The real clock, whatever a sandbox's says: the tokens are Shopify's.
        now = within.later(scope.now())
        try:
            found = await installations.current(now)
        except Damaged as error:
            # The shop gives a fresh one when the merchant opens the app.
            raise NotInstalled("The shop's token does not open.") from error
        if found is None:
            raise NotInstalled("The shop has not installed the app.")
        if found.is_fresh(now.at) and found.revision != not_revision:
            return found
        if await installations.claim_refresh(now, found.revision):
            renewed = await _renew(now, http, shop, found)
            # Whoever waits reads it from the database, as the next turn of this loop does.
            if renewed:
                continue
        if now.at < found.expires_at and found.revision != not_revision:
            # It still lasts for minutes, and another renews it meanwhile.
            return found
        await asyncio.sleep(LOOK_AGAIN_S)
    raise Unanswered("The shop's token could not be renewed.")


async def _renew(within: Scope, http: httpx2.AsyncClient, shop: str, found: Installation) -> bool:
    try:
        grant = await oauth.by_refresh_token(http, shop, found.refresh_token, within.at)
    except Refused as error:
        if error.code in {"invalid_grant", "invalid_request"}:
            await installations.uninstall(within)
            raise NotInstalled("Shopify has taken the app's access back.") from error
        raise Unanswered(str(error)) from error
    except Unanswered as error:
        log.warning("shopify.token_not_renewed", merchant_id=str(within.merchant_id), error=str(error))
        return False
    log.info("shopify.token_renewed", merchant_id=str(within.merchant_id))
    return await installations.renew(within, found.revision, grant)
