"""Shopify's Admin API and OAuth."""

from integrations.shopify.client import Shopify, tell
from integrations.shopify.errors import NotInstalled, NotSent, Refused, ShopifyError, Throttled, Unanswered

__all__ = [
    "NotInstalled",
    "NotSent",
    "Refused",
    "Shopify",
    "ShopifyError",
    "Throttled",
    "Unanswered",
    "tell",
]
