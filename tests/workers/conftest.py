"""A shop that has installed the app, beside the stand-in for Shopify."""

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

import pytest
import stamina

if TYPE_CHECKING:
    from tests.shop import Shop
    from tests.stand_in import Beside


@pytest.fixture
def _no_waiting() -> Iterator[None]:
    """Two attempts, and no pause between them."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
async def here(shop: "Shop", _no_waiting: None) -> "AsyncGenerator[Beside, None]":
    """The shop at both ends, subscribed to its webhooks."""
    # The application reads its settings when it is imported, which the servers' start has to write first.
    from integrations.shopify.webhooks import register  # noqa: PLC0415
    from tests.stand_in import beside  # noqa: PLC0415

    async with beside(shop) as found:
        await register(found.shopify, shop.now())
        yield found
