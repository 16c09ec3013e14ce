"""The shops that have installed the app, and the tokens by which it speaks for them."""

from domain.installations.commands import (
    check_webhooks,
    claim_refresh,
    claim_webhooks,
    install,
    renew,
    uninstall,
    webhooks_checked,
)
from domain.installations.queries import Installation, current, is_newer
from domain.installations.rules import Grant

__all__ = [
    "Grant",
    "Installation",
    "check_webhooks",
    "claim_refresh",
    "claim_webhooks",
    "current",
    "install",
    "is_newer",
    "renew",
    "uninstall",
    "webhooks_checked",
]
