"""The webhooks that a shop is asked to send, for an app whose subscriptions are not deployed by Shopify's CLI."""

from domain.inbox.handlers import handles
from domain.inbox.kinds import TOPICS, Kind
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify.client import Shopify

PATH = "/webhooks/shopify"


async def subscribe(shopify: Shopify, scope: Scope) -> list[str]:
    """Subscribe to every topic that is missing. Returns the topics that were new; running it twice is running it once."""
    uri = settings().public_url.rstrip("/") + PATH
    # Shopify takes the subscriptions that privacy laws demand from the app's configuration alone.
    wanted = {_enum(topic): topic for topic, kind in TOPICS.items() if handles(topic) and kind is not Kind.PRIVACY}
    after: str | None = None
    while True:
        page = await shopify.call(scope, "Webhooks", after=after)
        for one in page["nodes"]:
            if one["uri"] == uri:
                wanted.pop(one["topic"], None)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    for name in sorted(wanted):
        # Not repeated by itself: after a lost answer the list is read again by whoever comes next.
        subscription = {"uri": uri, "format": "JSON"}
        await shopify.call(scope, "WebhookCreate", repeatable=False, topic=name, subscription=subscription)
    return sorted(wanted.values())


def _enum(topic: str) -> str:
    """Shopify's name of a topic in GraphQL: orders/create is ORDERS_CREATE."""
    return topic.upper().replace("/", "_")
