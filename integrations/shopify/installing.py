"""What is done with a grant: it is looked at, the shop is asked who it is, and both are kept."""

from datetime import datetime

from domain import installations, merchants
from domain.installations import Grant
from domain.merchants import Merchant
from domain.rewards import publishing
from domain.scope import system
from integrations.shopify import signing
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused
from integrations.shopify.oauth import SCOPES


class ScopesMissing(Refused):
    """The shop has granted less than the app needs."""


async def install(shopify: Shopify, shop: str, grant: Grant, at: datetime) -> Merchant:
    """Keep the grant of a shop that installs the app, for the first time or again; the shop becomes a merchant when it is new.

    A grant is the shop's own, also where the shop has joined another's merchant. Safe to repeat. at: the real present.
    Raises ShopifyError, and a CURRENCY_UNKNOWN refusal; then nothing is kept.
    """
    if not signing.covers(grant.scopes, SCOPES):
        raise ScopesMissing("SCOPES_MISSING", "The grant does not cover what the app asks for.")
    told = await shopify.introduce(shop, grant.access_token)
    if told.get("myshopifyDomain") != shop:
        raise Refused("ANOTHER_SHOP", "The token is another shop's.")
    await merchants.register(shop, told["name"], told["currencyCode"], at)
    home = await merchants.home_of(shop)
    assert home is not None, "the shop was registered above"
    await installations.install(system(home.id, at), grant)
    speaks_for = await merchants.by_shop_domain(shop)
    assert speaks_for is not None, "a shop always speaks for somebody"
    # Shopify has removed the app's discounts together with the app.
    await publishing.again(system(speaks_for.id, clock_offset=speaks_for.clock_offset))
    return home
