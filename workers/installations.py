"""Sees to it that a shop which has the app sends us the webhooks that we need."""

from datetime import timedelta

from domain import installations
from domain.log import log
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify import NotInstalled, Shopify, ShopifyError, tell
from integrations.shopify.webhooks import register
from workers.broker import SHOPIFY
from workers.job import job
from workers.rewards import shopify

AGAIN = timedelta(days=1)
"""Shopify drops a subscription whose deliveries have failed for four hours; it is missed for no longer than this."""

RETRY = timedelta(minutes=1)


async def compare(within: Scope, through: Shopify | None = None) -> None:
    """Compare the shop's webhooks with those that we need, and mend what differs."""
    now = within.present()
    leased = await installations.claim_webhooks(now)
    if leased is None:
        return
    again = AGAIN
    if not settings().public_url:
        log.warning("shopify.no_public_url", merchant_id=str(within.merchant_id))
    else:
        try:
            mended = await register(through or shopify(), now)
            log.info("shopify.webhooks", merchant_id=str(within.merchant_id), mended=mended)
        except NotInstalled:
            return
        except ShopifyError as error:
            tell(error, now, "comparing webhooks")
            again = RETRY
    await installations.webhooks_checked(now, leased, now.at + again)


async def _compare(within: Scope) -> None:
    await compare(within)


compare_webhooks = job("installations.webhooks", SHOPIFY)(_compare)
