"""Room of the experiments: the questions of the paper as data.  Import from the modules, not from here."""
