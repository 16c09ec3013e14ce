"""The application: routes, the processes' own tasks, and errors as JSON."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from api import health
from api.doorbells import listen
from api.graphql import graphql_http
from api.install import INSTALL_ROUTES
from api.playground import playground_routes
from api.process import Process
from api.reviews import judgeme_webhook, yotpo_webhook
from api.ring import Ring
from api.socket import GraphQLSocket
from api.sockets import Sockets
from api.throttle import Throttle
from api.tokens import TOKEN_ROUTES
from api.webhooks import shopify_webhook
from domain import db
from domain.damage import Damaged
from domain.errors import Code
from domain.identifiers import new_id
from domain.log import configure, log
from domain.settings import settings
from integrations.shopify import Shopify
from schema.doorbell import Doorbell
from schema.errors import formatted
from workers.due import wake_due
from workers.inbox import work_off_inbox
from workers.relay import relay_outbox

REQUEST_ID_HEADER = "x-request-id"
ANYWHERE = CORSConfig(
    # Shops have domains of their own and extensions have none, and no credential is ever sent by itself, so that a page can do
    # with an answer only what it could have done with the token that it holds. The one cookie is read where Shopify sends a
    # merchant back, and nowhere else. Who shows a credential that is for our own pages is told so (api/origins.py).
    allow_origins=["*"],
    allow_methods=["GET", "POST", "DELETE"],
    allow_headers=["authorization", "content-type", "x-loyalnest-cost", "x-loyalnest-shop"],
    expose_headers=[REQUEST_ID_HEADER],
    max_age=600,
)


async def _begin(request: Request[Any, Any, Any]) -> None:
    request.state.request_id = str(new_id())


async def _tell_request_id(message: Message, scope: Scope) -> None:
    """Every answer carries the request's id; it finds the request in the logs."""
    if message["type"] == "http.response.start":
        request_id = scope["state"].get("request_id")
        if request_id:
            MutableScopeHeaders(message)[REQUEST_ID_HEADER] = str(request_id)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    code = Code.TOO_LARGE if error.status_code == 413 else Code.BAD_INPUT
    if code is Code.TOO_LARGE:
        log.warning("http.too_large", path=request.url.path, request_id=_request_id(request))
    return _error(request, error.status_code, code, error.detail if error.status_code < 500 else "Something went wrong.")


def _bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("http.bug", path=request.url.path, request_id=_request_id(request), exc_info=error)
    return _error(request, 500, Code.INTERNAL, "Something went wrong on our side.")


def _damaged(request: Request[Any, Any, Any], error: Damaged) -> Response[Any]:
    # It passes once it is mended, and until then Shopify is to deliver again.
    return _error(request, 503, error.code, error.message)


def _error(request: Request[Any, Any, Any], status: int, code: Code, message: str) -> Response[Any]:
    request_id = _request_id(request)
    return Response({"errors": [formatted(code, message, request_id)]}, status_code=status)


def _request_id(request: Request[Any, Any, Any]) -> str:
    # Without a route, such as for an unknown path, no request hook has run.
    if "request_id" not in request.state:
        request.state.request_id = str(new_id())
    return str(request.state.request_id)


def create_app() -> Litestar:
    """The application of one process."""
    configured = settings()
    configure(development=configured.environment == "development")
    process = Process(
        Doorbell(),
        wake_inbox=Ring(work_off_inbox.send),
        wake_outbox=Ring(relay_outbox.send),
        wake_due=Ring(wake_due),
        throttle=Throttle(configured.redis_url, configured.cost_bucket, configured.cost_restore_per_s),
        sockets=Sockets(),
        any_documents=configured.documents == "any",
        shopify=Shopify(),
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None, None]:
        await db.open_database(configured.database_url, configured.pool_size)
        tasks = [
            asyncio.create_task(process.wake_inbox.run()),
            asyncio.create_task(process.wake_outbox.run()),
            asyncio.create_task(process.wake_due.run()),
            asyncio.create_task(listen(configured.redis_url, process.doorbell)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await process.shopify.close()
            await process.throttle.close()
            await db.close_database()

    return Litestar(
        route_handlers=[
            graphql_http,
            GraphQLSocket,
            shopify_webhook,
            judgeme_webhook,
            yotpo_webhook,
            *TOKEN_ROUTES,
            *INSTALL_ROUTES,
            health.live,
            health.ready,
            *(playground_routes() if configured.environment == "development" else ()),
        ],
        state=State({"process": process}),
        lifespan=[lifespan],
        before_request=_begin,
        before_send=[_tell_request_id],
        exception_handlers={HTTPException: _http_error, Damaged: _damaged, Exception: _bug},
        cors_config=ANYWHERE,
        openapi_config=None,
        logging_config=None,
    )


app = create_app()
