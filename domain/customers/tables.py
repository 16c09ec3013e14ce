"""The customers' table, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import UUID, Array, BigInt, Bytea, Timestamptz
from piccolo.table import Table


class Customers(Table, tablename="customers"):
    """A customer of one merchant's shop. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    shopify_id = BigInt()
    created_at = Timestamptz()
    joined_at = Timestamptz(null=True)
    snapshot_updated_at = Timestamptz(null=True)
    profile = Bytea(null=True)
    search_terms = Array(base_column=Bytea())
