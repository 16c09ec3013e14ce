"""GraphQL over websockets: Strawberry's graphql-transport-ws, with our credentials, our reading of junk, and an end."""

import asyncio
import json
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import msgspec
import strawberry
from litestar import WebSocket, websocket
from litestar.di import NamedDependency, Provide
from litestar.types import Dependencies
from strawberry.exceptions import ConnectionRejectionError
from strawberry.litestar.controller import GraphQLController
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from api.auth import Caller, Unauthenticated, authenticate
from api.ring import Ring
from domain import scope
from domain.identifiers import new_id
from schema.context import Context
from schema.doorbell import Doorbell
from schema.root import schema

Socket: TypeAlias = "WebSocket[Any, Any, Any]"

INIT_WAIT = timedelta(seconds=5)
SUBSCRIPTIONS_MAX = 100
EXPIRED = 4401


class SocketContext:
    """What a socket knows: nothing until its first message has shown a credential, and then what a request knows."""

    def __init__(self, socket: Socket, doorbell: Doorbell, ring: Ring) -> None:
        self.socket = socket
        self.connection_params: dict[str, Any] | None = None
        self.doorbell = doorbell
        self.ring = ring
        self.caller: Caller | None = None
        self.request_id = str(new_id())
        self._context: Context | None = None

    def __getattr__(self, name: str) -> Any:
        # Resolvers see a request's context. A subscription outlives its beginning, but each event is read at its own time.
        context = object.__getattribute__(self, "_context")
        if context is None:
            raise AttributeError(name)
        return getattr(context, name)

    async def admit(self) -> None:
        """Take the credential from the first message, or from the handshake's headers. Raises Unauthenticated."""
        given = (self.connection_params or {}).get("authorization") or self.socket.headers.get("authorization")
        self.caller = await authenticate(given if isinstance(given, str) else None, now := scope.now())
        self._context = Context(self.caller.scope(now, self.request_id), self.doorbell, self.ring, self.caller.customer_id)


def _socket_context(socket: Socket, doorbell: NamedDependency[Doorbell], wake_outbox: NamedDependency[Ring]) -> SocketContext:
    return SocketContext(socket, doorbell, wake_outbox)


class _Payload(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 -- the protocol's own name


class _Message(msgspec.Struct):
    type: str
    id: str | None = None
    payload: Any = None


class GraphQLSocket(GraphQLController[Any, Any]):
    """The websocket half of Strawberry's controller; HTTP is ours (api/graphql.py)."""

    path = "/graphql"
    schema = schema
    protocols = (GRAPHQL_TRANSPORT_WS_PROTOCOL,)
    connection_init_wait_timeout = INIT_WAIT
    max_subscriptions_per_connection = SUBSCRIPTIONS_MAX
    graphql_ide = None
    dependencies: ClassVar[Dependencies] = {
        "context_ws": Provide(_socket_context, sync_to_thread=False),
        "root_value": Provide(lambda: None, sync_to_thread=False),
    }

    @websocket()
    async def websocket_endpoint(
        self, socket: Socket, context_ws: NamedDependency[Any], root_value: NamedDependency[Any]
    ) -> None:
        """Serve one socket."""
        await self.run(request=socket, context=context_ws, root_value=root_value)

    handle_http_get = None  # pyright: ignore[reportAssignmentType] -- taken out
    handle_http_post = None  # pyright: ignore[reportAssignmentType] -- taken out

    def decode_json(self, data: str | bytes) -> object:
        """A message of the protocol. What is none is reported as no JSON, which closes the socket with 4400."""
        try:
            message = msgspec.json.decode(data)
            checked = msgspec.convert(message, _Message)
            if checked.type == "subscribe":
                if checked.id is None:
                    raise msgspec.ValidationError("a subscription needs an id")
                msgspec.convert(checked.payload, _Payload)
            elif checked.type == "complete" and checked.id is None:
                raise msgspec.ValidationError("a completion needs an id")
        except (msgspec.DecodeError, RecursionError) as error:
            raise json.JSONDecodeError("no message of graphql-transport-ws", "", 0) from error
        return message

    def encode_json(self, data: object) -> bytes:
        """Messages as msgspec writes them."""
        return msgspec.json.encode(data)

    async def on_ws_connect(self, context: Any) -> Any:
        """Admit the caller, or close with 4403; and close with 4401 when the credential ends."""
        socket_context: SocketContext = context
        try:
            await socket_context.admit()
        except Unauthenticated as error:
            raise ConnectionRejectionError from error
        caller = socket_context.caller
        assert caller is not None, "admitted above"
        if caller.expires_at is not None:
            left = (caller.expires_at - scope.now()).total_seconds()
            asyncio.get_running_loop().call_later(max(left, 0), _close_expired, socket_context.socket)
        return strawberry.UNSET


_closing: set[asyncio.Task[None]] = set()


def _close_expired(socket: Socket) -> None:
    async def close() -> None:
        if socket.connection_state != "disconnect":
            await socket.close(code=EXPIRED, reason="The credential has expired")

    task = asyncio.ensure_future(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
