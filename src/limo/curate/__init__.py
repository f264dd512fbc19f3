"""Room of the curation: difficulty, chains, grades, selection, export.  Import from the modules, not from here."""
