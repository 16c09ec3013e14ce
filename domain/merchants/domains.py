"""What the domain of a shop looks like. Shopify names shops, and every one alike."""

import re

SHOP_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.myshopify\.com")


def read(text: str) -> str | None:
    """The domain in small letters; None for what is no shop's, and is asked for nowhere."""
    found = text.lower()
    # Letters of other alphabets can have ours as their small ones.
    return found if text.isascii() and SHOP_DOMAIN.fullmatch(found) else None
