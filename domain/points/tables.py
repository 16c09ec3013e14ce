"""The ledger's tables, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import UUID, BigInt, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table


class PointsAccounts(Table, tablename="points_accounts"):
    """A customer's account. The key is (merchant_id, customer_id)."""

    merchant_id = UUID()
    customer_id = UUID(primary_key=True)
    balance = BigInt()
    pending = BigInt()
    version = BigInt()
    last_hash = Bytea()


class PointsTransactions(Table, tablename="points_transactions"):
    """An entry of the ledger. The key is (merchant_id, customer_id, position)."""

    merchant_id = UUID()
    customer_id = UUID()
    position = BigInt(primary_key=True)
    type = Text()
    points = BigInt()
    pending = BigInt()
    balance_after = BigInt()
    pending_after = BigInt()
    source = Text()
    external_id = Text()
    purpose = Text()
    program_version = Integer(null=True)
    reason = Text(null=True)
    actor = Text()
    trace = Text(null=True)
    occurred_at = Timestamptz()
    digest = Bytea()
    hash = Bytea()
