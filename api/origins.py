"""From which pages a credential may be shown: a browser says in `Origin` whose page it is that asks.

A customer's token is made for pages that are not ours. Those of staff, partners and the platform's people are for our own pages
and for servers, which send no origin: docs/adr/0046.
"""

from typing import Any

from litestar.connection import ASGIConnection
from strawberry.http.websocket_origin import normalize_origin

from domain.errors import Code, DomainError
from domain.settings import settings


class ForeignOrigin(DomainError):
    """A page of somebody else's shows a credential that is for ours."""

    code = Code.ORIGIN_FOREIGN


def check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Raises ForeignOrigin for what a page of another site asks. Whatever is no browser names no page, and is let by."""
    origins = connection.headers.getall("origin", [])
    if not origins:
        return
    own = {normalize_origin(settings().public_url)}
    # A page that this very host has served, by whatever name it was reached: in development by several.
    host = connection.headers.get("host")
    if host:
        own |= {f"{scheme}://{host}".lower() for scheme in ("http", "https")}
    if len(origins) > 1 or origins[0].lower() not in own:
        raise ForeignOrigin("This credential is for LoyalNest's own pages and for servers, not for pages of other sites.")
