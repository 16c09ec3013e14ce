"""The tables of customers, for the catalog test: composite keys and partitions are the migration's to say."""

from piccolo.columns import UUID, Array, BigInt, Bytea, Text, Timestamptz
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
    state = Text()
    state_at = Timestamptz(null=True)
    merged_into = UUID(null=True)
    email_term = Bytea(null=True)


class CustomerTerms(Table, tablename="customer_terms"):
    """One keyed hash by which a customer is found. The key is (merchant_id, term, customer_id)."""

    merchant_id = UUID()
    term = Bytea()
    customer_id = UUID(primary_key=True)


class CustomerMerges(Table, tablename="customer_merges"):
    """A customer who was merged into another. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    gone_id = UUID()
    kept_id = UUID()
    job_id = Text(null=True)
    merged_at = Timestamptz()
    undone_at = Timestamptz(null=True)
    gone_state = Text()
    kept_joined_at = Timestamptz(null=True)
    redirected = Array(base_column=UUID())
    signup = BigInt(null=True)
    orders = Text()
    claims = Text()


class CustomerShops(Table, tablename="customer_shops"):
    """The shop of a customer who is not the merchant's own. The key is (merchant_id, shopify_id)."""

    merchant_id = UUID()
    shopify_id = BigInt(primary_key=True)
    shop_domain = Text()
    told_at = Timestamptz()
