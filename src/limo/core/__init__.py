"""Floor 1: errors, text, files, statistics, progress, records, recipes, prompts and the run folder."""

VERSION = "0.1.0"  # read from here, since a checkout on PYTHONPATH has no metadata
