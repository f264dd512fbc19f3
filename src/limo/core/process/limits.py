"""What one call in a child process may cost, enforced by the child's own kernel limits.

The timers are the kernel's: their signals end the process even while C code holds the interpreter.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallLimits:
    """CallLimits of one call: seconds of processor time, bytes of address space, depth of Python's stack."""

    time_s: float = 5.0
    memory_bytes: int = 2 << 30
    recursion: int = 3000

    @property
    def wall_s(self) -> float:
        """Seconds on the wall clock; several times `time_s`, so that a busy machine does not make calls fail."""
        return 6 * self.time_s + 3


_limited_processes: set[int] = set()  # this process, where it is limited


def is_limited() -> bool:
    """Whether this process is a worker's child, so that what it calls is killable already."""
    return os.getpid() in _limited_processes


def limit_this_process(limits: CallLimits) -> None:
    """Set memory and stack limits for good, and let timers and not Ctrl-C end this process."""
    _limited_processes.add(os.getpid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.setrecursionlimit(limits.recursion)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ValueError, OSError):  # macOS has no limit on address space; the timers still hold
        return


def set_timers(time_s: float, wall_s: float) -> None:
    """Let the kernel end this process after so many seconds of processor time or on the wall clock; 0: never."""
    signal.setitimer(signal.ITIMER_PROF, time_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)


@contextmanager
def untimed() -> Iterator[None]:
    """Hold the timers for a while, e.g. for an import that is not the fault of the row that needs it."""
    remaining_s = [signal.getitimer(timer)[0] for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL)]
    set_timers(0, 0)
    try:
        yield
    finally:
        set_timers(*remaining_s)
