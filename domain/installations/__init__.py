"""The shops that have installed the app, and the tokens by which it speaks for them."""

from domain.installations.commands import claim_refresh, install, renew, uninstall
from domain.installations.queries import Installation, current
from domain.installations.rules import Grant

__all__ = ["Grant", "Installation", "claim_refresh", "current", "install", "renew", "uninstall"]
