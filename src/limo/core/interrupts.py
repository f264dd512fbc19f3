"""What signals do: the first stops the work in order, a second ends the process at once; both mean exit code 3.

`uninterrupted` puts a stop off until what must not be cut in two is done.  Libraries swallow some exceptions of any
kind (`except:`, `__del__`): the KeyboardInterrupt of a first signal is raised again until `stop_has_arrived`.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
STOPPED_EXIT_CODE = 3
REPEAT_S = 1.0
_received: list[int] = []
_repeated: list[int] = []  # signals of this process to itself, that are under way
_arrived = threading.Event()
_ending: int | None = None  # the exit code, once the work is done


def handle_signals() -> None:
    """From now on the first signal raises KeyboardInterrupt, and a second ends this process and its children."""
    global _arrived, _ending
    _ending = None
    _arrived.set()  # of an earlier call in this process
    _arrived = threading.Event()
    _received.clear()
    _repeated.clear()
    _handle_all(_stop)


def stop_has_arrived() -> None:
    """Say that the KeyboardInterrupt of the first signal was caught where it is acted on."""
    _arrived.set()


def end_with(code: int) -> None:
    """From now on, where the work is done, a signal ends this process at once with that exit code."""
    global _ending
    _ending = code  # first, in one step: a signal may come at any moment
    atexit.register(_handle_all, signal.SIG_IGN)  # Python's own end sets other handlers back


def _handle_all(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup a lost terminal stops nothing
            signal.signal(number, handler)


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
    if _ending is not None:
        os._exit(_ending)
    if _repeated:
        _repeated.clear()
        if _arrived.is_set() or _is_unwinding():
            return
    else:
        _received.append(number)
        if len(_received) > 1:
            end_at_once()
        _thread.start_new_thread(_repeat, (number, _arrived))  # of `threading`, locks may be held here
    raise KeyboardInterrupt


def _repeat(number: int, arrived: threading.Event) -> None:
    while not arrived.wait(REPEAT_S):
        _repeated.append(number)
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _is_unwinding() -> bool:
    """Whether the code that a signal interrupts is run on the way of a KeyboardInterrupt, as `finally` is."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


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
        if _repeated and received:  # no second one of the user
            return
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
