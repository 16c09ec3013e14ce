"""A shop, its processes, and canaries sent through every door."""

import hmac
import json
import os
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import asyncpg
import httpx
import jwt
import websockets

from domain import installations, keyring
from domain.settings import settings
from local.shopify_stand_in import checkout
from local.shopify_stand_in.checkout import Basket
from local.shopify_stand_in.server import StandIn
from local.shopify_stand_in.shop import ShopState
from tests.api.admin import person
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.e2e.canaries import Canaries, word
from tests.e2e.processes import Running
from tests.e2e.test_redemption import REDEEM, until_balance, until_status
from tests.rewards import offer
from tests.shop import NOON, Shop, line, order
from tests.stand_in import COAT

Connection = asyncpg.Connection  # type: ignore[type-arg]


@dataclass
class Drive:
    """One shop, its processes, and what they have answered."""

    shop: Shop
    processes: Running
    stand_in: StandIn
    there: ShopState
    canaries: Canaries
    refusals: list[bytes] = field(default_factory=list)
    """What those were answered whose call was refused."""

    async def send(self, method: str, path: str, *, status: set[int], body: bytes = b"", **headers: str) -> httpx.Response:
        """A request, which is answered with one of these."""
        async with httpx.AsyncClient(base_url=self.processes.url) as client:
            response = await client.request(method, path, content=body, headers=headers)
        assert response.status_code in status, (path, response.text)
        if response.status_code >= 400:
            self.refusals.append(response.content)
        return response

    async def deliver(self, topic: str, payload: Any, status: int = 200, **headers: str) -> None:
        """A signed webhook."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.send(
            "POST", "/webhooks/shopify", status={status}, body=body, **(self.shop.webhook_headers(topic, body) | headers)
        )

    async def ask(self, query: str, token: str, /, **variables: Any) -> dict[str, Any]:
        """A GraphQL answer, as it comes."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        response = await self.send(
            "POST",
            "/graphql",
            status={200, 400, 401},
            body=body,
            **{"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        return response.json()


def buyer(canaries: Canaries, who: str) -> dict[str, Any]:
    """All that Shopify says of a person."""
    of = {
        name: canaries.text(f"{who}'s {name}")
        for name in ("email", "phone", "first name", "last name", "street", "city", "company")
    }
    address = {
        "first_name": of["first name"],
        "last_name": of["last name"],
        "address1": f"1 {of['street']} Street",
        "city": of["city"],
        "company": of["company"],
        "phone": of["phone"],
        "name": f"{of['first name']} {of['last name']}",
        "latitude": 1.5,
    }
    return {
        "id": int(time.time_ns() % 10**15),
        "email": f"{of['email']}@Example.com",
        "phone": of["phone"],
        "first_name": of["first name"],
        "last_name": of["last name"],
        "note": canaries.text(f"{who}'s note"),
        "tags": canaries.text(f"{who}'s tags"),
        "multipass_identifier": canaries.text(f"{who}'s multipass"),
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
        "state": "enabled",
        "addresses": [address],
        "default_address": address,
    }


def bought(canaries: Canaries, by: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An order with everything in it that says who bought."""
    address = by["default_address"]
    told = {
        "email": by["email"],
        "contact_email": by["email"],
        "phone": by["phone"],
        "customer": by,
        "billing_address": address,
        "shipping_address": address,
        "browser_ip": canaries.text("address of a browser"),
        "token": canaries.text("token of an order"),
        "checkout_token": canaries.text("token of a checkout"),
        "cart_token": canaries.text("token of a cart"),
        "note": canaries.text("note of an order"),
        "note_attributes": [{"name": "gift for", "value": canaries.text("note attribute")}],
        "client_details": {"user_agent": canaries.text("user agent")},
        "order_status_url": f"https://shop.test/{canaries.text('status url')}",
        "landing_site": f"/?email={canaries.text('landing site')}",
        "payment_details": {"credit_card_number": canaries.text("card"), "credit_card_name": canaries.text("card holder")},
        "line_items": [line(properties=[{"name": "engraving", "value": canaries.text("engraving")}], title="Coat")],
    }
    return order(customer=by["id"]) | told | changes


async def through_webhooks(drive: Drive) -> int:
    """Deliveries that are taken, and deliveries that are spoilt. Returns the number of the customer who stays."""
    canaries = drive.canaries
    ann, bea, guest = (buyer(canaries, who) for who in ("Ann", "Bea", "a guest"))
    for one in (ann, bea):
        await drive.deliver("customers/create", one)
        await drive.deliver("customers/update", one | {"updated_at": (NOON + timedelta(hours=1)).isoformat()})
    paid = bought(canaries, ann)
    await drive.deliver("orders/create", paid)
    await drive.deliver("orders/create", bought(canaries, guest, customer=None))
    payment = {"id": 1, "order_id": paid["id"], "kind": "sale", "status": "success", "amount": "1.00", "currency": "USD"}
    receipt = {"receipt": {"card": canaries.text("receipt")}, "payment_details": {"credit_card_bin": canaries.text("bin")}}
    await drive.deliver("order_transactions/create", payment | receipt | {"processed_at": NOON.isoformat(), "gateway": "visa"})
    refund = {"id": 5, "order_id": paid["id"], "note": canaries.text("note of a refund"), "created_at": NOON.isoformat()}
    await drive.deliver("refunds/create", refund | {"refund_line_items": [], "transactions": [], "order_adjustments": []})
    told = {"shop_id": 1, "shop_domain": drive.shop.merchant.shop_domain}
    who = {"customer": {name: ann[name] for name in ("id", "email", "phone")}}
    await drive.deliver("customers/data_request", told | who | {"orders_requested": [paid["id"]], "data_request": {"id": 9}})
    await drive.deliver("customers/redact", told | {"customer": {"id": bea["id"], "email": bea["email"]}, "orders_to_redact": []})
    spoilt = [
        {"currency": canaries.text("currency that is none")},
        {"created_at": canaries.text("instant that is none")},
        {"line_items": [line(price=canaries.text("price that is none"))]},
        {"line_items": canaries.text("lines that are none")},
        {"id": canaries.text("id that is none")},
        {"customer": {"id": canaries.text("customer that is none")}},
        {"financial_status": canaries.text("status that is none") + "\0"},
    ]
    for changes in spoilt:
        await drive.deliver("orders/updated", bought(canaries, ann, **changes))
    for broken in ({"email": {"a": canaries.text("email that is none")}}, {"first_name": canaries.text("name") + "\0"}):
        await drive.deliver("customers/update", ann | {"updated_at": (NOON + timedelta(hours=2)).isoformat()} | broken)
    await drive.deliver("orders/create", canaries.text("no JSON").encode(), status=400)
    await drive.deliver("orders/create", json.dumps([canaries.text("a list")]).encode(), status=400)
    unsigned = {"email": canaries.text("unsigned")}
    await drive.deliver("orders/create", unsigned, status=401, **{"x-shopify-hmac-sha256": canaries.text("signature")})
    number: int = ann["id"]
    return number


async def through_reviews(drive: Drive) -> None:
    """Reviews with their writers, of a provider whose secret staff have set."""
    canaries, domain = drive.canaries, drive.shop.merchant.shop_domain
    secret = canaries.text("secret of Judge.me")
    set_secret = """mutation ($secret: String!) {
        reviewSourceSet(provider: JUDGEME, secret: $secret) { userErrors { code } }
    }"""
    answer = await drive.ask(set_secret, drive.shop.staff_token(), secret=secret)
    assert answer == {"data": {"reviewSourceSet": {"userErrors": []}}}
    reviewer = {name: canaries.text(f"reviewer's {name}") for name in ("name", "phone")}
    review = {
        "id": 81,
        "rating": 5,
        "source": "web",
        "curated": "ok",
        "published": True,
        "hidden": False,
        "verified": "buyer",
        "title": canaries.text("title of a review"),
        "body": canaries.text("text of a review"),
        "ip_address": canaries.text("reviewer's address"),
        "product_external_id": 1,
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
        "reviewer": {"id": 4, "external_id": 7, "email": f"{canaries.text('reviewer')}@example.com", **reviewer},
    }
    for changes, status in (({}, 200), ({"created_at": canaries.text("review that is none")}, 400)):
        body = json.dumps({"event": "review/created", "review": review | changes}).encode()
        proof = hmac.digest(secret.encode(), body, "sha256").hex()
        path = f"/webhooks/judgeme?shop={domain}"
        await drive.send("POST", path, status={status}, body=body, **{"judgeme-hmac-sha256": proof})
    await drive.send("POST", f"/webhooks/yotpo?shop={domain}&key={canaries.text('key of Yotpo')}", status={401}, body=body)


async def through_tokens(drive: Drive) -> None:
    """Every exchange of credentials, right and wrong. What was given and what was got are canaries both."""
    canaries, shop = drive.canaries, drive.shop
    for path in ("/tokens/customer", "/tokens/staff"):
        await drive.send("POST", path, status={401}, authorization=f"Bearer {canaries.text(f'{path} wrong')}")
    session = shop.staff_token()
    canaries.secret("session token of Shopify", session.rpartition(".")[2])
    got = (await drive.send("POST", "/tokens/staff", status={200}, authorization=f"Bearer {session}")).json()["token"]
    canaries.secret("staff token", got.rpartition(".")[2])
    now = int(time.time())
    claims = {"dest": shop.merchant.shop_domain, "aud": CLIENT_ID, "nbf": now - 1, "iat": now - 1, "exp": now + 60}
    extension = jwt.encode(claims | {"sub": "gid://shopify/Customer/77001"}, CLIENT_SECRET, "HS256")
    canaries.secret("extension token", extension.rpartition(".")[2])
    got = (await drive.send("POST", "/tokens/customer", status={200}, authorization=f"Bearer {extension}")).json()["token"]
    canaries.secret("customer token", got.rpartition(".")[2])
    proxied = {"shop": shop.merchant.shop_domain, "logged_in_customer_id": "77001", "timestamp": str(now)}
    signature = hmac.digest(
        CLIENT_SECRET.encode(), "".join(f"{k}={v}" for k, v in sorted(proxied.items())).encode(), "sha256"
    ).hex()
    canaries.secret("signature of the app proxy", signature)
    query = "&".join(f"{name}={quote(value)}" for name, value in (proxied | {"signature": signature}).items())
    await drive.send("GET", f"/proxy/token?{query}", status={200})
    await drive.send("GET", f"/proxy/token?{query}&email={canaries.text('query of the app proxy')}", status={401})
    stranger = {name: canaries.text(f"stranger's {name}") for name in ("email", "password", "code")}
    await drive.send("POST", "/admin/sessions", status={401}, body=json.dumps(stranger).encode())
    await drive.send("POST", "/admin/sessions/refresh", status={400}, body=canaries.text("no JSON of an admin").encode())


async def through_admins(drive: Drive) -> None:
    """One of our own people, from the first password on."""
    canaries = drive.canaries
    admin = await person(drive.shop)
    canaries.secret("admin's email", admin.email.lower().partition("@")[0].partition(".")[2])
    canaries.secret("admin's password", admin.password)
    canaries.secret("admin's authenticator", admin.secret)
    for _ in range(2):
        got = await admin.tokens()
        canaries.secret("admin's token", got["token"].rpartition(".")[2])
        canaries.secret("admin's refresh token", got["refreshToken"])
    made = await admin.ask(
        got["token"],
        """mutation ($email: String!) {
            adminCreate(email: $email, name: "N", role: SUPPORT) { password totpUrl userErrors { code } }
        }""",
        email=f"{canaries.text('new admin')}@example.com",
    )
    canaries.secret("new admin's password", made["data"]["adminCreate"]["password"])


COMMANDS = """mutation ($id: ID!, $reason: String!, $key: String!) {
    pointsAdjust(customerId: $id, points: 5, reason: $reason, idempotencyKey: $key) { userErrors { code } }
}"""
SEARCH = "query ($query: String!) { customers(first: 3, query: $query) { nodes { email firstName lastName } } }"


async def through_graphql(drive: Drive, number: int) -> None:
    """Questions that quote a person, documents and values that are wrong, and what only its asker may see."""
    canaries, staff = drive.canaries, drive.shop.staff_token()
    email = canaries.word("Ann's email") + "@example.com"
    found = await drive.ask(SEARCH, staff, query=email)
    # The control: she is there, whole, for those who may see her.
    assert [one["email"] for one in found["data"]["customers"]["nodes"]] == [email.replace("example", "Example")]
    await drive.ask(SEARCH, staff, query=canaries.word("Ann's last name"))
    [customer] = (await drive.ask("query ($n: ID!) { customer(shopifyId: $n) { id } }", staff, n=str(number)))["data"].values()
    for reason in (canaries.text("reason"), canaries.text("reason with a null") + "\0", canaries.text("long reason") * 1_000):
        await drive.ask(COMMANDS, staff, id=customer["id"], reason=reason, key=word())
    key = "mutation ($name: String!) { apiKeyCreate(name: $name, scopes: [READ]) { secret userErrors { code } } }"
    [made] = (await drive.ask(key, staff, name=canaries.text("key's name")))["data"].values()
    canaries.secret("API key", made["secret"])
    assert "errors" not in await drive.ask("{ program { id } }", made["secret"])
    await drive.ask("{ program { id } }", made["secret"][:-4] + canaries.text("key that is none"))
    exports = await drive.ask("{ customerExports(first: 1) { nodes { id } } }", staff)
    take = "mutation ($id: ID!) { customerExportTake(id: $id) { document } }"
    taken = await drive.ask(take, staff, id=exports["data"]["customerExports"]["nodes"][0]["id"])
    assert canaries.word("Ann's last name") in taken["data"]["customerExportTake"]["document"]
    wrong = [
        ("{ " + canaries.text("unknown field") + " }", {}),
        ('{ customers(first: 1, query: "' + canaries.text("broken document"), {}),
        ("# " + canaries.text("comment") + "\n{ program { id } }", {}),
        (SEARCH, {"query": {"a": canaries.text("value of a wrong type")}}),
        ('{ node(id: "' + canaries.text("global id") + '") { id } }', {}),
        ("query ($a: DateTime!) { pointsBalance(asOf: $a) { asOf } }", {"a": canaries.text("instant in a variable")}),
        ("query " + canaries.text("operation") + " { a }", {}),
    ]
    for document, variables in wrong:
        await drive.ask(document, staff, **variables)
    await through_a_socket(drive)


async def through_a_socket(drive: Drive) -> None:
    """Credentials, documents and frames over a websocket."""
    canaries = drive.canaries
    url = drive.processes.url.replace("http", "ws", 1) + "/graphql"
    protocol = [websockets.Subprotocol("graphql-transport-ws")]
    async with websockets.connect(f"{url}?token={canaries.text('query of a socket')}", subprotocols=protocol) as socket:
        token = drive.shop.staff_token()
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        await socket.recv()
        for document in (SEARCH, "subscription { " + canaries.text("unknown stream") + " }"):
            payload = {"query": document, "variables": {"query": canaries.text("variable over a socket")}}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            while json.loads(await socket.recv())["type"] == "next":
                pass
        await socket.send(canaries.text("frame that is none"))
        await socket.wait_closed()
    async with websockets.connect(url, subprotocols=protocol) as socket:
        payload = {"authorization": f"Bearer {canaries.text('credential of a socket')}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        await socket.wait_closed()


async def through_a_redemption(drive: Drive) -> None:
    """Points that become a code of ours at Shopify, and a coupon of the merchant's own."""
    canaries, shop, there = drive.canaries, drive.shop, drive.there
    customer = await shop.customer()
    there.add_customer(customer.shopify_id)
    bought_ = checkout.check_out(there, Basket(customer.shopify_id, [(COAT, 1)], []))
    for topic in ("orders/create", "orders/paid"):
        drive.stand_in.deliveries.tell(there, topic, {name: value for name, value in bought_.items() if name != "refused_codes"})
    await until_balance(shop, customer, 800)
    reward = await offer(shop)
    token = shop.customer_token(customer.id)
    answer = await drive.ask(REDEEM, token, reward=f"gid://loyalnest/Reward/{reward.id}", key="one")
    await until_status(shop, UUID(answer["data"]["rewardRedeem"]["redemption"]["id"].rpartition("/")[2]), "issued")
    [discount] = there.discounts.values()
    canaries.secret("discount code", discount.code)
    pool = {"kind": "COUPON", "names": [{"locale": "en", "text": "A pool"}], "points": 1}
    made = await drive.ask(
        "mutation ($i: RewardInput!) { rewardCreate(input: $i) { reward { id } } }", shop.staff_token(), i=pool
    )
    identifier = made["data"]["rewardCreate"]["reward"]["id"]
    add = "mutation ($id: ID!, $codes: [String!]!) { rewardCouponsAdd(rewardId: $id, codes: $codes) { userErrors { code } } }"
    await drive.ask(add, shop.staff_token(), id=identifier, codes=[canaries.text("coupon code")])
    taken = await drive.ask(REDEEM, token, reward=identifier, key="two")
    assert taken["data"]["rewardRedeem"]["redemption"]["code"] == canaries.word("coupon code")


async def the_houses_secrets(drive: Drive) -> None:
    """What the processes know, and what they keep sealed."""
    canaries, merchant_id = drive.canaries, drive.shop.merchant.id
    canaries.secret("client secret", CLIENT_SECRET)
    canaries.secret("token secret", settings().token_secret.get_secret_value())
    canaries.secret("master key", settings().master_key_bytes)
    for name in ("DATABASE_URL", "REDIS_URL"):
        canaries.secret(f"password of {name}", urlsplit(os.environ[name]).password or word())
    for purpose in keyring.PURPOSES:
        canaries.secret(f"key to {purpose} with", keyring.active(merchant_id, purpose)[1])
    held = await installations.current(drive.shop.scope())
    assert held is not None
    canaries.secret("access token of Shopify", held.access_token)
    canaries.secret("refresh token of Shopify", held.refresh_token)
