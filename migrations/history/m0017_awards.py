"""A single award in one statement."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0017_awards"
VERSION = "1.38.0"
DESCRIPTION = "A single award locks, counts and writes in one statement"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
