"""A model of the ledger that shares no code with it, and a machine that tries the two against each other."""
