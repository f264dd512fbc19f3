"""Floor 1: errors, text, files, statistics, progress, records, recipes, prompts and the run folder."""
