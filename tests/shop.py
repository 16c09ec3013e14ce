"""A shop for one test: a fresh merchant with a program, and ways to order, deliver and ask."""

import base64
import hmac
import itertools
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from api.auth import customer_token
from domain import customers, db, inbox, merchants, points, programs
from domain.access import PARTNER_SCOPES
from domain.customers import Customer
from domain.merchants import Merchant
from domain.programs import Definition
from domain.scope import Actor, Door, Scope
from local.seed import staff_token
from tests.conftest import CLIENT_SECRET
from workers.inbox import work_off

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""The instant at which most tests take place."""

_numbers = itertools.count(1)


def rate(points_: int, per: int = 1, **more: Any) -> Definition:
    """A program that gives points per whole units of currency."""
    rule = {"id": "purchase", "kind": "per_currency_unit", "rate": {"points": points_, "per": per}}
    return Definition(earning={"rules": [rule], **more.pop("earning", {})}, **more)


@dataclass
class Shop:
    """A merchant and the application that serves them."""

    merchant: Merchant
    application: Any
    at: datetime = NOON
    staff: str = field(default="")

    def scope(self, at: datetime | None = None) -> Scope:
        """LoyalNest's own scope."""
        return Scope(self.merchant.id, Actor(Door.SYSTEM, "test"), at or self.at, "test-request")

    def now(self) -> Scope:
        """LoyalNest's own scope at the present, for what has to do with the world outside."""
        return self.scope(datetime.now(UTC))

    async def publish(self, definition: Definition, at: datetime | None = None) -> int:
        """Publish a program; in force from `at`, by default from long ago."""
        scope = self.scope()
        async with db.transaction(scope):
            await programs.draft_update(scope, definition)
            version = await programs.publish(scope, effective_from=at or NOON - timedelta(days=3650))
        return version.version

    async def customer(self, shopify_id: int | None = None) -> Customer:
        """A customer, made when new."""
        number = shopify_id or 1_000_000 + next(_numbers)
        scope = self.scope()
        async with db.transaction(scope):
            ids = await customers.ensure(scope, [number])
        found = await customers.by_id(scope, ids[number])
        assert found is not None
        return found

    async def balance(self, customer_id: UUID) -> tuple[int, int]:
        """(balance, pending), after checking that both are the sums of the ledger and that the chain holds."""
        from domain.points.verify import Progress, verify  # noqa: PLC0415

        found = await customers.by_id(self.scope(), customer_id)
        assert found is not None
        entries = await points.since(self.scope(), customer_id, 0, 10_000)
        assert found.balance == sum(entry.points for entry in entries)
        assert found.pending == sum(entry.pending for entry in entries)
        assert found.version == len(entries)
        assert await verify(self.scope(), Progress()) is None
        return found.balance, found.pending

    async def deliver(self, topic: str, payload: dict[str, Any], webhook_id: str | None = None) -> None:
        """Store a delivery as the door does."""
        body = json.dumps(payload).encode()
        delivery = inbox.delivery(webhook_id or secrets.token_hex(8), topic, body, None)
        await inbox.receive(self.scope(), delivery)

    async def work(self) -> None:
        """Work off the inbox, twice: the second time there is nothing to do."""
        await work_off(self.scope())
        await work_off(self.scope())

    async def ask(self, query: str, *, token: str | None = None, status: int = 200, **variables: Any) -> dict[str, Any]:
        """A GraphQL answer over HTTP, as staff unless another token is given."""
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
            response = await client.post(
                "/graphql",
                json={"query": query, "variables": variables},
                headers={"authorization": f"Bearer {token or self.staff_token()}"},
            )
        assert response.status_code == status, response.text
        return response.json()

    async def data(self, query: str, *, token: str | None = None, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = await self.ask(query, token=token, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """A raw POST."""
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
            return await client.post(path, content=body, headers=headers)

    async def webhook(self, topic: str, payload: Any, **options: Any) -> httpx.Response:
        """A signed delivery over HTTP."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return await self.post("/webhooks/shopify", body, self.webhook_headers(topic, body, **options))

    def webhook_headers(
        self, topic: str, body: bytes, *, webhook_id: str | None = None, secret: str = CLIENT_SECRET
    ) -> dict[str, str]:
        """The headers that Shopify sends."""
        return {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-hmac-sha256": base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode(),
            "x-shopify-shop-domain": self.merchant.shop_domain,
            "x-shopify-webhook-id": webhook_id or secrets.token_hex(16),
            "x-shopify-triggered-at": "2026-03-02T12:00:00.000000000Z",
        }

    def staff_token(self, lasts: timedelta = timedelta(minutes=1)) -> str:
        """A session token of this shop's admin."""
        return staff_token(self.merchant, datetime.now(UTC), lasts)

    def customer_token(self, customer_id: UUID, lasts: timedelta = timedelta(minutes=5)) -> str:
        """A customer's token."""
        return customer_token(self.merchant, customer_id, datetime.now(UTC), lasts)

    async def partner_key(self, *scopes: str, expires_at: datetime | None = None) -> str:
        """A partner's API key, with every scope unless some are named."""
        scope = self.scope(datetime.now(UTC) if expires_at is None else expires_at - timedelta(seconds=1))
        async with db.transaction(scope):
            _, key = await merchants.api_key_create(scope, name="test", scopes=scopes or PARTNER_SCOPES, expires_at=expires_at)
        return key


async def open_shop(application: Any, currency: str = "USD", *, sandbox: bool = False) -> Shop:
    """A fresh merchant."""
    domain = f"t{secrets.token_hex(8)}.myshopify.com"
    return Shop(await merchants.register(domain, "Test", currency, NOON, sandbox=sandbox), application)


def order(number: int | None = None, *, customer: int | None = None, **changes: Any) -> dict[str, Any]:
    """Shopify's order object: one line of 100.00, paid, unless changed. `price` changes the line's price."""
    price = changes.pop("price", "100.00")
    payload: dict[str, Any] = {
        "id": number or 5_000_000 + next(_numbers),
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
        "currency": "USD",
        "financial_status": "paid",
        "test": False,
        "taxes_included": False,
        "customer": None if customer is None else {"id": customer, "email": "someone@example.com"},
        "email": "someone@example.com",
        "line_items": [line(price=price)],
        "shipping_lines": [],
        "total_tip_received": "0.00",
    }
    return payload | changes


def line(**changes: Any) -> dict[str, Any]:
    """Shopify's line item object."""
    return {
        "id": 9_000_000 + next(_numbers),
        "product_id": 632910392,
        "price": "100.00",
        "quantity": 1,
        "gift_card": False,
        "tax_lines": [],
        "discount_allocations": [],
    } | changes
