"""The ledger of rollouts: the SQLite store, its schema and its exports."""
