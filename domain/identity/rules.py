"""What deliveries about persons say, and why two customers cannot become one."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from domain.errors import Code, DomainError

_GLOBAL_ID = re.compile(r"gid://shopify/Customer/(\d{1,19})", re.ASCII)
_BIGINT_MAX = 2**63 - 1


Number = Annotated[int, msgspec.Meta(gt=0, le=_BIGINT_MAX)]
"""One of Shopify's."""


class MergeConflict(DomainError):
    """The two are one already, the other way round, or another merge that is in force stands in between."""

    code = Code.MERGE_CONFLICT


class InvalidIdentity(DomainError):
    """A delivery about a person does not say what its topic promises."""

    code = Code.DELIVERY_INVALID


class MergeTold(msgspec.Struct, frozen=True):
    """`customers/merge`: Shopify keeps one customer and deletes the other."""

    kept: str = msgspec.field(name="admin_graphql_api_customer_kept_id")
    gone: str = msgspec.field(name="admin_graphql_api_customer_deleted_id")
    status: str
    job: str | None = msgspec.field(name="admin_graphql_api_job_id", default=None)

    @property
    def is_done(self) -> bool:
        """Whether it has happened; Shopify also tells of merges that it was asked for, that run and that failed."""
        return self.status.lower() == "completed"


class AccountTold(msgspec.Struct, frozen=True):
    """`customers/disable`, `customers/enable` and `customers/delete`; the last says no more than the number."""

    id: Number
    updated_at: datetime | None = None


class Person(msgspec.Struct, frozen=True):
    """The customer of a request about personal data."""

    id: Number


class Request(msgspec.Struct, frozen=True):
    """The number of a request for one's data."""

    id: Number


class PrivacyTold(msgspec.Struct, frozen=True):
    """`customers/redact` and `customers/data_request`. Orders are those of the person, guests' orders among them."""

    customer: Person
    orders_to_redact: list[Number] = []
    orders_requested: list[Number] = []
    data_request: Request | None = None


class Redacted(msgspec.Struct, frozen=True):
    """`shop/redact`: the shop whose data is to go."""

    shop_domain: str


class Uninstalled(msgspec.Struct, frozen=True):
    """`app/uninstalled`: the shop itself, of which only the address matters."""

    myshopify_domain: str


def read(text: str, kind: type[Any]) -> Any:
    """A stored delivery as one of the structures above. Raises InvalidIdentity with the path of what is wrong."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidIdentity(str(error)) from error


def number_of(global_id: str, field: str) -> int:
    """The number in Shopify's global id of a customer. Raises InvalidIdentity."""
    match = _GLOBAL_ID.fullmatch(global_id)
    if match is None or not 0 < int(match[1]) <= _BIGINT_MAX:
        raise InvalidIdentity("This is no id of a customer.", field=(field,))
    return int(match[1])
