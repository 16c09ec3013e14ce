"""The stand-in's doors: Shopify's own paths below /{shop}/admin, and /_control for whoever plays with it.

Shops are addressed by a path instead of a host name, so that one port serves all: LOYALNEST_SHOPIFY_URL=http://…/{shop}.
"""

import hmac
import json
import secrets
import time
from dataclasses import asdict, fields
from typing import Any, TypeVar
from urllib.parse import urlencode

import graphql
import httpx2
import msgspec
from litestar import Litestar, Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from local.shopify_stand_in import admin, checkout, refunds
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.deliveries import Deliveries
from local.shopify_stand_in.faults import Fault, Faults
from local.shopify_stand_in.shop import Json, ShopState

T = TypeVar("T")


class StandIn:
    """All shops of the stand-in, and the app's credentials that they accept."""

    def __init__(self, client_id: str, client_secret: str, http: httpx2.AsyncClient | None = None, hurry: float = 1.0) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.shops: dict[str, ShopState] = {}
        self.faults = Faults()
        self.deliveries = Deliveries(client_secret, http or httpx2.AsyncClient(), hurry)
        self.codes: dict[str, str] = {}

    def shop(self, domain: FromPath[str], currency: str = "USD") -> ShopState:
        """A shop, made when new."""
        return self.shops.setdefault(domain, ShopState(domain, currency))

    def app(self) -> Litestar:
        """The application that serves it."""
        return Litestar(
            [_authorize, _access_token, _graphql, _bulk, _CONTROL],
            openapi_config=None,
            on_shutdown=[self.deliveries.close],
            before_request=self._attach,
            logging_config=None,
        )

    async def _attach(self, request: Request[Any, Any, Any]) -> None:
        request.state.stand_in = self


def _of(request: Request[Any, Any, Any]) -> StandIn:
    return request.state.stand_in


@get("/{domain:str}/admin/oauth/authorize")
async def _authorize(request: Request[Any, Any, Any], domain: FromPath[str]) -> Redirect | Response[Any]:
    """The merchant says yes at once."""
    stand_in, asked = _of(request), request.query_params
    if asked.get("client_id") != stand_in.client_id:
        return Response({"error": "invalid_client"}, status_code=400)
    code = secrets.token_hex(16)
    stand_in.codes[code] = domain
    stand_in.shop(domain).scopes = asked.get("scope", "")
    answer = {"code": code, "shop": domain, "state": asked.get("state", ""), "timestamp": str(int(time.time()))}
    message = "&".join(f"{key}={value}" for key, value in sorted(answer.items()))
    signature = hmac.new(stand_in.client_secret.encode(), message.encode(), "sha256").hexdigest()
    return Redirect(f"{asked['redirect_uri']}?{urlencode({**answer, 'hmac': signature})}")


@post("/{domain:str}/admin/oauth/access_token", status_code=200)
async def _access_token(request: Request[Any, Any, Any], domain: FromPath[str]) -> Response[Any]:
    stand_in = _of(request)
    given: Json = await request.json()
    fault = await stand_in.faults.meet("oauth")
    if fault is not None and fault.kind != "lost":
        return Response({"error": "temporarily_unavailable"}, status_code=503)
    if (given.get("client_id"), given.get("client_secret")) != (stand_in.client_id, stand_in.client_secret):
        return Response({"error": "invalid_client"}, status_code=401)
    shop = stand_in.shop(domain)
    match given.get("grant_type"):
        case "refresh_token":
            pair = shop.refreshed(given.get("refresh_token", ""))
        case "urn:ietf:params:oauth:grant-type:token-exchange":
            shop.tokens.exchanges += 1
            pair = shop.issue() if given.get("subject_token") else None
        case None:
            pair = shop.issue() if stand_in.codes.pop(given.get("code", ""), None) == domain else None
        case _:
            return Response({"error": "unsupported_grant_type"}, status_code=400)
    if pair is None:
        return Response({"error": "invalid_grant"}, status_code=400)
    if fault is not None:
        return Response({"error": "gateway"}, status_code=504)
    return Response(pair)


