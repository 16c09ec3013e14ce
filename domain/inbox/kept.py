"""What is kept of each kind of delivery: what its handler needs, and nothing personal but what is sealed."""

from typing import Any

from domain import customers, orders, rewards
from domain.customers import Profile
from domain.inbox.kinds import Kind
from domain.orders.door import DELETION_KEPT, DISPUTE_KEPT, EDIT_KEPT, KEPT, PAYMENT_KEPT, REFUND_KEPT

WANTED: dict[Kind, dict[str, Any]] = {
    Kind.ORDERS: KEPT,
    Kind.PAYMENTS: PAYMENT_KEPT,
    Kind.EDITS: EDIT_KEPT,
    Kind.REFUNDS: REFUND_KEPT,
    Kind.DISPUTES: DISPUTE_KEPT,
    Kind.DELETIONS: DELETION_KEPT,
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
    Kind.INSTALLATIONS: {"id": True, "myshopify_domain": True},
}
"""Of a customer more is kept, and most of it sealed: that is for the customers' package to say."""


def keep(kind: Kind, payload: dict[str, Any]) -> tuple[Any, Profile | None]:
    """The part of a webhook's body that is stored, and the part that is sealed."""
    match kind:
        case Kind.CUSTOMERS:
            return customers.keep(payload)
        case Kind.ORDERS:
            return orders.keep(payload, WANTED[kind]) | rewards.keep(payload), _guest(payload)
        case _:
            return orders.keep(payload, WANTED[kind]), None


def _guest(payload: dict[str, Any]) -> Profile | None:
    """The address of an order without a customer, by which its customer may be found."""
    email = payload.get("email")
    return Profile(email=email) if payload.get("customer") is None and isinstance(email, str) and email.strip() else None
