"""Starts the command, as `python -m limo` too, and is imported first: a Ctrl-C during the imports ends quietly.

Before it stands Python's own start alone, in which a signal ends the process as it does any other of Python.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # of `signal`, which takes longer than Python's start
import os

STOPPED_EXIT_CODE = 3  # as in `limo.core.interrupts`, which is not imported yet
_LINE = b"limo: interrupted before anything was begun; start it again\n"


def _end(*_: object) -> None:
    try:
        os.write(2, _LINE)
    finally:
        os._exit(STOPPED_EXIT_CODE)


def main() -> None:
    """Entry point of the `limo` script."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    from limo.cli import main as run  # which sets handlers of its own

    run()


if __name__ == "__main__":  # processes that are spawned import this file too
    main()
