"""Who is who: merged, disabled and erased customers, guests whose orders wait, and exports of what is kept of a person."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0010_identity"
VERSION = "1.38.0"
DESCRIPTION = "Identity: states and merges of customers, orders of guests, exports of personal data"


async def forwards() -> MigrationManager:
    """Raw SQL, as the foundation is."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
