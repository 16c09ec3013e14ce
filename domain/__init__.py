"""The rules of the program: one package per feature, the truth in PostgreSQL."""
