"""Registering a shop and its partners' keys."""

import secrets
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from domain import db, money
from domain.identifiers import new_id
from domain.merchants.queries import Merchant, by_shop_domain
from domain.merchants.tables import ApiKeys

API_KEY_PREFIX = "lnp_"
"""Partners' keys begin with it, so that a leaked one can be recognised by a scanner."""


async def register(shop_domain: str, name: str, currency: str, at: datetime) -> Merchant:
    """The merchant of a shop, made when it is new. Running it twice is running it once. Raises UnknownCurrency."""
    money.require_currency(currency, field=("currency",))
    async with db.reference() as connection:
        await connection.execute(
            """
            insert into merchants (id, shop_domain, name, currency, created_at) values ($1, $2, $3, $4, $5)
            on conflict (shop_domain) do nothing
            """,
            new_id(),
            shop_domain.lower(),
            name,
            currency,
            at,
        )
    merchant = await by_shop_domain(shop_domain)
    assert merchant is not None, "the shop was registered above"
    return merchant


async def api_key_create(merchant_id: UUID, name: str, at: datetime, expires_at: datetime | None = None) -> str:
    """A new partner key in the clear. It can never be shown again: only its hash is kept."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    async with db.reference():
        await ApiKeys.insert(
            ApiKeys(
                id=new_id(),
                merchant_id=merchant_id,
                key_hash=sha256(key.encode()).digest(),
                name=name,
                created_at=at,
                expires_at=expires_at,
                revoked_at=None,
            )
        )
    return key
