"""What is kept of each kind of delivery: what its handler needs, and nothing personal but what is sealed."""

from typing import Any

from domain import customers, orders
from domain.customers import Profile
from domain.inbox.kinds import Kind
from domain.orders.rules import KEPT as ORDER

_CHANGES = {"additions": {"id": True, "delta": True}, "removals": {"id": True, "delta": True}}

KEPT: dict[Kind, dict[str, Any]] = {
    Kind.EDITS: {"order_edit": {"id": True, "order_id": True, "created_at": True, "line_items": _CHANGES}},
    # A refund stands in its order as it stands in its own delivery, where it names the order as well.
    Kind.REFUNDS: {"order_id": True, **ORDER["refunds"]},
    Kind.DISPUTES: {
        "id": True,
        "order_id": True,
        "type": True,
        "status": True,
        "reason": True,
        "amount": True,
        "currency": True,
        "initiated_at": True,
        "evidence_due_by": True,
        "finalized_on": True,
    },
    Kind.DELETIONS: {"id": True},
    Kind.ACCOUNTS: {"id": True, "state": True, "created_at": True, "updated_at": True},
    Kind.MERGES: {
        "admin_graphql_api_customer_kept_id": True,
        "admin_graphql_api_customer_deleted_id": True,
        "admin_graphql_api_job_id": True,
        "status": True,
    },
    Kind.PRIVACY: {
        "shop_id": True,
        "shop_domain": True,
        "customer": {"id": True},
        "orders_to_redact": True,
        "orders_requested": True,
        "data_request": {"id": True},
    },
    Kind.INSTALLATIONS: {"id": True},
}
"""Orders and customers have their own, in their packages."""


def keep(kind: Kind, payload: dict[str, Any]) -> tuple[Any, Profile | None]:
    """The part of a webhook's body that is stored, and the part that is sealed."""
    match kind:
        case Kind.CUSTOMERS:
            return customers.keep(payload)
        case Kind.ORDERS:
            return orders.keep(payload), None
        case _:
            return _kept(payload, KEPT[kind]), None


def _kept(value: Any, wanted: Any) -> Any:
    if wanted is True:
        return value
    if isinstance(value, list):
        return [_kept(item, wanted) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {name: _kept(value[name], inner) for name, inner in wanted.items() if name in value}
    # Where an object is wanted and something else stands, nothing says that it is not personal.
    return None
