"""What customers belong to, and in which of several shops they and their discounts are."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0016_memberships"
VERSION = "1.38.0"
DESCRIPTION = "Tiers and segments of customers, and the shops of those who do not buy in the merchant's own"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
