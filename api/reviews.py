"""What Yotpo and Judge.me tell of reviews: checked, stored, answered. The work comes after, found by the sweeper."""

from typing import Any

from litestar import Request, Response, post
from litestar.status_codes import HTTP_200_OK
from msgspec.structs import replace

from domain import actions, merchants, scope
from domain.actions import InvalidReview, Provider
from domain.log import log

BODY_MAX = 1024 * 1024
PROOF_LENGTH_MAX = 500


@post("/webhooks/judgeme", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX, opt={"exclude_from_csrf": True})
async def judgeme_webhook(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Receive a review of Judge.me, for the shop in the address: ?shop=cedar.myshopify.com. Answers as `_receive` says."""
    return await _receive(request, Provider.JUDGEME, request.headers.get("judgeme-hmac-sha256", ""))


@post("/webhooks/yotpo", status_code=HTTP_200_OK, request_max_body_size=BODY_MAX, opt={"exclude_from_csrf": True})
async def yotpo_webhook(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Receive a review of Yotpo, for the shop and with the secret in the address: ?shop=cedar.myshopify.com&key=…."""
    return await _receive(request, Provider.YOTPO, request.query_params.get("key", ""))


async def _receive(request: Request[Any, Any, Any], provider: Provider, proof: str) -> Response[dict[str, str]]:
    """401 when the shop is unknown, has set no secret, or the proof is wrong; 400 when it is no review; 413; else 200.

    The three 401 look alike, so that nobody learns which shops there are.
    """
    body = await request.body()
    merchant = await merchants.by_shop_domain(request.query_params.get("shop", ""))
    if merchant is None or not proof.isascii():
        return _refuse(request, provider, 401, "bad_signature")
    within = replace(scope.system(merchant.id, clock_offset=merchant.clock_offset), request_id=request.state.request_id)
    if not await actions.proves(within, provider, body, proof[:PROOF_LENGTH_MAX]):
        return _refuse(request, provider, 401, "bad_signature")
    try:
        told = actions.read(provider, body)
    except InvalidReview:
        return _refuse(request, provider, 400, "not_a_review")
    return Response({"status": "accepted" if await actions.tell(within, provider, told) else "duplicate"})


def _refuse(request: Request[Any, Any, Any], provider: Provider, status: int, why: str) -> Response[dict[str, str]]:
    log.warning("review.refused", provider=provider.value, status=status, why=why, request_id=request.state.request_id)
    return Response({"status": why}, status_code=status)
