"""Notices and schedules: what customers are told ahead of time, and what is done at every local midnight."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0005_balances"
VERSION = "1.38.0"
DESCRIPTION = "What customers are told ahead of time, and work that recurs"


async def forwards() -> MigrationManager:
    """Raw SQL, as the rest of the history."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
