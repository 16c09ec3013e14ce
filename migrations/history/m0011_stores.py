"""Several shops of one merchant, who share their customers' balances."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0011_stores"
VERSION = "1.38.0"
DESCRIPTION = "The shops by which a merchant is reached, and invitations to others"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
