"""The installations' table."""

from piccolo.columns import UUID, BigInt, Bytea, Text, Timestamptz
from piccolo.table import Table


class Installations(Table, tablename="installations"):
    """A shop's installation of the app, one for each merchant."""

    merchant_id = UUID(primary_key=True)
    access_token = Bytea(null=True)
    expires_at = Timestamptz()
    refresh_token = Bytea(null=True)
    refresh_expires_at = Timestamptz()
    scopes = Text()
    revision = BigInt()
    renewing_until = Timestamptz(null=True)
    installed_at = Timestamptz()
    uninstalled_at = Timestamptz(null=True)
    webhooks_due_at = Timestamptz(null=True)
