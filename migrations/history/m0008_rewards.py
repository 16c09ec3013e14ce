"""Installations, the catalogue of rewards, redemptions, coupons, reservations and what checkout knows of a customer."""

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from migrations.run import raw_sql

ID = "0008_rewards"
VERSION = "1.38.0"
DESCRIPTION = "Installations of the app, rewards and what customers take of them"


async def forwards() -> MigrationManager:
    """The tables are SQL, as in the foundation."""
    manager = MigrationManager(migration_id=ID, app_name="loyalnest", description=DESCRIPTION)
    manager.add_raw(raw_sql(Path(__file__).with_suffix(".sql")))
    return manager
