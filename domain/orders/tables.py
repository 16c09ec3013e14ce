"""The orders' table, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import UUID, Array, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table


class Orders(Table, tablename="orders"):
    """An order and what has been booked for it. The key is (merchant_id, shopify_id)."""

    merchant_id = UUID()
    shopify_id = BigInt(primary_key=True)
    customer_id = UUID(null=True)
    currency = Text()
    created_at = Timestamptz()
    snapshot = Text()
    snapshot_updated_at = Timestamptz()
    program_version = Integer(null=True)
    history = Text(null=True)
    deserved = BigInt()
    reason = Text(null=True)
    trace = Text(null=True)
    paid_at = Timestamptz(null=True)
    matures_at = Timestamptz(null=True)
    posted_points = BigInt()
    posted_pending = BigInt()
    revision = Integer()
    lots = Array(base_column=BigInt())
    pending_entry = BigInt(null=True)
    absorbed = BigInt()
    forgiven = BigInt()
    seized = BigInt()
    facts = Text(null=True)
    email_term = Bytea(null=True)
    claimed_by = BigInt(null=True)
    waiting = Boolean()
    expired_elsewhere = BigInt()
