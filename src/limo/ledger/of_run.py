"""The ledger of a run, and the note in the run of its name and how many rollouts it held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limo.core.run_folder import RunFolder
from limo.ledger.store import Ledger


def check_run_ledger(run: RunFolder) -> None:
    """Raise StorageError where the ledger of a run that is only read is gone, lacks rollouts, or cannot be read."""
    run.check_ledger(None)
    if run.ledger_path.is_file():
        with Ledger(run.ledger_path, read_only=True) as ledger:
            run.check_ledger(len(ledger), ledger.names())


@contextmanager
def open_run_ledger(run: RunFolder) -> Iterator[Ledger]:
    """The ledger of a run that is open for work.

    Raises StorageError where it holds fewer rollouts than it did, or is another run's.
    """
    with Ledger(run.ledger_path) as ledger:
        names = ledger.names()
        noted = run.check_ledger(len(ledger), names)
        if not names:  # a new ledger, or one of before they had names; after a kill here the next start notes the name
            run.check_ledger(len(ledger), names := [ledger.give_name(noted)])
        try:
            yield ledger
        finally:
            run.check_ledger(len(ledger), names)
