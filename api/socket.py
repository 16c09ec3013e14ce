"""GraphQL over websockets: Strawberry's graphql-transport-ws, with our credentials, our reading of junk, and an end."""

import asyncio
import json
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import asyncpg
import msgspec
import strawberry
from litestar import WebSocket, websocket
from litestar.di import NamedDependency, Provide
from litestar.types import Dependencies
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.litestar.controller import GraphQLController
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ConnectionInitMessage, Message, SubscribeMessage

from api.auth import Caller, on_time
from api.context import address_of, caller_of, context_of
from api.process import process_of
from api.trusted import Asked, document_of
from domain import scope
from domain.errors import Code, DomainError
from domain.identifiers import new_id
from domain.log import log
from schema.context import Context
from schema.errors import formatted
from schema.root import schema

Socket: TypeAlias = "WebSocket[Any, Any, Any]"

INIT_WAIT = timedelta(seconds=5)
SUBSCRIPTIONS_MAX = 100
EXPIRED = 4401
TRY_LATER = 1013
STALLED = 4440
STALLED_AFTER_S = 10.0
"""How long a message may wait for a peer that does not read. The server's own pings wait behind it, and would wait for ever."""
RECHECK_S = 5.0
"""How long a socket may outlive its revoked credential."""
pause = asyncio.sleep
"""How the watch of a credential waits: a test lets its own time pass."""


class SocketContext:
    """What a socket knows before its operations: the credential of its first message, once that has been shown."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.connection_params: dict[str, Any] | None = None
        self.caller: Caller | None = None
        self.address = address_of(socket)
        self.credential: str | None = None
        self.request_id = str(new_id())

    async def admit(self) -> None:
        """Take the credential from the first message, or from the handshake's headers. Raises its refusal."""
        caller = await self._caller()
        credential = f"{caller.merchant_id}/{caller.actor}"
        process_of(self.socket).sockets.admit(self.address, credential)
        self.caller, self.credential = caller, credential
        log.info("socket.admitted", request_id=self.request_id, merchant_id=str(caller.merchant_id), actor=str(caller.actor))

    async def still_valid(self) -> bool:
        """Whether the credential would be taken again, for as much as before: it may have been revoked, or the role taken."""
        assert self.caller is not None, "only an admitted socket is watched"
        try:
            now = await self._caller()
        except DomainError:
            return False
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Nothing can be read while the database is away, so that nothing can be seen: asked again in a moment.
            log.warning("socket.unchecked", error=type(error).__name__)
            return True
        same = (now.merchant_id, now.permissions) == (self.caller.merchant_id, self.caller.permissions)
        self.caller = now
        return same

    async def _caller(self) -> Caller:
        given = self.connection_params or {}
        authorization, shop = given.get("authorization"), given.get("shop")
        return await caller_of(
            self.socket,
            self.request_id,
            authorization if isinstance(authorization, str) else None,
            shop if isinstance(shop, str) else None,
        )

    def operation(self, caller: Caller) -> Context:
        """The context of one operation: it begins now, and has read nothing yet."""
        return context_of(self.socket, caller, self.request_id)


