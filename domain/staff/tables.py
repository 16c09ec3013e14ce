"""The table of roles, for the catalog test: the composite key is the migration's to say."""

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.table import Table


class StaffMembers(Table, tablename="staff_members"):
    """A member of the merchant's staff with a role. The key is (merchant_id, user_id)."""

    merchant_id = UUID(primary_key=True)
    user_id = Text()
    role = Text()
    updated_at = Timestamptz()
    updated_by = Text()
