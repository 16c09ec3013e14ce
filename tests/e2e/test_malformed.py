"""Malformed documents and webhooks, at a real process: nothing is a fault of ours. benches/malformed.py sends ten thousand."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.e2e import malformed
from tests.e2e.malformed import AT_ONCE, Target
from tests.e2e.processes import Running, running
from tests.shop import Shop, order, rate

COUNT = 400
LASTS = timedelta(hours=1)


@pytest.fixture(scope="module")
def api() -> Iterator[Running]:
    with running() as application:
        application.start("api")
        yield application


@pytest.fixture
async def target(api: Running, shop: Shop) -> Target:
    """The API, and a shop with a program behind it."""
    await shop.publish(rate(10))
    await api.ready()
    token = shop.staff_token(lasts=LASTS)
    return Target(
        api.url,
        api.processes["api"].pid,
        token,
        json.dumps(order(1)),
        lambda body: shop.webhook_headers("orders/create", body),
    )


async def test_documents_over_http(target: Target) -> None:
    await malformed.documents(target, COUNT)


async def test_documents_over_a_socket(target: Target) -> None:
    await malformed.frames(target, AT_ONCE)


async def test_webhooks(target: Target) -> None:
    await malformed.webhooks(target, COUNT)
