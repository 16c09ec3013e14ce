"""The schema, asked for real: exact data, exact errors, and after a refusal nothing that has changed."""
