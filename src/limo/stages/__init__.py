"""The stages of a run: each module holds its recipe and its `run` function."""
