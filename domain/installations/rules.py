"""What Shopify grants, and when it is time to renew it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed when it has less than this left, so that none runs out on its way."""

LEASE = timedelta(seconds=20)
"""For how long one process alone may renew a token. The old refresh token stays valid until the new one is used, so a process
that dies in between costs nothing but this wait."""

WEBHOOKS_LEASE = timedelta(minutes=2)
"""For how long one process alone compares a shop's webhooks: some twenty calls, each of which may have to wait."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An expiring offline token with its refresh token, and what it may do (Shopify's scopes, comma-separated)."""

    access_token: str
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    scopes: str
