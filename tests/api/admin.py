"""One of the platform's own people, for a test."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from domain import admins, db
from domain.access import AdminRole
from domain.admins.rules import STEP_S, code_at
from tests.shop import Shop

_numbers = itertools.count(1)
ADDRESS = "127.0.0.1"


@dataclass
class Person:
    """An account, and what its owner knows."""

    shop: Shop
    email: str
    password: str
    secret: bytes
    admin_id: Any
    used: int = 0

    def code(self) -> str:
        """A code that did not open anything yet, as an authenticator shows it now, showed it before, or will show it next."""
        return code_at(self.secret, self._step())

    def _step(self) -> int:
        return max(int(datetime.now(UTC).timestamp()) // STEP_S - 1, self.used + 1)

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """A JSON request."""
        transport = httpx.ASGITransport(app=self.shop.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://loyalnest.test") as client:
            return await client.post(path, json=body, headers=headers)

    async def sign_in(self, **changes: str) -> httpx.Response:
        """Sign in."""
        step = self._step()
        given = {"email": self.email, "password": self.password, "code": code_at(self.secret, step)}
        response = await self.post("/admin/sessions", given | changes)
        if response.status_code == 200:
            self.used = step
        return response

    async def tokens(self) -> dict[str, str]:
        """The tokens of a fresh session."""
        response = await self.sign_in()
        assert response.status_code == 200, response.text
        return response.json()

    async def ask(self, token: str, document: str, shop: str | None = None, **variables: Any) -> dict[str, Any]:
        """A GraphQL answer."""
        headers = {"authorization": f"Bearer {token}"} | ({} if shop is None else {"x-loyalnest-shop": shop})
        response = await self.post("/graphql", {"query": document, "variables": variables}, **headers)
        return response.json()


def secret_of(address: str) -> bytes:
    """The secret in an authenticator's link."""
    import base64  # noqa: PLC0415

    [secret] = parse_qs(urlsplit(address).query)["secret"]
    return base64.b32decode(secret)


async def person(shop: Shop, role: AdminRole = AdminRole.FULL, networks: list[str] | None = None) -> Person:
    """A fresh account."""
    email = f"Person{next(_numbers)}.{shop.merchant.id.hex}@example.com"
    scope = admins.anonymous(datetime.now(UTC), "test-request", "")
    async with db.transaction(scope):
        made = await admins.create(scope, email=email, name="Person", role=role, networks=networks or [])
    return Person(shop, email, made.password, secret_of(made.totp_address), made.admin.id)
