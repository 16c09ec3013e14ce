"""The inbox: kinds, parents, and why a delivery failed."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0003_inbox"
VERSION = "1.38.0"
DESCRIPTION = "Deliveries that wait for their parent, and failures with their path"


async def forwards() -> MigrationManager:
    """The file beside this one, run as it is."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
