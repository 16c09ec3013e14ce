"""The tenants: a Shopify shop each, and the shops that joined it."""

from domain.merchants import stores
from domain.merchants.commands import clock_advance, forget_name, register, revoke_keys
from domain.merchants.keys import (
    API_KEY_PREFIX,
    ApiKey,
    Partner,
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    api_keys,
    by_api_key,
)
from domain.merchants.queries import Merchant, by_id, by_shop_domain, clock_offset, currency, every_id, home_of, page, shop_domain

__all__ = [
    "API_KEY_PREFIX",
    "ApiKey",
    "Merchant",
    "Partner",
    "api_key_create",
    "api_key_revoke",
    "api_key_rotate",
    "api_keys",
    "by_api_key",
    "by_id",
    "by_shop_domain",
    "clock_advance",
    "clock_offset",
    "currency",
    "every_id",
    "forget_name",
    "home_of",
    "page",
    "register",
    "revoke_keys",
    "shop_domain",
    "stores",
]