@post("/{domain:str}/admin/api/{version:str}/graphql.json", status_code=200)
async def _graphql(request: Request[Any, Any, Any], domain: FromPath[str], version: FromPath[str]) -> Response[Any]:
    del version
    stand_in = _of(request)
    shop = stand_in.shop(domain)
    given: Json = await request.json()
    if not shop.allows(request.headers.get("x-shopify-access-token", "")):
        return Response({"errors": "[API] Invalid API key or access token"}, status_code=401)
    document, _ = admin.read(given["query"])
    [operation] = [node for node in document.definitions if isinstance(node, graphql.OperationDefinitionNode)]
    name = operation.name.value if operation.name else ""
    shop.calls[name] = shop.calls.get(name, 0) + 1
    cost, bucket = admin.cost(document), shop.bucket
    fault = await stand_in.faults.meet(name)
    bucket.refill()
    if bucket.left < cost or (fault is not None and fault.kind == "throttled"):
        bucket.throttled += 1
        errors = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
        return Response({"errors": errors, "extensions": _told(shop, cost, None)})
    if fault is not None and fault.kind in _UNDONE:
        return _UNDONE[fault.kind]()
    bucket.left -= cost
    bucket.spent += cost
    result = await admin.execute(shop, given["query"], given.get("variables") or {}, str(request.url).partition("/admin/")[0])
    if fault is not None:
        return Response("gateway", status_code=504) if fault.kind == "lost" else Response("{garbled", status_code=200)
    answer: Json = {"data": result.data, "extensions": _told(shop, cost, cost)}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    return Response(answer)


@get("/{domain:str}/bulk/{number:int}")
async def _bulk(request: Request[Any, Any, Any], domain: FromPath[str], number: FromPath[int]) -> Response[bytes]:
    """A bulk operation's file. Shopify's is elsewhere, at an address that is signed."""
    stand_in = _of(request)
    found = stand_in.shop(domain).bulk.get(number)
    if found is None:
        return Response(b"", status_code=404)
    fault = await stand_in.faults.meet("bulk")
    # Broken off: an answer that ends early looks like a whole one.
    content = found.content[:-1] if fault is not None else found.content
    return Response(content, media_type="application/jsonl")


_UNDONE = {
    "too_many": lambda: Response("busy", status_code=429, headers={"retry-after": "1"}),
    "unavailable": lambda: Response("busy", status_code=503),
    "refused": lambda: Response({"errors": [{"message": "Access denied", "extensions": {"code": "ACCESS_DENIED"}}]}),
}
"""The faults after which nothing has been done."""


def _told(shop: ShopState, requested: float, actual: float | None) -> Json:
    bucket = shop.bucket
    status = {"maximumAvailable": bucket.maximum, "currentlyAvailable": int(bucket.left), "restoreRate": bucket.rate}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


@post("/_control/faults", status_code=200)
async def _faults(request: Request[Any, Any, Any]) -> Json:
    """Add a fault: {"operation": "CodeBasic", "kind": "lost", "times": 2}; or {"latency_ms": 50} for every answer."""
    given = await _given(request, dict[str, Any])
    faults = _of(request).faults
    if set(given) == {"latency_ms"}:
        faults.latency_ms = msgspec.convert(given["latency_ms"], int)
    else:
        faults.coming.append(msgspec.convert(_known(given, Fault), Fault))
    return {"coming": [asdict(one) for one in faults.coming if one.times > 0], "latency_ms": faults.latency_ms}


@post("/_control/deliveries", status_code=200)
async def _deliveries(request: Request[Any, Any, Any]) -> Json:
    """How webhooks come: {"copies": 2, "reorder": true}. What is to be reordered waits for {"reorder": false}."""
    given = await _given(request, dict[str, Any])
    deliveries = _of(request).deliveries
    deliveries.copies = msgspec.convert(given.get("copies", deliveries.copies), int)
    reorder = msgspec.convert(given.get("reorder", deliveries.reorder), bool)
    if not reorder:
        deliveries.release()
    deliveries.reorder = reorder
    return {"copies": deliveries.copies, "reorder": reorder}


@post("/_control/{domain:str}/bucket", status_code=200)
async def _bucket(request: Request[Any, Any, Any], domain: FromPath[str]) -> Json:
    """Change what the shop's plan allows: {"maximum": 20000, "rate": 1000, "left": 0}."""
    given = await _given(request, dict[str, float])
    bucket = _of(request).shop(domain).bucket
    bucket.refill()
    for name in ("maximum", "rate", "left"):
        setattr(bucket, name, float(given.get(name, getattr(bucket, name))))
    return asdict(bucket)


