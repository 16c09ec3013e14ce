"""Actions: what customers earn for besides orders and joining."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0006_actions"
VERSION = "1.38.0"
DESCRIPTION = "Claims for actions, birthdays, reviews and their sources, sales at the till, and what was spent towards goals"


async def forwards() -> MigrationManager:
    """Raw SQL, as the foundation is."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
