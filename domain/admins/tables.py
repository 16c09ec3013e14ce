"""The reference tables of the platform's own people."""

from piccolo.columns import UUID, Array, BigInt, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table


class Admins(Table, tablename="admins"):
    """One of the platform's own people."""

    id = UUID(primary_key=True)
    email = Bytea()
    email_term = Bytea(unique=True)
    name = Text()
    role = Text()
    networks = Array(base_column=Text())
    password_hash = Text()
    totp_secret = Bytea()
    totp_step = BigInt()
    failures = Integer()
    locked_until = Timestamptz(null=True)
    created_at = Timestamptz()
    disabled_at = Timestamptz(null=True)


class AdminSessions(Table, tablename="admin_sessions"):
    """A sign-in that is refreshed until it ends."""

    id = UUID(primary_key=True)
    admin_id = UUID()
    refresh_hash = Bytea()
    created_at = Timestamptz()
    refreshed_at = Timestamptz()
    expires_at = Timestamptz()
    revoked_at = Timestamptz(null=True)
    origin = Text()
