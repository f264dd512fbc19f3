"""Something that is called again and again beside a block of work, for as long as the block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
