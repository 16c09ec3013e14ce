"""The table of exports, for the catalog test; that of merges is the customers'."""

from piccolo.columns import UUID, BigInt, Bytea, Text, Timestamptz
from piccolo.table import Table


class CustomerExports(Table, tablename="customer_exports"):
    """What is kept of a person, sealed, until staff take it. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    customer_id = UUID()
    request_id = BigInt()
    content = Bytea(null=True)
    requested_at = Timestamptz()
    taken_at = Timestamptz(null=True)
    taken_by = Text(null=True)
