"""The tables of rewards. Their keys begin with the merchant, which the migration says."""

from piccolo.columns import UUID, BigInt, Integer, Text, Timestamptz
from piccolo.table import Table


class Rewards(Table, tablename="rewards"):
    """A reward of the catalogue. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    kind = Text()
    definition = Text()
    status = Text()
    stock = BigInt(null=True)
    revision = Integer()
    created_at = Timestamptz()
    updated_at = Timestamptz()
    shopify_id = Text(null=True)
    due_at = Timestamptz(null=True)
    elsewhere = Text()


class Coupons(Table, tablename="coupons"):
    """A code of a coupon pool. The key is (merchant_id, code)."""

    merchant_id = UUID()
    reward_id = UUID()
    code = Text(primary_key=True)
    added_at = Timestamptz()
    redemption_id = UUID(null=True)


class Redemptions(Table, tablename="redemptions"):
    """A reward that a customer has taken. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    customer_id = UUID()
    reward_id = UUID()
    kind = Text()
    definition = Text()
    points = BigInt()
    position = BigInt(null=True)
    status = Text()
    code = Text(null=True)
    expires_at = Timestamptz(null=True)
    shopify_id = Text(null=True)
    order_id = BigInt(null=True)
    failure = Text(null=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()
    due_at = Timestamptz(null=True)
    attempts = Integer()
    shop_domain = Text(null=True)
    customer_number = BigInt(null=True)
    points_returned = BigInt()


class Reservations(Table, tablename="reservations"):
    """Points set aside for one checkout. The key is (merchant_id, id)."""

    merchant_id = UUID()
    id = UUID(primary_key=True)
    customer_id = UUID()
    reward_id = UUID()
    definition = Text()
    points = BigInt()
    position = BigInt()
    status = Text()
    points_used = BigInt()
    order_id = BigInt(null=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()
    due_at = Timestamptz(null=True)
    points_returned = BigInt()


class Standings(Table, tablename="standings"):
    """What checkout was told of a customer. The key is (merchant_id, customer_id)."""

    merchant_id = UUID()
    customer_id = UUID(primary_key=True)
    wanted = BigInt()
    written = BigInt()
    digest = Text(null=True)
    due_at = Timestamptz(null=True)
    attempts = Integer()
