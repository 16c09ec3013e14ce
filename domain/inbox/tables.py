"""The inbox's table. Its key begins with the merchant, which the migration says."""

from piccolo.columns import UUID, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table


class Inbox(Table, tablename="inbox"):
    """A delivery. The key is (merchant_id, webhook_id)."""

    merchant_id = UUID()
    webhook_id = Text(primary_key=True)
    topic = Text()
    kind = Text()
    parent = Text(null=True)
    payload = Text(null=True)
    profile = Bytea(null=True)
    triggered_at = Timestamptz(null=True)
    received_at = Timestamptz()
    due_at = Timestamptz()
    request_id = Text()
    status = Text()
    attempts = Integer()
    failure = Text(null=True)
    failure_message = Text(null=True)
    failure_path = Text(null=True)
