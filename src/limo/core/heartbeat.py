"""What happens beside a block of work: a call again and again, or one line where the block is long in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limo.core.progress import Progress

SILENCE_S = 1.0
"""How long a block may show nothing before it is said what it does; our choice."""


@contextmanager
def heartbeat(call: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call every so many seconds, in a thread, until the block ends; no call outlasts it."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every_s):
            call()

    thread = threading.Thread(target=repeat, name="limo-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def announced(progress: Progress, text: str, after_s: float = SILENCE_S) -> Iterator[None]:
    """Show the line where the block goes on for so long and has shown nothing else."""
    n_before = progress.n_shown

    def announce() -> None:
        with progress.lock:
            if progress.n_shown == n_before:
                progress.log(text)

    timer = threading.Timer(after_s, announce)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
