"""What ShopifyAPI, Shopify's own Python library, does well: shop names, the signature of an OAuth redirect, scopes.

None of it reaches the network or keeps anything between two calls (docs/adr/0036).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import shopify
from shopify.utils.shop_url import sanitize_shop_domain  # pyright: ignore[reportUnknownVariableType]

from domain.merchants.domains import SHOP_DOMAIN

_NAME_MAX = 300


def shop_domain(text: str) -> str | None:
    """The domain of a shop from what a merchant may type, such as https://Cedar.myshopify.com/ or cedar; None when it is none."""
    try:
        found = sanitize_shop_domain(text[:_NAME_MAX])
    except ValueError:
        # The library lets a broken address of the newer kind through to urllib.
        return None
    # Letters of other alphabets can have ours as their small ones.
    return found if text.isascii() and found is not None and SHOP_DOMAIN.fullmatch(found) else None


def redirect_is_signed(query: Mapping[str, str], secrets: Sequence[str]) -> bool:
    """Whether Shopify signed an OAuth redirect with one of the app's secrets, in constant time."""
    if not query.get("hmac", "").isascii():
        return False
    # The library reads the secret from the class; a class for each secret keeps them apart. Every one is tried, so that the time
    # tells nothing about which one fits.
    sessions: list[Any] = [type("_Signed", (shopify.Session,), {"secret": secret}) for secret in secrets]
    matches = [bool(session.validate_hmac(query)) for session in sessions]
    return any(matches)


def covers(granted: str, needed: str) -> bool:
    """Whether granted scopes, separated by commas, are all that is needed; the right to write is the right to read too."""
    try:
        return bool(shopify.ApiAccess(granted).covers(shopify.ApiAccess(needed)))
    except shopify.ApiAccessError:
        return False
