"""The time machine: sandbox merchants and how far their clocks are ahead."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0004_clock"
VERSION = "1.38.0"
DESCRIPTION = "Sandbox merchants with a clock that can be advanced"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
