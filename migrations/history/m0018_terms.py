"""By which words customers are found."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0018_terms"
VERSION = "1.38.0"
DESCRIPTION = "A table of the terms by which customers are found, which an index serves behind row-level security"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
