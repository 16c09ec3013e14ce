"""The webhooks that a shop is asked to send: what it has is compared with what we need, and what differs is mended."""

from typing import Any

from domain.inbox.handlers import handles
from domain.inbox.kinds import TOPICS, Kind
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused

PATH = "/webhooks/shopify"


def needed() -> dict[str, str]:
    """Every topic that is worked off here, by Shopify's name of it in GraphQL.

    Those that privacy laws demand are missing: Shopify takes them from the app's configuration alone.
    """
    return {_enum(topic): topic for topic, kind in TOPICS.items() if handles(topic) and kind is not Kind.PRIVACY}


async def register(shopify: Shopify, scope: Scope) -> list[str]:
    """Make the shop's subscriptions those that we need, and no others: what is missing is made, what is wrong is mended.

    Only ours are seen here: Shopify shows an app its own. Returns the topics that were not as they should be, in the order of
    the alphabet; running it twice is running it once, whatever a run before has left half done. Raises ShopifyError.
    """
    uri = settings().public_url.rstrip("/") + PATH
    missing = needed()
    wrong: list[dict[str, Any]] = []
    for one in await _all(shopify, scope):
        if _is_right(one, uri) and one["topic"] in missing:
            del missing[one["topic"]]
        else:
            wrong.append(one)
    # What can be made right is not removed, so that nothing is missed between the two.
    mended = {one["topic"] for one in wrong} | missing.keys()
    for one in wrong:
        if missing.pop(one["topic"], None) is None:
            await _remove(shopify, scope, one["id"])
        else:
            await shopify.call(scope, "WebhookUpdate", id=one["id"], subscription=_subscription(uri))
    for name in sorted(missing):
        # Not repeated by itself: after a lost answer the list is read again by whoever comes next.
        await shopify.call(scope, "WebhookCreate", repeatable=False, topic=name, subscription=_subscription(uri))
    return sorted(needed().get(name, name) for name in mended)


async def _all(shopify: Shopify, scope: Scope) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await shopify.call(scope, "Webhooks", after=after)
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def _is_right(one: dict[str, Any], uri: str) -> bool:
    """Whether a subscription sends whole payloads of everything, as JSON, to us."""
    return one["uri"] == uri and one["format"] == "JSON" and not one["filter"] and not one["includeFields"]


def _subscription(uri: str) -> dict[str, Any]:
    return {"uri": uri, "format": "JSON", "filter": "", "includeFields": []}


async def _remove(shopify: Shopify, scope: Scope, subscription_id: str) -> None:
    try:
        await shopify.call(scope, "WebhookDelete", id=subscription_id)
    except Refused as error:
        # Gone already: a call before has removed it, and its answer was lost.
        if error.code != "INVALID":
            raise


def _enum(topic: str) -> str:
    """Shopify's name of a topic in GraphQL: orders/create is ORDERS_CREATE."""
    return topic.upper().replace("/", "_")
