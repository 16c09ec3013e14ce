"""Piccolo's entry point: the engine for the migrations, and the registry of its one app."""

import os

from piccolo.conf.apps import AppRegistry

from domain.db import ScopedEngine

DB = ScopedEngine(config={"dsn": os.environ.get("DATABASE_URL", "postgresql:///loyalnest")}, extensions=())

APP_REGISTRY = AppRegistry(apps=["migrations.piccolo_app"])
