"""What one process of the API shares between its requests."""

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection

from api.ring import Ring
from api.sockets import Sockets
from api.throttle import Throttle
from integrations.shopify import Shopify
from schema.doorbell import Doorbell


@dataclass(frozen=True, slots=True)
class Process:
    """The doorbell that sockets wait at, the rings that tell the workers of news, the callers' allowances and their sockets.

    any_documents: whether customers and staff may send documents of their own.
    shopify: the way to the shops, for installing the app and nothing else: a request does not wait for Shopify.
    wake_due: has the workers look for all that can be due at a merchant, whose clock has been advanced.
    """

    doorbell: Doorbell
    wake_inbox: Ring
    wake_outbox: Ring
    wake_due: Ring
    throttle: Throttle
    sockets: Sockets
    any_documents: bool
    shopify: Shopify


def process_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Process:
    """The process that serves a request or a socket. Read from the state: Litestar's injection costs more than a look-up."""
    return connection.app.state.process
