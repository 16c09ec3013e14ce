"""Prints the schema: `python -m schema`."""

import sys

from schema.root import schema

sys.stdout.write(schema.as_str() + "\n")
