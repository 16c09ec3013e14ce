"""The kinds of deliveries, their topics, and what each kind needs to be known before it."""

from enum import StrEnum


class Kind(StrEnum):
    """What a delivery is about. Deliveries of one kind are worked off together; the kinds stand in the order of their work."""

    CUSTOMERS = "customers"
    ORDERS = "orders"
    PAYMENTS = "payments"
    EDITS = "edits"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    DELETIONS = "deletions"
    ACCOUNTS = "accounts"
    MERGES = "merges"
    PRIVACY = "privacy"
    INSTALLATIONS = "installations"


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    PARKED = "parked"
    DONE = "done"
    FAILED = "failed"


TOPICS = {
    "customers/create": Kind.CUSTOMERS,
    "customers/update": Kind.CUSTOMERS,
    "orders/create": Kind.ORDERS,
    "orders/updated": Kind.ORDERS,
    "orders/paid": Kind.ORDERS,
    "orders/cancelled": Kind.ORDERS,
    "orders/fulfilled": Kind.ORDERS,
    "orders/partially_fulfilled": Kind.ORDERS,
    "order_transactions/create": Kind.PAYMENTS,
    "orders/edited": Kind.EDITS,
    "refunds/create": Kind.REFUNDS,
    "disputes/create": Kind.DISPUTES,
    "disputes/update": Kind.DISPUTES,
    "orders/delete": Kind.DELETIONS,
    "customers/disable": Kind.ACCOUNTS,
    "customers/enable": Kind.ACCOUNTS,
    "customers/delete": Kind.ACCOUNTS,
    "customers/merge": Kind.MERGES,
    "customers/data_request": Kind.PRIVACY,
    "customers/redact": Kind.PRIVACY,
    "shop/redact": Kind.PRIVACY,
    "app/uninstalled": Kind.INSTALLATIONS,
}
"""What Shopify calls them. The door takes a topic whose kind has a handler; all others it answers and drops."""

PARENTS: dict[Kind, tuple[str, str]] = {
    Kind.PAYMENTS: ("order", "order_id"),
    Kind.EDITS: ("order", "order_edit.order_id"),
    Kind.REFUNDS: ("order", "order_id"),
    Kind.DISPUTES: ("order", "order_id"),
    Kind.DELETIONS: ("order", "id"),
    # The customer who goes. Nothing has to move while they are unknown; the one who stays can be made when it does.
    Kind.MERGES: ("customer", "admin_graphql_api_customer_deleted_id"),
}
"""The kinds that speak of something else, which must be known first: what it is, and where in the payload its number stands."""
