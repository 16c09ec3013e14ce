"""What a delivery is, what it waits for, and what is said of one that fails."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from loyalty_native import LoyaltyError

from domain.customers import Profile
from domain.errors import Code, DomainError
from domain.inbox.kept import keep
from domain.inbox.kinds import PARENTS, TOPICS, Kind

_BIGINT_MAX = 2**63 - 1
_GLOBAL_ID = re.compile(r"gid://shopify/Customer/(\d{1,19})", re.ASCII)


class InvalidCustomer(DomainError):
    """The payload is no customer that we can read; the message says where it breaks."""

    code = Code.CUSTOMER_INVALID


class InvalidDelivery(DomainError):
    """The payload does not say what its topic promises; the field says where it breaks."""

    code = Code.DELIVERY_INVALID


class DeliveryDone(DomainError):
    """A delivery that has been worked off is to be run again: its payload is gone."""

    code = Code.DELIVERY_DONE


class NotJson(DomainError):
    """The body is no JSON object."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it is stored: the body without what is personal, and the personal part by itself."""

    webhook_id: str
    topic: str
    kind: Kind
    parent: str | None
    payload: str
    profile: Profile | None
    triggered_at: datetime | None


def delivery(webhook_id: str, topic: str, body: bytes, triggered_at: datetime | None) -> Delivery:
    """Reduce a webhook's body to what is stored. Precondition: a topic of TOPICS. Raises NotJson unless it is a JSON object."""
    try:
        payload: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson("The body is not JSON.") from error
    if not isinstance(payload, dict):
        raise NotJson("The body is not a JSON object.")
    content: dict[str, Any] = payload  # pyright: ignore[reportUnknownVariableType]
    kind = TOPICS[topic]
    kept, profile = keep(kind, content)
    text = msgspec.json.encode(kept).decode()
    return Delivery(webhook_id, topic, kind, _parent(kind, kept), text, profile, triggered_at)


class _Customer(msgspec.Struct, frozen=True):
    id: int | None = None


class _Named(msgspec.Struct, frozen=True):
    id: int | None = None
    customer: _Customer | None = None


def customers_of(delivery: Delivery) -> list[int]:
    """The customer, by Shopify's number, of whom a delivery tells, or whose order it is; none when it cannot be read."""
    try:
        named = msgspec.json.decode(delivery.payload, type=_Named)
    except msgspec.ValidationError:
        return []
    number = named.id if delivery.kind is Kind.CUSTOMERS else named.customer.id if named.customer else None
    return [number] if number is not None and 0 < number <= _BIGINT_MAX else []


def order_key(shopify_id: int) -> str:
    """The order as a parent."""
    return f"order/{shopify_id}"


def customer_key(shopify_id: int) -> str:
    """The customer as a parent."""
    return f"customer/{shopify_id}"


def _parent(kind: Kind, kept: Any) -> str | None:
    """What the delivery speaks of, or None when it needs nothing or does not say it."""
    if kind not in PARENTS:
        return None
    of, path = PARENTS[kind]
    number = kept
    for name in path.split("."):
        number = number.get(name) if isinstance(number, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if isinstance(number, str) and (match := _GLOBAL_ID.fullmatch(number)):
        number = int(match[1])
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _BIGINT_MAX:
        return None
    return f"{of}/{number}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery could not be worked off. Nothing of it is a part of the payload.

    code: one of `Code`, or the name of an error of ours. path: where in the payload it breaks, in dots and brackets.
    """

    code: str
    message: str
    path: str | None


_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_QUOTING = re.compile(r"Invalid (?:enum )?value\b")
"""The one message of msgspec that quotes what it was given."""


def failure_of(error: Exception) -> Failure:
    """What is kept of an error."""
    if not isinstance(error, DomainError):
        return Failure(type(error).__name__, "A fault of ours. It is in the logs, under the id of the request.", None)
    path = ".".join(error.field) or None
    message = error.message
    match error.__cause__:
        case msgspec.ValidationError() as cause:
            told = _AT.fullmatch(str(cause))
            assert told is not None, "the pattern takes every text"
            message, path = told["what"], told["path"] or path
            if found := _QUOTING.match(message):
                message = found[0]
        # The core's sentences may name a currency that it was given, so only what it calls the error is kept.
        case LoyaltyError() as cause:
            message, path = f"The core refuses it: {cause.code}.", cause.path or path
        case _:
            pass
    return Failure(error.code.value, message, path)
