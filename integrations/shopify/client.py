"""Shopify's Admin API: one call, with its token, within its cost, tried again where that is safe."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import redis.asyncio
import stamina

from domain import merchants
from domain.log import log
from domain.scope import Scope
from domain.settings import settings
from integrations.shopify.breaker import Breaker
from integrations.shopify.errors import NotInstalled, Refused, ShopifyError, Throttled, Unanswered
from integrations.shopify.oauth import base_url
from integrations.shopify.operations import API_VERSION, operations, root_field
from integrations.shopify.throttle import Status, Throttle
from integrations.shopify.tokens import token

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=50)
ATTEMPTS = 4
RETRY_S = 15.0
"""No call is tried again after this many seconds: who waits for it has others to see to, and comes back to it."""

FIRST_COST = 20.0
"""What an operation is taken to cost until Shopify has said it once."""


class _Throttle(msgspec.Struct, rename="camel"):
    maximum_available: float
    currently_available: float
    restore_rate: float


class _Cost(msgspec.Struct, rename="camel"):
    requested_query_cost: float
    throttle_status: _Throttle
    actual_query_cost: float | None = None


class _Extensions(msgspec.Struct):
    cost: _Cost | None = None


class _Answer(msgspec.Struct):
    data: dict[str, Any] | None = None
    errors: Any = None
    extensions: _Extensions | None = None


def client() -> httpx2.AsyncClient:
    """An HTTP client that goes where it is sent, and no further: a redirect is an answer that cannot be used."""
    return httpx2.AsyncClient(timeout=TIMEOUT, limits=LIMITS, follow_redirects=False)


@dataclass
class Shopify:
    """A process's way to the shops. Make one per event loop, and close it."""

    http: httpx2.AsyncClient = field(default_factory=client)
    cache: "redis.asyncio.Redis" = field(
        default_factory=lambda: redis.asyncio.Redis.from_url(settings().redis_url, socket_timeout=2, socket_connect_timeout=2)
    )
    _breakers: dict[UUID, Breaker] = field(default_factory=dict)
    _costs: dict[str, float] = field(default_factory=dict)
    _shops: dict[UUID, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._throttle = Throttle(self.cache)

    async def close(self) -> None:
        """Close what is open."""
        await self.http.aclose()
        await self.cache.aclose()

    async def call(self, scope: Scope, operation: str, *, repeatable: bool = True, **variables: Any) -> Any:
        """What the operation's root field answers.

        repeatable: whether a call that was not answered may be made again; throttled ones always are, Shopify did nothing.
        Raises Refused (also for the first of `userErrors`), Throttled, Unanswered, NotSent or NotInstalled.
        """

        def again(error: Exception) -> bool | timedelta:
            if isinstance(error, Throttled):
                return timedelta(seconds=error.wait_s)
            return repeatable and isinstance(error, Unanswered)

        async for attempt in stamina.retry_context(
            on=again, attempts=ATTEMPTS, timeout=RETRY_S, wait_initial=0.2, wait_max=3.0, wait_jitter=0.5
        ):
            with attempt:
                return await self._once(scope, operation, variables)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, scope: Scope, operation: str, variables: dict[str, Any]) -> Any:
        shop = await self._shop(scope.merchant_id)
        found = await token(scope, self.http, shop)
        breaker = self._breakers.setdefault(scope.merchant_id, Breaker())
        hold = await self._throttle.take(scope.merchant_id, self._costs.get(operation, FIRST_COST))
        answer: _Answer | None = None
        try:
            with breaker.call():
                response = await self._post(shop, found.access_token, operation, variables)
                if response.status_code == 401:
                    # Revoked, or renewed by hand: one renewal, and this call is over; who repeats has the new one.
                    await token(scope, self.http, shop, not_revision=found.revision)
                    response = await self._post(shop, (await token(scope, self.http, shop)).access_token, operation, variables)
                answer = _read(response)
        finally:
            await self._throttle.give_back(scope.merchant_id, hold, _status(answer))
        assert answer is not None, "a call without an answer has raised"
        return self._result(operation, answer)

    async def address(self, scope: Scope) -> str:
        """Where the API of the merchant's shop is. Raises NotInstalled."""
        return base_url(await self._shop(scope.merchant_id))

    async def introduce(self, shop: str, access_token: str) -> dict[str, Any]:
        """What a shop says of itself to a token that is not kept yet. Raises ShopifyError."""
        response = await self._post(shop, access_token, "ShopInfo", {})
        return self._result("ShopInfo", _read(response))

    async def _post(self, shop: str, access_token: str, operation: str, variables: dict[str, Any]) -> httpx2.Response:
        try:
            return await self.http.post(
                f"{base_url(shop)}/admin/api/{API_VERSION}/graphql.json",
                content=msgspec.json.encode({"query": operations()[operation], "variables": variables}),
                headers={"content-type": "application/json", "x-shopify-access-token": access_token},
            )
        except httpx2.TransportError as error:
            raise Unanswered(type(error).__name__) from error

    async def _shop(self, merchant_id: UUID) -> str:
        if merchant_id not in self._shops:
            merchant = await merchants.by_id(merchant_id)
            if merchant is None:
                raise NotInstalled("There is no such merchant.")
            self._shops[merchant_id] = merchant.shop_domain
        return self._shops[merchant_id]

    def _result(self, operation: str, answer: _Answer) -> Any:
        if answer.extensions is not None and answer.extensions.cost is not None:
            self._costs[operation] = answer.extensions.cost.requested_query_cost
        for code, message in _errors(answer.errors):
            if code == "THROTTLED":
                raise Throttled(_wait(answer))
            if code == "INTERNAL_SERVER_ERROR":
                raise Unanswered(code)
            raise Refused(code, message)
        result = _object(answer.data).get(root_field(operation))
        for refusal in _list(_object(result).get("userErrors")):
            raise Refused(str(_object(refusal).get("code") or "INVALID"), str(_object(refusal).get("message")))
        return result


