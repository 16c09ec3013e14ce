"""Foreign keys that cost what they are worth, and a single award in two statements."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0009_speed"
VERSION = "1.38.0"
DESCRIPTION = "Foreign keys between partitions of the same merchants, and a shorter single award"


async def forwards() -> MigrationManager:
    """Raw SQL, as the foundation is."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
