"""What signals do: the first stops the work in order, a second ends the process at once; both mean exit code 3.

`uninterrupted` puts a stop off until what must not be cut in two is done.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
STOPPED_EXIT_CODE = 3
_received: list[int] = []


def handle_signals() -> None:
    """From now on the first signal raises KeyboardInterrupt, and a second ends this process and its children."""
    _received.clear()
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup a lost terminal stops nothing
            signal.signal(number, _stop)


def was_stopped() -> bool:
    """Whether a signal has come since `handle_signals`."""
    return bool(_received)


def stop_in_order() -> None:
    """Act as the first signal does; nothing where no signal stops this process in order."""
    for number in STOPPING:
        if callable(signal.getsignal(number)):
            os.kill(os.getpid(), number)
            return


def _stop(number: int, _: FrameType | None) -> None:
    _received.append(number)
    if len(_received) > 1:
        end_at_once()
    raise KeyboardInterrupt


def end_at_once() -> None:
    """End this process and its children without waiting for anything; what is written whole stays whole."""
    with suppress(Exception):
        os.write(2, b"limo: stopped at once; the same command continues\n")
    with suppress(Exception):
        import psutil

        for child in psutil.Process().children(recursive=True):
            child.kill()
    os._exit(STOPPED_EXIT_CODE)


@contextmanager
def first_signal(act: Callable[[], bool]) -> Iterator[list[int]]:
    """Call `act` at the first signal of the block; the list has the signals that came.

    A later one, or the first where `act` returns False, acts as it would without the block.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # signals go to another thread
        return
    before = {number: handler for number in STOPPING if (handler := signal.getsignal(number)) != signal.SIG_IGN}

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = before[signal.Signals(number)]
        if (len(received) > 1 or not act()) and callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put the first signal off until the block ends; a second one acts as it would without the block."""
    received: list[int] = []
    try:
        with first_signal(lambda: True) as received:
            yield
    finally:
        if len(received) == 1:  # a second has been acted on
            signal.raise_signal(received[0])