def _read(response: httpx2.Response) -> _Answer:
    status = response.status_code
    if status == 429:
        raise Throttled(_retry_after(response))
    if status in (401, 402, 403, 404, 423):
        # Frozen, closed or locked shops, and apps without access: nothing that passes by trying again.
        raise Refused(f"HTTP_{status}", "The shop's API is closed to the app.")
    if status != 200:
        raise Unanswered(f"HTTP {status}")
    try:
        return msgspec.json.decode(response.content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unanswered("the answer cannot be read") from error


def _retry_after(response: httpx2.Response) -> float:
    try:
        return min(10.0, max(1.0, float(response.headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0


def _errors(errors: Any) -> Iterator[tuple[str, str]]:
    """(code, message) of each top-level error, whatever shape they have."""
    for error in _list(errors):
        told = _object(error)
        yield str(_object(told.get("extensions")).get("code") or "INVALID"), str(told.get("message") or error)


def _list(value: Any) -> list[Any]:
    if not value:
        return []
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _status(answer: _Answer | None) -> Status | None:
    if answer is None or answer.extensions is None or answer.extensions.cost is None:
        return None
    told = answer.extensions.cost.throttle_status
    # What Shopify has not carried out has no actual cost.
    return Status(
        told.maximum_available, told.currently_available, told.restore_rate, answer.extensions.cost.actual_query_cost or 0
    )


def _wait(answer: _Answer) -> float:
    """Seconds until a throttled call has enough: at least one, as Shopify asks."""
    cost = answer.extensions.cost if answer.extensions else None
    if cost is None or cost.throttle_status.restore_rate <= 0:
        return 1.0
    missing = cost.requested_query_cost - cost.throttle_status.currently_available
    return min(10.0, max(1.0, missing / cost.throttle_status.restore_rate))


def tell(error: ShopifyError, scope: Scope, doing: str) -> None:
    """One line in the log about a call that failed."""
    log.warning("shopify.failed", doing=doing, error=type(error).__name__, what=str(error), merchant_id=str(scope.merchant_id))
