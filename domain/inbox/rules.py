"""What a delivery is, and what of it is stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from domain import customers, orders
from domain.customers import Profile
from domain.errors import Code, DomainError

TOPICS = frozenset({"orders/create", "orders/updated", "orders/paid", "customers/create", "customers/update"})
"""The topics that change points. Others are answered and dropped."""


class Kind(StrEnum):
    """What a delivery is about: the first part of its topic. Each kind locks rows in an order of its own."""

    CUSTOMERS = "customers/"
    ORDERS = "orders/"


class InvalidCustomer(DomainError):
    """The payload is no customer that we can read; the message says where it breaks."""

    code = Code.CUSTOMER_INVALID


class NotJson(DomainError):
    """The body is no JSON object."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it is stored: the body without what is personal, and the personal part by itself."""

    webhook_id: str
    topic: str
    payload: str
    profile: Profile | None
    triggered_at: datetime | None


def delivery(webhook_id: str, topic: str, body: bytes, triggered_at: datetime | None) -> Delivery:
    """Reduce a webhook's body to what is stored. Raises NotJson unless it is a JSON object."""
    try:
        payload: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson("The body is not JSON.") from error
    if not isinstance(payload, dict):
        raise NotJson("The body is not a JSON object.")
    content: dict[str, Any] = payload  # pyright: ignore[reportUnknownVariableType]
    profile = None
    if topic.startswith("customers/"):
        kept, profile = customers.keep(content)
    else:
        kept = orders.keep(content)
    return Delivery(webhook_id, topic, msgspec.json.encode(kept).decode(), profile, triggered_at)
