"""The ledger's tables, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import JSONB, UUID, BigInt, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table


class PointsAccounts(Table, tablename="points_accounts"):
    """A customer's account. The key is (merchant_id, customer_id)."""

    merchant_id = UUID()
    customer_id = UUID(primary_key=True)
    balance = BigInt()
    pending = BigInt()
    version = BigInt()
    last_hash = Bytea()
    active_at = Timestamptz(null=True)
    closed = Text(null=True)


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
    lot = BigInt(null=True)
    reverses = BigInt(null=True)
    expires_at = Timestamptz(null=True)
    shares = Text(null=True)


class PointsLots(Table, tablename="points_lots"):
    """Points that lie together and expire together. The key is (merchant_id, customer_id, lot)."""

    merchant_id = UUID()
    customer_id = UUID()
    lot = BigInt(primary_key=True)
    points = BigInt()
    remaining = BigInt()
    expired = BigInt()
    expires_at = Timestamptz(null=True)


class PointsLotMoves(Table, tablename="points_lot_moves"):
    """What an entry took from a lot or gave back. The key is (merchant_id, customer_id, position, lot)."""

    merchant_id = UUID()
    customer_id = UUID()
    position = BigInt()
    lot = BigInt(primary_key=True)
    points = BigInt()


class PointsNotices(Table, tablename="points_notices"):
    """What a customer was told that moved no points. The key is (merchant_id, customer_id, position, number)."""

    merchant_id = UUID()
    customer_id = UUID()
    position = BigInt()
    number = Integer(primary_key=True)
    kind = Text()
    cause = Text()
    payload = JSONB()
    occurred_at = Timestamptz()
