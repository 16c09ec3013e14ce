"""The table of memberships. Its key begins with the merchant, which the migration says."""

from piccolo.columns import UUID, Array, BigInt, Text, Timestamptz
from piccolo.table import Table


class Memberships(Table, tablename="memberships"):
    """What was said of a customer. The key is (merchant_id, customer_id)."""

    merchant_id = UUID()
    customer_id = UUID(primary_key=True)
    tier = Text(null=True)
    segments = Array(base_column=Text())
    tier_at = Timestamptz(null=True)
    segments_at = Timestamptz(null=True)
    revision = BigInt()
