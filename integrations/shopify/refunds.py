"""Refunds, one by one: a bulk query names them and cannot ask for their lines."""

from typing import Any

from domain.scope import Scope
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused


async def read(shopify: Shopify, scope: Scope, number: int) -> dict[str, Any]:
    """A refund as the Admin API gives it, with all the lines that it took back.

    Raises what `Shopify.call` raises; Refused also for a refund that Shopify does not know, and for one of more than 50 payments
    or shipping lines, of which it would tell only a part.
    """
    identifier = f"gid://shopify/Refund/{number}"
    refund: Any = await shopify.call(scope, "RefundRead", id=identifier, after=None)
    if refund is None:
        raise Refused("NOT_FOUND", f"Shopify does not know the refund {number}.")
    if any(refund[name]["pageInfo"]["hasNextPage"] for name in ("refundShippingLines", "transactions")):
        raise Refused("TOO_LARGE", f"The refund {number} has more payments or shipping lines than are read.")
    page: Any = refund["refundLineItems"]
    while page["pageInfo"]["hasNextPage"]:
        further: Any = await shopify.call(scope, "RefundRead", id=identifier, after=page["pageInfo"]["endCursor"])
        page = further["refundLineItems"]
        refund["refundLineItems"]["nodes"] += page["nodes"]
    return refund
