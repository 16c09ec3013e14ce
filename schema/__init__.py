"""The one GraphQL schema, for customers, staff and partners alike."""