class Handler(BaseGraphQLTransportWSHandler[Any, Any]):
    """Strawberry's handler, which gives every operation a context of its own, and ends with the credential."""

    _watch: "asyncio.Task[None] | None" = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sending = asyncio.Lock()

    @property
    def context(self) -> Any:
        """The socket's context until the caller is admitted, then a fresh one for each operation."""
        caller = self._socket_context.caller
        return self._socket_context if caller is None else self._socket_context.operation(caller)

    @context.setter
    def context(self, value: Any) -> None:
        self._socket_context: SocketContext = value

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Admit the caller, and from then on watch the credential's end."""
        await super().handle_connection_init(message)
        if self._socket_context.caller is not None and self._watch is None:
            self._watch = asyncio.create_task(self._close_with(self._socket_context.caller))

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, unless too many are going on, by the merchant's clock as it is now: a sandbox's may have moved."""
        if self.connection_acknowledged and len(self.operations) >= SUBSCRIPTIONS_MAX and message["id"] not in self.operations:
            text = f"A socket has at most {SUBSCRIPTIONS_MAX} operations at a time."
            await self._refuse(message, Code.THROTTLED, text)
            return
        if self._socket_context.caller is not None:
            self._socket_context.caller = await on_time(self._socket_context.caller)
            try:
                asked = msgspec.convert(message["payload"], Asked)
                document = document_of(self._socket_context.socket, self._socket_context.caller, asked)
            except DomainError as error:
                await self._refuse(message, error.code, error.message)
                return
            message["payload"]["query"] = document.text
        await super().handle_subscribe(message)

    async def _refuse(self, message: SubscribeMessage, code: Code, text: str) -> None:
        payload: Any = [formatted(code, text, self.context.scope.request_id)]
        await self.send_message({"id": message["id"], "type": "error", "payload": payload})

    async def send_message(self, message: Message) -> None:
        """Send, and close when the peer does not read: what waits for it is then one message for each of its operations."""
        # One at a time: the server's protocol takes it for a bug when two wait for one peer.
        async with self._sending:
            try:
                async with asyncio.timeout(STALLED_AFTER_S):
                    await super().send_message(message)
            except TimeoutError:
                log.warning("socket.stalled", request_id=self._socket_context.request_id, operations=len(self.operations))
                await self.websocket.close(code=STALLED, reason="Messages are not read")
                raise WebSocketDisconnected from None
            except (OSError, RuntimeError) as error:
                # The server's words for a connection that has just been lost or closed, where Strawberry expects Litestar's.
                raise WebSocketDisconnected from error

    async def handle_task_exception(self, error: Exception) -> None:
        """Log a bug. That the client has gone is none."""
        if not isinstance(error, WebSocketDisconnected):
            log.error("socket.bug", request_id=self._socket_context.request_id, exc_info=error)

    async def shutdown(self) -> None:
        """End the operations, and the watch with them."""
        if self._watch is not None:
            self._watch.cancel()
        await super().shutdown()

    async def _close_with(self, caller: Caller) -> None:
        """Close when the credential expires, or soon after it was revoked."""
        while True:
            left = RECHECK_S if caller.expires_at is None else (caller.expires_at - scope.now()).total_seconds()
            await pause(min(left, RECHECK_S) if caller.revocable else left)
            expired = caller.expires_at is not None and caller.expires_at <= scope.now()
            if expired or (caller.revocable and not await self._socket_context.still_valid()):
                break
        # Nothing more is told, and what waits for a peer that does not read waits no longer.
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        async with self._sending:
            await self.websocket.close(code=EXPIRED, reason="The credential has expired")


def _socket_context(socket: Socket) -> SocketContext:
    return SocketContext(socket)


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
    graphql_transport_ws_handler_class = Handler
    # Storefronts have domains of their own. Which credential a page may show is told once it has shown one (api/origins.py).
    allowed_origins = frozenset({"*"})
    graphql_ide = None
    dependencies: ClassVar[Dependencies] = {
        "context_ws": Provide(_socket_context, sync_to_thread=False),
        "root_value": Provide(lambda: None, sync_to_thread=False),
    }

    @websocket()
    async def websocket_endpoint(
        self, socket: Socket, context_ws: NamedDependency[Any], root_value: NamedDependency[Any]
    ) -> None:
        """Serve one socket, if there is room for it."""
        admitted: SocketContext = context_ws
        sockets = process_of(socket).sockets
        if not sockets.enter(admitted.address):
            # Before it is accepted, which the client sees as 403.
            await socket.close(code=TRY_LATER)
            return
        try:
            await self.run(request=socket, context=context_ws, root_value=root_value)
        finally:
            sockets.leave(admitted.address, admitted.credential)

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
                msgspec.convert(checked.payload, Asked)
            elif checked.type == "complete" and checked.id is None:
                raise msgspec.ValidationError("a completion needs an id")
        except (msgspec.DecodeError, RecursionError) as error:
            raise json.JSONDecodeError("no message of graphql-transport-ws", "", 0) from error
        return message

    def encode_json(self, data: object) -> bytes:
        """Messages as msgspec writes them."""
        return msgspec.json.encode(data)

    async def on_ws_connect(self, context: Any) -> Any:
        """Admit the caller, or close with 4403."""
        socket_context: SocketContext = context
        try:
            await socket_context.admit()
        except DomainError as error:
            raise ConnectionRejectionError from error
        return strawberry.UNSET
