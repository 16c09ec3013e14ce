"""Bulk operations: Shopify runs a query over all that a shop has, and leaves the answer as a file of JSON lines."""

import asyncio
from collections.abc import Callable
from typing import Any, BinaryIO

import httpx2
import stamina

from domain.scope import Scope
from integrations.shopify.client import Shopify
from integrations.shopify.errors import Refused, Unanswered

POLL_S = 2.0
ATTEMPTS = 4
FILES = "storage.googleapis.com"
"""Where Shopify leaves the files of bulk operations."""
ENDED = frozenset({"CANCELED", "EXPIRED", "FAILED"})

Tell = Callable[[str, int], None]
"""Told while it goes on: Shopify's status, such as RUNNING, and how many objects it has gone through."""


async def fetch(shopify: Shopify, scope: Scope, query: str, into: BinaryIO, tell: Tell) -> None:
    """Run a bulk query and write its lines, the children of an object behind it; memory does not grow with the answer.

    Raises what `Shopify.call` raises; Refused also when Shopify gives the operation up, with its code.
    """
    made: Any = await shopify.call(scope, "BulkRun", query=query)
    identifier = made["bulkOperation"]["id"]
    while True:
        found: Any = await shopify.call(scope, "BulkStatus", id=identifier)
        if found is None:
            raise Refused("NOT_FOUND", "Shopify does not know the bulk operation any more.")
        status: str = found["status"]
        tell(status, int(found["objectCount"]))
        if status == "COMPLETED":
            break
        if status in ENDED:
            raise Refused(str(found["errorCode"] or status), "Shopify has given the bulk operation up.")
        await asyncio.sleep(POLL_S)
    # A shop that has nothing has no file.
    if found["url"] is not None:
        await _download(shopify.http, _file(found["url"], await shopify.address(scope)), int(found["fileSize"]), into)


def _file(told: Any, shop: str) -> httpx2.URL:
    """The address of a file that Shopify has told of. Raises Refused unless it is where Shopify keeps files, or the shop's.

    Whoever could answer in Shopify's place would otherwise have this server ask any other that it reaches.
    """
    try:
        url, own = httpx2.URL(told), httpx2.URL(shop)
    except (httpx2.InvalidURL, TypeError) as error:
        raise Refused("FOREIGN_FILE", "Shopify has told of a file at no address.") from error
    known = (("https", FILES, None), (own.scheme, own.host, own.port))
    if (url.scheme, url.host, url.port) not in known or url.userinfo:
        raise Refused("FOREIGN_FILE", "Shopify has told of a file that is not Shopify's.")
    return url


async def _download(http: httpx2.AsyncClient, url: httpx2.URL, size: int, into: BinaryIO) -> None:
    """Write the file, from its beginning when it broke off: half of the orders must not be taken for all of them."""
    async for attempt in stamina.retry_context(on=Unanswered, attempts=ATTEMPTS, wait_initial=0.5, wait_max=5.0):
        with attempt:
            into.seek(0)
            into.truncate()
            try:
                # The address is signed and needs no token. Its bytes are counted, so they must come as they are.
                async with http.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
                    if response.status_code != 200:
                        raise Unanswered(f"HTTP {response.status_code}")
                    async for part in response.aiter_bytes():
                        into.write(part)
            except httpx2.TransportError as error:
                raise Unanswered(type(error).__name__) from error
            if into.tell() != size:
                raise Unanswered(f"{into.tell()} of {size} bytes came")
