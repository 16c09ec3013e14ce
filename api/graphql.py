"""GraphQL over HTTP: a small route of our own, because Strawberry's answers junk with 500 and costs a thread per request."""

from time import perf_counter
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, post
from litestar.status_codes import HTTP_200_OK
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from api.context import caller_of, context_of
from api.trusted import Asked, document_of
from domain.errors import Code, DomainError
from domain.log import log
from schema.errors import formatted
from schema.root import schema

BODY_MAX = 256 * 1024
COST_HEADER = "x-loyalnest-cost"
"""Sent with any value, it asks for the cost in the answer's `extensions`."""
STATUS = {Code.UNAUTHENTICATED: 401, Code.ORIGIN_FOREIGN: 403}
ALLOWED = (OperationType.QUERY, OperationType.MUTATION)


_decoder = msgspec.json.Decoder(Asked)
_encode = msgspec.json.Encoder().encode


@post("/graphql", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX)
async def graphql_http(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer one operation.

    400 for what is no GraphQL request, 401 without a valid credential, 403 for one on a page where it does not belong, else 200.
    """
    request_id: str = request.state.request_id
    begun = perf_counter()
    try:
        caller = await caller_of(request, request_id)
    except DomainError as error:
        return _refuse(STATUS.get(error.code, 400), error.code, error.message, request_id)
    try:
        asked = await _asked(request)
        document = document_of(request, caller, asked)
    except DomainError as error:
        return _refuse(400, error.code, error.message, request_id)
    context = context_of(request, caller, request_id, told=request.headers.get(COST_HEADER) is not None)
    try:
        result = await schema.execute(
            document.text,
            variable_values=asked.variables,
            context_value=context,
            operation_name=asked.operation_name,
            allowed_operation_types=ALLOWED,
        )
    except (MissingQueryError, CannotGetOperationTypeError):
        return _refuse(400, Code.BAD_INPUT, "The document has no such operation, or none at all.", request_id)
    except InvalidOperationTypeError:
        return _refuse(400, Code.BAD_INPUT, "Subscriptions come over a websocket: graphql-transport-ws.", request_id)
    log.info(
        "graphql.answered",
        request_id=request_id,
        merchant_id=str(caller.merchant_id),
        actor=str(caller.actor),
        document=document.name,
        ms=round((perf_counter() - begun) * 1000, 1),
        codes=[(error.extensions or {}).get("code") for error in result.errors or ()],
    )
    return _answer(result)


async def _asked(request: Request[Any, Any, Any]) -> Asked:
    """The body. Raises BAD_INPUT."""
    if request.content_type[0] != "application/json":
        raise DomainError("Send a JSON body: `Content-Type: application/json`.")
    try:
        return _decoder.decode(await request.body())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DomainError('Send a JSON object such as {"query": "{ program { id } }"}.') from error


def _answer(result: ExecutionResult) -> Response[bytes]:
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if result.data is not None or not result.errors:
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    return Response(_encode(body), media_type=MediaType.JSON)


def _refuse(status: int, code: Code, message: str, request_id: str) -> Response[bytes]:
    log.info("graphql.refused", request_id=request_id, status=status, code=code.value)
    return Response(_encode({"errors": [formatted(code, message, request_id)]}), status_code=status, media_type=MediaType.JSON)
