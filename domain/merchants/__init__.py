"""The tenants: a Shopify shop each, and the shops that joined it."""

from domain.merchants import stores
from domain.merchants.commands import api_key_create, clock_advance, forget_name, register, revoke_keys
from domain.merchants.queries import Merchant, by_api_key, by_id, by_shop_domain, clock_offset, currency, every_id, shop_domain

__all__ = [
    "Merchant",
    "api_key_create",
    "by_api_key",
    "by_id",
    "by_shop_domain",
    "clock_advance",
    "clock_offset",
    "currency",
    "every_id",
    "forget_name",
    "register",
    "revoke_keys",
    "shop_domain",
    "stores",
]
