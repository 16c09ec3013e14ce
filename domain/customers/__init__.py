"""The merchant's customers, as the shop knows them, and who stands for whom."""

from domain.customers.commands import Owner, arrive, ensure, owners, stand_for, verified_terms
from domain.customers.merges import Merge, link, merged_into, merges_of, note_state, signups_taken, unlink, way_of
from domain.customers.queries import HEIR, Customer, by_email_terms, by_id, by_ids, by_shopify_id, page
from domain.customers.rules import CustomerSnapshot, Profile, State, keep
from domain.customers.shops import Known, known_by, met, stands_for
from domain.customers.states import (
    Standing,
    email_terms,
    family,
    lock,
    look_for_guests,
    namesakes,
    set_all_redacted,
    set_state,
    sharing,
    standing,
    verified,
)
from domain.customers.terms import reindex

__all__ = [
    "HEIR",
    "Customer",
    "CustomerSnapshot",
    "Known",
    "Merge",
    "Owner",
    "Profile",
    "Standing",
    "State",
    "arrive",
    "by_email_terms",
    "by_id",
    "by_ids",
    "by_shopify_id",
    "email_terms",
    "ensure",
    "family",
    "keep",
    "known_by",
    "link",
    "lock",
    "look_for_guests",
    "merged_into",
    "merges_of",
    "met",
    "namesakes",
    "note_state",
    "owners",
    "page",
    "reindex",
    "set_all_redacted",
    "set_state",
    "sharing",
    "signups_taken",
    "stand_for",
    "standing",
    "stands_for",
    "unlink",
    "verified",
    "verified_terms",
    "way_of",
]
