"""The table of work that recurs, for the catalog test."""

from piccolo.columns import UUID, Integer, Text, Timestamptz
from piccolo.table import Table


class Schedules(Table, tablename="schedules"):
    """When a job of a merchant is next to be done. The key is (merchant_id, job)."""

    merchant_id = UUID()
    job = Text(primary_key=True)
    due_at = Timestamptz()
    wakes_at = Timestamptz()
    attempts = Integer()
    failure = Text(null=True)
