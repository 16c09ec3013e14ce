"""The doors: roles of staff, keys of partners, users of the platform, the audit's origin, and the merchants' data keys."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0007_doors"
VERSION = "1.38.0"
DESCRIPTION = "Staff roles, partner scopes, platform admins and data keys"


async def forwards() -> MigrationManager:
    """SQL, as the whole history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
