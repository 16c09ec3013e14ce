"""The tables of actions, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import UUID, Array, BigInt, Boolean, Bytea, Integer, Numeric, Text, Timestamptz
from piccolo.table import Table


class ActionClaims(Table, tablename="action_claims"):
    """One thing that may earn. The key is (merchant_id, kind, key)."""

    merchant_id = UUID()
    kind = Text()
    key = Text(primary_key=True)
    customer_id = UUID()
    told_of = UUID()
    rule = Text()
    occurred_at = Timestamptz()
    created_at = Timestamptz()
    program_version = Integer(null=True)
    deserved = BigInt()
    reason = Text(null=True)
    trace = Text(null=True)
    spendable_at = Timestamptz()
    matures_at = Timestamptz(null=True)
    posted_points = BigInt()
    posted_pending = BigInt()
    revision = Integer()
    lots = Array(base_column=BigInt())
    pending_entry = BigInt(null=True)
    absorbed = BigInt()
    forgiven = BigInt()
    expired_elsewhere = BigInt()


class ActionSpendings(Table, tablename="action_spendings"):
    """What was spent towards goals. The key is (merchant_id, key)."""

    merchant_id = UUID()
    key = Text(primary_key=True)
    customer_id = UUID()
    program_version = Integer()
    currency = Text()
    spent_minor = BigInt()
    placed_at = Timestamptz()
    paid_at = Timestamptz(null=True)


class ActionTotals(Table, tablename="action_totals"):
    """What a customer has spent towards a goal. The key is (merchant_id, customer_id, goal)."""

    merchant_id = UUID()
    customer_id = UUID()
    goal = Text(primary_key=True)
    spent_minor = Numeric(digits=(30, 0))


class Birthdays(Table, tablename="birthdays"):
    """A customer's birthday, sealed. The key is (merchant_id, customer_id)."""

    merchant_id = UUID()
    customer_id = UUID(primary_key=True)
    sealed = Bytea(null=True)
    set_at = Timestamptz()
    changes = Integer()
    occasions = Integer()
    due_at = Timestamptz(null=True)
    due_when_open = Timestamptz(null=True)


class ReviewSources(Table, tablename="review_sources"):
    """A provider's secret, sealed. The key is (merchant_id, provider)."""

    merchant_id = UUID()
    provider = Text(primary_key=True)
    secret = Bytea()
    set_at = Timestamptz()


class Reviews(Table, tablename="reviews"):
    """A review as its provider tells of it. The key is (merchant_id, provider, review_id)."""

    merchant_id = UUID()
    provider = Text()
    review_id = Text(primary_key=True)
    email_term = Bytea(null=True)
    published = Boolean()
    written_at = Timestamptz()
    updated_at = Timestamptz()
    received_at = Timestamptz()
    customer_id = UUID(null=True)
    due_at = Timestamptz(null=True)


class TillEntries(Table, tablename="till_entries"):
    """A sale or a refund at the till. The key is (merchant_id, client_id)."""

    merchant_id = UUID()
    client_id = Text(primary_key=True)
    kind = Text()
    sale_id = Text()
    customer_id = UUID(null=True)
    currency = Text()
    amount_minor = BigInt()
    occurred_at = Timestamptz()
    received_at = Timestamptz()
    actor = Text()
