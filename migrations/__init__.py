"""One linear history of the database, applied by `migrations.run`."""
