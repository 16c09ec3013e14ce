"""Who is who: merges, guests, closed accounts, and what a person may ask of us."""

from domain.identity.accounts import claim, delete, disable, enable
from domain.identity.holding import hold, hold_arriving, take_turns
from domain.identity.merging import merge, undo, unite
from domain.identity.privacy import REDACTED, redact, redact_shop, request_data, take_export, uninstalled
from domain.identity.queries import Export, exported, exports
from domain.identity.rules import (
    AccountTold,
    InvalidIdentity,
    MergeConflict,
    MergeTold,
    PrivacyTold,
    Redacted,
    Uninstalled,
    number_of,
    read,
)

__all__ = [
    "REDACTED",
    "AccountTold",
    "Export",
    "InvalidIdentity",
    "MergeConflict",
    "MergeTold",
    "PrivacyTold",
    "Redacted",
    "Uninstalled",
    "claim",
    "delete",
    "disable",
    "enable",
    "exported",
    "exports",
    "hold",
    "hold_arriving",
    "merge",
    "number_of",
    "read",
    "redact",
    "redact_shop",
    "request_data",
    "take_export",
    "take_turns",
    "undo",
    "uninstalled",
    "unite",
]
