"""From a connection to a caller, and from a caller to what resolvers see of them."""

from typing import Any

from litestar.connection import ASGIConnection

from api.auth import Caller, Given, authenticate
from api.origins import check_origin
from api.process import process_of
from api.throttle import CallerAllowance
from domain import scope
from domain.scope import Door
from schema.context import Context

SHOP_HEADER = "x-loyalnest-shop"
"""The domain of the shop that one of the platform's people means. Nobody else can choose."""

Connection = ASGIConnection[Any, Any, Any, Any]


def address_of(connection: Connection) -> str:
    """The address of the client, as the server in front tells it: uvicorn believes only the balancers it is told to."""
    return connection.client.host if connection.client is not None else ""


async def caller_of(connection: Connection, request_id: str, authorization: str | None = None, shop: str | None = None) -> Caller:
    """Who calls: by what is given, or else by the headers.

    Raises Unauthenticated, NOT_FOUND for an unknown shop, and ForeignOrigin.
    """
    headers = connection.headers
    given = Given(
        authorization or headers.get("authorization"), address_of(connection), shop or headers.get(SHOP_HEADER), request_id
    )
    caller = await authenticate(given, scope.now())
    if caller.actor.door is not Door.CUSTOMER:
        check_origin(connection)
    return caller


def context_of(connection: Connection, caller: Caller, request_id: str, *, told: bool = False) -> Context:
    """The context of one operation that begins now. `told` asks for its cost in the answer."""
    process = process_of(connection)
    return Context(
        caller.scope(scope.now(), request_id),
        process.doorbell,
        process.wake_outbox,
        caller.customer_id,
        caller.permissions,
        CallerAllowance(process.throttle, caller.merchant_id, caller.actor, told=told),
        ring_inbox=process.wake_inbox,
        wake=process.wake_due,
    )
