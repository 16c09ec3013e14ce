"""Two demo merchants and a sandbox with all that a client needs to use every door."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec

from api.auth import ALGORITHM, customer_token
from domain import customers, db, inbox, merchants, orders, points, programs
from domain.access import PARTNER_SCOPES
from domain.customers import CustomerSnapshot, Profile
from domain.merchants import Merchant
from domain.programs import Definition, PointsName
from domain.scope import Scope, now, system
from domain.settings import settings

LASTS = timedelta(days=30)
"""How long demo tokens last. Shopify's own session tokens last a minute; `up` writes fresh ones each time."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""The demo programs count orders of any age, so that a sample order of years ago earns."""

STAFF_USER = "90210"

DEMO: list[dict[str, Any]] = [
    {
        "shop_domain": "cedar-demo.myshopify.com",
        "name": "Cedar & Sage",
        "currency": "USD",
        "definition": Definition(
            earning={"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 10, "per": 1}}]},
            points_name=PointsName("Star", "Stars"),
        ),
        "customers": [(207119551, "Bob", "Norman"), (207119552, "Amina", "Haddad")],
    },
    {
        "shop_domain": "sakura-demo.myshopify.com",
        "name": "Sakura Tea",
        "currency": "JPY",
        "definition": Definition(
            earning={"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 1, "per": 100}}]},
            signup_points=200,
            hold_days=14,
            points_name=PointsName("Petal", "Petals"),
        ),
        "customers": [(307119551, "Yuki", "Tanaka"), (307119552, "Ren", "Sato")],
    },
    {
        "shop_domain": "juniper-sandbox.myshopify.com",
        "name": "Juniper Lab",
        "currency": "EUR",
        "sandbox": True,
        "definition": Definition(
            earning={"rules": [{"id": "purchase", "kind": "per_currency_unit", "rate": {"points": 5, "per": 1}}]},
            signup_points=100,
            hold_days=14,
            points_name=PointsName("Berry", "Berries"),
        ),
        "customers": [(407119551, "Lena", "Vogel"), (407119552, "Omar", "Rossi"), (407119553, "Zofia", "Nowak")],
        # Customer, price, days ago, paid: some holds have passed, and the others pass when the clock is advanced.
        "orders": [
            (407119551, "84.50", 40, True),
            (407119551, "19.90", 9, True),
            (407119552, "240.00", 20, True),
            (407119552, "35.00", 13, True),
            (407119553, "59.00", 2, True),
            (407119553, "12.40", 1, False),
        ],
    },
]


async def seed(database_url: str, base_url: str) -> dict[str, Any]:
    """Make what is missing of the demo merchants and return what a client needs. Running it twice is running it once."""
    await db.open_database(database_url, 2)
    try:
        at = now()
        merchants_ = [await _merchant(wanted, at) for wanted in DEMO]
    finally:
        await db.close_database()
    socket_url = base_url.replace("http", "ws", 1)
    return {
        "graphql_url": f"{base_url}/graphql",
        "websocket_url": f"{socket_url}/graphql",
        "webhook_url": f"{base_url}/webhooks/shopify",
        "client_id": settings().shopify_client_id,
        "merchants": merchants_,
    }


async def _merchant(wanted: dict[str, Any], at: datetime) -> dict[str, Any]:
    sandbox: bool = wanted.get("sandbox", False)
    merchant = await merchants.register(wanted["shop_domain"], wanted["name"], wanted["currency"], at, sandbox=sandbox)
    scope = system(merchant.id, clock_offset=merchant.clock_offset)
    async with db.transaction(scope):
        if await programs.live(scope) is None:
            await programs.draft_update(scope, wanted["definition"])
            await programs.publish(scope, effective_from=BEGINNING)
    async with db.transaction(scope):
        arrivals = [
            (
                CustomerSnapshot(shopify_id, scope.at, scope.at),
                Profile(f"{first.lower()}.{last.lower()}@example.com", first, last),
            )
            for shopify_id, first, last in wanted["customers"]
        ]
        known = await customers.by_shopify_id(scope, arrivals[0][0].id)
        if known is None:
            await points.award_signups(scope, await customers.arrive(scope, arrivals))
    await _receive(scope, wanted)
    return {
        "id": f"gid://loyalnest/Merchant/{merchant.id}",
        "name": merchant.name,
        "shop_domain": merchant.shop_domain,
        "currency": merchant.currency,
        "sandbox": merchant.sandbox,
        "client_secret": settings().shopify_client_secret.get_secret_value(),
        "staff_token": staff_token(merchant, at),
        "customers": [await _customer(scope, merchant, shopify_id, at) for shopify_id, *_ in wanted["customers"]],
        "partner_api_key": await _partner_key(scope, at),
    }


async def _partner_key(scope: Scope, at: datetime) -> str:
    async with db.transaction(scope):
        _, key = await merchants.api_key_create(scope, name="demo", scopes=PARTNER_SCOPES, expires_at=at + LASTS)
    return key


async def _receive(scope: Scope, wanted: dict[str, Any]) -> None:
    """Take in a demo merchant's orders as if Shopify had delivered them a minute ago: the workers' first sweep finds them."""
    received = scope.later(scope.at - timedelta(minutes=1))
    for number, (customer, price, days_ago, paid) in enumerate(wanted.get("orders", ()), 4_500_000_001):
        if await orders.by_shopify_id(scope, number) is not None:
            continue
        placed = (scope.at - timedelta(days=days_ago)).isoformat()
        payload = {
            "id": number,
            "created_at": placed,
            "updated_at": placed,
            "currency": wanted["currency"],
            "financial_status": "paid" if paid else "pending",
            "customer": {"id": customer},
            "line_items": [{"id": number, "product_id": 1, "price": price, "quantity": 1}],
        }
        delivery = inbox.delivery(f"seed-{number}", "orders/create", msgspec.json.encode(payload), None)
        await inbox.receive(received, delivery)


async def _customer(scope: Scope, merchant: Merchant, shopify_id: int, at: datetime) -> dict[str, Any]:
    customer = await customers.by_shopify_id(scope, shopify_id)
    assert customer is not None, "the demo customers were made above"
    return {
        "id": f"gid://loyalnest/Customer/{customer.id}",
        "shopify_id": f"gid://shopify/Customer/{shopify_id}",
        "token": customer_token(merchant, customer.id, at, LASTS),
    }


def staff_token(merchant: Merchant, at: datetime, lasts: timedelta = LASTS) -> str:
    """A session token as Shopify's admin would give it to a member of the staff."""
    claims = {
        "iss": f"https://{merchant.shop_domain}/admin",
        "dest": f"https://{merchant.shop_domain}",
        "aud": settings().shopify_client_id,
        "sub": STAFF_USER,
        "exp": at + lasts,
        "nbf": at,
        "iat": at,
        "jti": "demo",
        "sid": "demo",
    }
    return jwt.encode(claims, settings().shopify_client_secret.get_secret_value(), ALGORITHM)
