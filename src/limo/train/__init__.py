"""Room of training: rows to tokens and labels, and TRL to train on them.  Import from the modules, not from here."""
