"""The stand-in as a process: `python -m local.shopify_stand_in [--hurry N]`, where LOYALNEST_SHOPIFY_URL says."""

import argparse
import asyncio
import sys
from urllib.parse import urlsplit

import httpx2
import uvicorn

from domain import db, installations, merchants
from domain.rewards import publishing
from domain.scope import now, system
from domain.settings import settings
from integrations.shopify import Shopify, oauth
from integrations.shopify.webhooks import register
from local.seed import DEMO
from local.shopify_stand_in.server import StandIn


def main() -> int:
    """Serve until it is stopped. Nothing is kept: a new start is an empty shop, in which the app is installed anew."""
    parser = argparse.ArgumentParser(prog="./dev.sh shopify", description="A local stand-in for Shopify.")
    parser.add_argument("--hurry", type=float, default=1.0, help="divide the waits between webhook retries by this")
    arguments = parser.parse_args()
    where = urlsplit(settings().shopify_url)
    if where.hostname != "127.0.0.1" or where.port is None:
        sys.stderr.write("LOYALNEST_SHOPIFY_URL names another Shopify than one on 127.0.0.1, so none is started here.\n")
        return 2
    try:
        asyncio.run(_serve(where.port, max(arguments.hurry, 0.001)))
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")
    return 0


async def _serve(port: int, hurry: float) -> None:
    configured = settings()
    stand_in = StandIn(configured.shopify_client_id, configured.shopify_client_secret.get_secret_value(), hurry=hurry)
    application = stand_in.app()
    # Installed before anybody can call: the stand-in answers itself.
    await _open_shops(stand_in, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=application)))
    sys.stdout.write(f"Shopify's stand-in: http://127.0.0.1:{port}/_control/{DEMO[0]['shop_domain']} tells what a shop has\n")
    sys.stdout.flush()
    await uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning", access_log=False)).serve()


async def _open_shops(stand_in: StandIn, http: httpx2.AsyncClient) -> None:
    """Give each demo shop its customers, install the app there, and subscribe to its webhooks: as a merchant's first day goes."""
    await db.open_database(settings().database_url, 2)
    shopify = Shopify(http=http)
    try:
        for wanted in DEMO:
            shop = stand_in.shop(wanted["shop_domain"], wanted["currency"])
            for number, first, last in wanted["customers"]:
                shop.add_customer(number, first, last)
            merchant = await merchants.by_shop_domain(shop.domain)
            assert merchant is not None, "./dev.sh up makes the demo's merchants"
            scope = system(merchant.id)
            grant = await oauth.by_session_token(shopify.http, shop.domain, "a merchant opens the app", now())
            await installations.install(scope, grant)
            # This Shopify begins empty each time: what there was of the app's is to be made anew.
            await publishing.again(scope)
            await register(shopify, scope)
    finally:
        await shopify.close()
        await db.close_database()


if __name__ == "__main__":
    sys.exit(main())
