"""Lots: which points are spent first, when they expire, and where they go back to."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0002_lots"
VERSION = "1.38.0"
DESCRIPTION = "Lots of points, what an order's refunds took from which, and what a customer was told"


async def forwards() -> MigrationManager:
    """Raw SQL, as the foundation is."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
