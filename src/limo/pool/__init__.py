"""Room of the pool: ingest, dedup, decontaminate, benchmarks.  Import from the modules, not from here."""
