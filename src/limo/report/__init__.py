"""Room of the report: tables, charts, cases, the page.  Import from the modules, not from here."""
