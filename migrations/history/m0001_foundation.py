"""The foundation: roles, tenants, customers, programs, orders, the ledger, inbox and outbox."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0001_foundation"
VERSION = "1.38.0"
DESCRIPTION = "Merchants, customers, programs, orders and the points ledger"


async def forwards() -> MigrationManager:
    """Piccolo 1.38 can say neither composite keys nor partitions nor policies, so the history is SQL."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
