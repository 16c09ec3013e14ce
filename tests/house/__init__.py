"""Architecture, style and tenancy, held as tests: they read the catalog, the schema and the sources, not the intention."""