@post("/_control/{domain:str}/customers", status_code=200)
async def _customer(request: Request[Any, Any, Any], domain: FromPath[str]) -> Json:
    """Add a customer by their number."""
    made = _of(request).shop(domain).add_customer(**await _given(request, Json))
    return {"id": made["id"]}


@post("/_control/{domain:str}/checkout", status_code=200)
async def _checkout(request: Request[Any, Any, Any], domain: FromPath[str]) -> Json:
    """Check out: {"customer": 207119551, "lines": [[632910392, 1]], "codes": ["…"], "reservation": "…"}."""
    basket = msgspec.convert(_known(await _given(request, Json), Basket), Basket)
    stand_in = _of(request)
    shop = stand_in.shop(domain)
    order = checkout.check_out(shop, basket)
    payload = {key: value for key, value in order.items() if key != "refused_codes"}
    stand_in.deliveries.tell(shop, "orders/create", payload)
    stand_in.deliveries.tell(shop, "orders/paid", payload)
    return order


@post("/_control/{domain:str}/orders/{number:int}/cancel", status_code=200)
async def _cancel(request: Request[Any, Any, Any], domain: FromPath[str], number: FromPath[int]) -> Json:
    """Cancel an order and give the money back."""
    stand_in = _of(request)
    order = checkout.cancel(stand_in.shop(domain), number)
    stand_in.deliveries.tell(stand_in.shop(domain), "orders/updated", order)
    return order


@post("/_control/{domain:str}/orders/{number:int}/refund", status_code=200)
async def _refund(request: Request[Any, Any, Any], domain: FromPath[str], number: FromPath[int]) -> Json:
    """Take pieces back and give money back: {"lines": [[LINE, 1]], "shipping": true}; {"amount": "5.00"} gives that alone."""
    wanted = msgspec.convert(_known(await _given(request, Json), refunds.Return), refunds.Return)
    stand_in = _of(request)
    order, refund = refunds.refund(stand_in.shop(domain), number, wanted)
    for topic, payload in refunds.events(order, refund):
        stand_in.deliveries.tell(stand_in.shop(domain), topic, payload)
    return {"order": order, "refund": refund}


@get("/_control/{domain:str}")
async def _state(request: Request[Any, Any, Any], domain: FromPath[str]) -> Response[str]:
    """What the shop has."""
    shop = _of(request).shop(domain)
    told = {
        "products": shop.products,
        "customers": {
            number: {"metafields": {f"{space}:{key}": value for (space, key), value in one["metafields"].items()}}
            for number, one in shop.customers.items()
        },
        "discounts": [
            {"id": one.id, "kind": one.kind, "title": one.title, "code": one.code, "used": one.used, "active": one.active}
            for one in shop.discounts.values()
        ],
        "credits": shop.credits,
        "subscriptions": shop.subscriptions,
        "tokens": {"exchanges": shop.tokens.exchanges, "refreshes": shop.tokens.refreshes},
        "calls": shop.calls,
        "bucket": asdict(shop.bucket),
        "orders": sorted(shop.orders),
        "deliveries": _of(request).deliveries.sent,
    }
    return Response(json.dumps(told), media_type="application/json")


async def _given(request: Request[Any, Any, Any], type_: type[T]) -> T:
    """The body, which says what it is: whatever header curl sends with it."""
    return msgspec.json.decode(await request.body(), type=type_)


def _known(given: Json, type_: type[Any]) -> Json:
    """The same. Raises ValueError for what the type does not have, which would else be passed over."""
    names = [one.name for one in fields(type_)]
    if unknown := sorted(given.keys() - set(names)):
        raise ValueError(f"{', '.join(unknown)}: there are {', '.join(names)}")
    return given


def _refuse(_: Request[Any, Any, Any], error: Exception) -> Response[Json]:
    """What whoever plays with it has mistyped is told, and is no fault of the server."""
    told = f"There is no {error} here." if isinstance(error, LookupError) else str(error)
    return Response({"error": told}, status_code=400)


_CONTROL = Router(
    "/",
    route_handlers=[_faults, _deliveries, _bucket, _customer, _checkout, _cancel, _refund, _state],
    exception_handlers=dict.fromkeys([LookupError, TypeError, ValueError, msgspec.MsgspecError], _refuse),
)
