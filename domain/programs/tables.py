"""The programs' tables. Their keys begin with the merchant, which the migration says."""

from piccolo.columns import UUID, Integer, Text, Timestamptz
from piccolo.table import Table


class ProgramVersions(Table, tablename="program_versions"):
    """A published version. The key is (merchant_id, version)."""

    merchant_id = UUID()
    version = Integer(primary_key=True)
    definition = Text()
    effective_from = Timestamptz()
    published_at = Timestamptz()
    published_by = Text()


class ProgramDrafts(Table, tablename="program_drafts"):
    """The merchant's one draft."""

    merchant_id = UUID(primary_key=True)
    definition = Text()
    revision = Integer()
    updated_at = Timestamptz()
    updated_by = Text()
