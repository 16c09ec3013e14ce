"""The reference tables that tell one tenant from another."""

from piccolo.columns import UUID, Array, Boolean, Bytea, Interval, Text, Timestamptz
from piccolo.table import Table


class Merchants(Table, tablename="merchants"):
    """A Shopify shop that uses LoyalNest."""

    id = UUID(primary_key=True)
    shop_domain = Text(unique=True)
    name = Text()
    currency = Text()
    created_at = Timestamptz()
    sandbox = Boolean()
    clock_offset = Interval()


class ApiKeys(Table, tablename="api_keys"):
    """A partner's key, kept as a hash."""

    id = UUID(primary_key=True)
    merchant_id = UUID()
    key_hash = Bytea(unique=True)
    name = Text()
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True)
    revoked_at = Timestamptz(null=True)
    scopes = Array(base_column=Text())
    created_by = Text()
    last_used_at = Timestamptz(null=True)
    replaces = UUID(null=True)


class Stores(Table, tablename="stores"):
    """A shop by which a merchant is reached: their own, or one that joined them."""

    shop_domain = Text(primary_key=True)
    merchant_id = UUID()
    connected_at = Timestamptz()


class StoreInvitations(Table, tablename="store_invitations"):
    """A merchant's word that another shop may join them. The key is (shop_domain, merchant_id)."""

    shop_domain = Text(primary_key=True)
    merchant_id = UUID()
    invited_at = Timestamptz()
