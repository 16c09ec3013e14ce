"""What a shop of the stand-in has: products, customers, discounts, credit, orders, tokens and subscriptions."""

import hashlib
import itertools
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loyalty_native import money_format

from integrations.shopify.oauth import SCOPES

Json = dict[str, Any]

TOKEN_LASTS_S = 3600
BUCKET_MAXIMUM = 2000.0
RESTORE_RATE = 100.0
"""What Shopify's standard plan has: points of cost, and points a second."""


@dataclass
class Discount:
    """A discount as Shopify keeps it. kind: basic, shipping, app or automatic; `given` is the whole input."""

    number: int
    kind: str
    given: Json
    active: bool = True
    used: int = 0
    used_by: dict[int, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.given["title"]

    @property
    def code(self) -> str | None:
        return self.given.get("code")

    @property
    def id(self) -> str:
        return f"gid://shopify/{'DiscountAutomaticNode' if self.kind == 'automatic' else 'DiscountCodeNode'}/{self.number}"

    def status(self, at: datetime) -> str:
        """ACTIVE, EXPIRED or SCHEDULED at an instant."""
        if not self.active or (self.given.get("endsAt") and instant(self.given["endsAt"]) <= at):
            return "EXPIRED"
        return "SCHEDULED" if instant(self.given["startsAt"]) > at else "ACTIVE"

    def metafield(self, key: str) -> str | None:
        """A metafield that the app gave it."""
        return next((one["value"] for one in self.given.get("metafields") or [] if one["key"] == key), None)


@dataclass
class Bucket:
    """The cost that is left, and when that was so (monotonic seconds)."""

    maximum: float = BUCKET_MAXIMUM
    rate: float = RESTORE_RATE
    left: float = BUCKET_MAXIMUM
    at: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    throttled: int = 0

    def refill(self) -> None:
        """Bring it to the present."""
        now = time.monotonic()
        self.left = min(self.maximum, self.left + (now - self.at) * self.rate)
        self.at = now


@dataclass
class Tokens:
    """The offline tokens that are valid: access → end (monotonic seconds), refresh → the access token it goes with."""

    access: dict[str, float] = field(default_factory=dict)
    refresh: dict[str, str | None] = field(default_factory=dict)
    exchanges: int = 0
    refreshes: int = 0


@dataclass
class ShopState:
    """One shop."""

    domain: str
    currency: str = "USD"
    name: str = "Stand-in"
    scopes: str = SCOPES
    products: dict[int, Json] = field(default_factory=dict)
    customers: dict[int, Json] = field(default_factory=dict)
    discounts: dict[int, Discount] = field(default_factory=dict)
    credits: list[Json] = field(default_factory=list)
    subscriptions: list[Json] = field(default_factory=list)
    orders: dict[int, Json] = field(default_factory=dict)
    bulk: dict[int, Any] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)
    bucket: Bucket = field(default_factory=Bucket)
    calls: dict[str, int] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(int(time.time() * 1000)))
    """Later starts give other numbers, as orders are known by theirs."""

    def __post_init__(self) -> None:
        goods = ((632910392, "Coat", 8000), (632910393, "Scarf", 2500), (632910394, "Mug", 1250), (632910395, "Gift card", 5000))
        for number, title, minor in goods:
            price = money_format(minor, self.currency)
            self.products[number] = {"id": number, "title": title, "price": price, "gift_card": title == "Gift card"}

    def add_customer(self, number: int, first: str = "Test", last: str = "Customer") -> Json:
        """A customer, made when new."""
        return self.customers.setdefault(number, {"id": number, "first_name": first, "last_name": last, "metafields": {}})

    def by_code(self, code: str) -> Discount | None:
        """The discount that has a code; upper and lower case are the same."""
        return next((one for one in self.discounts.values() if (one.code or "").upper() == code.upper()), None)

    def issue(self, previous: str | None = None) -> Json:
        """A pair of expiring tokens. An access token that is replaced lives on until it ends."""
        access, refresh = f"shpat_{secrets.token_hex(16)}", f"shprt_{secrets.token_hex(16)}"
        self.tokens.access[access] = time.monotonic() + TOKEN_LASTS_S
        if previous is not None:
            self.tokens.refresh[previous] = refresh
        self.tokens.refresh[refresh] = None
        return {
            "access_token": access,
            "expires_in": TOKEN_LASTS_S,
            "refresh_token": refresh,
            "refresh_token_expires_in": 90 * 24 * 3600,
            "scope": self.scopes,
        }

    def refreshed(self, refresh: str) -> Json | None:
        """The next pair. An old refresh token works until its replacement has been used, as at Shopify."""
        if refresh not in self.tokens.refresh:
            return None
        replacement = self.tokens.refresh[refresh]
        if replacement is not None and self.tokens.refresh.get(replacement) is not None:
            return None
        self.tokens.refreshes += 1
        return self.issue(previous=refresh)

    def allows(self, access: str) -> bool:
        """Whether an access token is valid now."""
        return self.tokens.access.get(access, 0.0) > time.monotonic()


def instant(text: str) -> datetime:
    """An instant of an input."""
    return datetime.fromisoformat(text)


def now() -> datetime:
    """The present, in whole seconds as Shopify tells it."""
    return datetime.now(UTC).replace(microsecond=0)


def digest(value: str) -> str:
    """A metafield's compareDigest."""
    return hashlib.sha256(value.encode()).hexdigest()
