"""The app under which Piccolo keeps the history."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

APP_CONFIG = AppConfig(
    app_name="loyalnest",
    migrations_folder_path=str(Path(__file__).parent / "history"),
    table_classes=[],
    migration_dependencies=[],
)
