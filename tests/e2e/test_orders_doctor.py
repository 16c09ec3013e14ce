"""The order doctor as its own process, asking a Shopify on a real port."""

import asyncio
import os
import sys

import httpx2
import uvicorn

from domain import installations
from integrations.shopify import oauth
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.server import StandIn
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.e2e.processes import free_port
from tests.house.source import ROOT
from tests.shop import Shop, rate
from tests.stand_in import COAT, MUG

LONGEST_S = 60


async def command(shop: Shop, port: int, *arguments: str) -> tuple[int | None, str]:
    """Run it for the shop. Returns its exit code and the last line that it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.orders_doctor", "--shop", shop.merchant.shop_domain, *arguments),
        cwd=ROOT,
        env=os.environ | {"LOYALNEST_SHOPIFY_URL": f"http://127.0.0.1:{port}/{{shop}}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), LONGEST_S)
    lines = (output or errors).decode().splitlines()
    return process.returncode, lines[-1]


async def test_the_doctor_asks_shopify_books_and_then_all_agrees(shop: Shop) -> None:
    await shop.publish(rate(10))
    domain, port = shop.merchant.shop_domain, free_port()
    stand_in = StandIn(CLIENT_ID, CLIENT_SECRET, httpx2.AsyncClient())
    there = stand_in.shop(domain)
    there.add_customer(71)
    for _ in range(3):
        # Nobody is told: the shop has no subscription.
        checkout.check_out(there, Basket(71, [(COAT, 1), (MUG, 1)]))
    assert (await command(shop, port))[1] == f"Shopify gives no orders of {domain}. The shop has not installed the app."
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stand_in.app())) as http:
        grant = await oauth.by_session_token(http, domain, "a session token", shop.now().at)
    await installations.install(shop.now(), grant)
    server = uvicorn.Server(uvicorn.Config(stand_in.app(), host="127.0.0.1", port=port, log_level="warning", access_log=False))
    serving = asyncio.create_task(server.serve())
    try:
        figures = "+2,775 points and +0 pending in 3 entries."
        found = f"3 orders of {domain} compared; 3 missing. "
        assert await command(shop, port) == (
            1,
            f"{found}To be booked: {figures} The same command with --book books them.",
        )
        assert await command(shop, port, "--book") == (0, f"{found}Booked: {figures}")
        assert await command(shop, port) == (0, f"3 orders of {domain} compared: Shopify and the ledger agree.")
    finally:
        server.should_exit = True
        await serving
