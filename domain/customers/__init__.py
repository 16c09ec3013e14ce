"""The merchant's customers, as the shop knows them."""

from domain.customers.commands import arrive, ensure
from domain.customers.queries import Customer, by_id, by_ids, by_shopify_id, page
from domain.customers.rules import CustomerSnapshot, Profile, keep

__all__ = [
    "Customer",
    "CustomerSnapshot",
    "Profile",
    "arrive",
    "by_id",
    "by_ids",
    "by_shopify_id",
    "ensure",
    "keep",
    "page",
]
