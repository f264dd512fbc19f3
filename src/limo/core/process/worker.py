"""A killable child process that answers calls: a death or an overrun costs one call.

    with Worker(open_comparer, limits=CallLimits(time_s=2.0)) as worker:
        worker.call(("x+1", "1+x"))          # CallResult(value=(True, "Math-Verify"), failure="")

`open_comparer` is called once in the child, with the arguments given, and returns the handler of payloads; it is sent
by name, so it must be a function of a module that the child can import (not `__main__`).  The child is a plain program
with a pipe: a process of `multiprocessing` (and so pebble's) does not start inside daemon processes and imports the
caller's `__main__` again.  POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from mmap import mmap
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from limo.core.closing import Closing
from limo.core.process import child
from limo.core.process.limits import CallLimits, is_limited, untimed

IMPORT_S = 120.0  # the longest that imports may take on a busy machine
_PROGRAM = (
    "import json, sys\n"
    "sys.path[:] = json.loads(sys.argv[1])\n"
    f"from {child.__name__} import serve\n"
    "serve(int(sys.argv[2]), int(sys.argv[3]))\n"
)


NO_WORKER = "no worker could be started: "
"""Begins the failure of payloads that no child has begun: a matter of the machine or of the handler, not of theirs."""
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGQUIT}
_MOST_STARTS = 3  # of children that such a signal ends before they begin


class CallResult(NamedTuple):
    """What the handler returned for a payload; None and the reason where it failed."""

    value: Any
    failure: str = ""


class Worker(Closing):
    """One child process, started when first needed and after each death.  Safe in threads; one call at a time."""

    def __init__(self, open_handler: Callable[..., child.Handler], *arguments: Any, limits: CallLimits | None = None):
        self.limits = limits or CallLimits()
        self.n_started = 0
        self._open_handler, self._arguments = open_handler, arguments
        self._handler: child.Handler | None = None  # only in a process that is a worker's child itself
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """End the child.  Calls under way in other threads, and later ones, fail."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()

    def call(self, payload: Any) -> CallResult:
        """The reply to one payload."""
        return self.call_many([payload])[0]

    def call_many(self, payloads: Sequence[Any]) -> list[CallResult]:
        """The replies, in order.  The payload that a child dies of has failed; the rest goes to a new child.

        One that a signal from outside ends (a kill, the system short of memory) is called once more: it was hardly the
        payload's doing.
        """
        with self._lock:
            return self._call_here(payloads) if is_limited() else self._call_many(payloads)

    def _call_here(self, payloads: Sequence[Any]) -> list[CallResult]:
        """In a worker's child there is no need for another: this process may be killed."""
        if self._handler is None:
            with untimed():
                self._handler = self._open_handler(*self._arguments)
        return [CallResult(*child.reply_of(self._handler, payload)) for payload in payloads]

    def _call_many(self, payloads: Sequence[Any]) -> list[CallResult]:
        replies: list[CallResult] = []
        n_starts, again = 0, -1  # children that died before they began; the payload that is called once more
        while len(replies) < len(payloads):
            rest, n_received = payloads[len(replies) :], 0
            if self._closed:
                return replies + [CallResult(None, "the worker was closed")] * len(rest)
            try:
                process = self._running()
                process.send(rest)
                while n_received < len(rest):
                    received = process.receive()
                    replies += received
                    n_received += len(received)
            except (EOFError, OSError) as error:
                failure, n_begun, is_from_outside = self._end(error)
                if self._closed:
                    continue
                if n_begun == 0:
                    n_starts += 1
                    if is_from_outside and n_starts < _MOST_STARTS:
                        continue
                    return replies + [CallResult(None, NO_WORKER + failure)] * len(rest)
                replies += self._call_many(rest[n_received : n_begun - 1])  # done before the death, but not sent
                if is_from_outside and again < len(replies):
                    again = len(replies)
                else:
                    replies.append(CallResult(None, failure))
            except BaseException as error:  # left in the middle: the pipe is out of step
                self._end(error)
                raise
        return replies

    def _running(self) -> _Process:
        process = self._process
        if process is None or not process.is_alive():
            self._process = None
            process = self._process = _Process(self.limits, self._open_handler, self._arguments)
            self.n_started += 1
        return process

    def _end(self, error: BaseException) -> tuple[str, int, bool]:
        """End the child.  The cause of its death, how many of the payloads last sent it had begun, and whether a
        signal from outside ended it."""
        process, self._process = self._process, None
        if process is None:
            return str(error), 0, False
        is_dead = process.has_died()
        process.kill()
        cause = process.cause_of_death(isinstance(error, TimeoutError))
        return cause, process.n_begun, is_dead and process.returncode in _FROM_OUTSIDE


class _Process:
    """A started child with the parent's end of its pipe; it is killed with the object."""

    def __init__(
        self, limits: CallLimits, open_handler: Callable[..., child.Handler], arguments: tuple[Any, ...]
    ) -> None:
        self._limits, self._owner = limits, os.getpid()
        self._pipe, child_end = Pipe()
        with child_end, tempfile.TemporaryFile() as shared:
            shared.write(bytes(8))
            shared.flush()
            self._position = mmap(shared.fileno(), 8)
            fds = (child_end.fileno(), shared.fileno())
            self._popen = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), *map(str, fds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=fds,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self.kill = weakref.finalize(self, _kill, self._popen, self._pipe, self._owner)
        self._pipe.send((limits, open_handler.__module__, open_handler.__qualname__, arguments))

    @property
    def n_begun(self) -> int:
        """How many of the payloads last sent have been begun."""
        return int.from_bytes(self._position[:], "little")

    @property
    def returncode(self) -> int:
        """As of subprocess, of a child that has ended."""
        return self._popen.returncode or 0

    def has_died(self) -> bool:
        """Whether it ended by itself, or does so in a moment: its pipe is closed before it is gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(0.5)
        return self._popen.poll() is not None

    def is_alive(self) -> bool:
        """Whether it can be called; a process forked from its parent must not use its pipe."""
        return self._owner == os.getpid() and self._popen.poll() is None

    def send(self, payloads: Sequence[Any]) -> None:
        """Send payloads.  The child is idle, or not yet ready."""
        self._position[:] = bytes(8)
        self._pipe.send(list(payloads))

    def receive(self) -> list[CallResult]:
        """The next replies.  Raises EOFError where the child died, TimeoutError where it no longer goes on."""
        n_begun = -1
        while not self._pipe.poll(
            self._limits.wall_s + IMPORT_S
        ):  # its own timers come first, unless they were changed
            if n_begun == self.n_begun:
                raise TimeoutError
            n_begun = self.n_begun
        return [CallResult(*reply) for reply in self._pipe.recv()]

    def cause_of_death(self, overran: bool) -> str:
        """Why the child, which has ended, is dead."""
        code = self.returncode
        if code == -signal.SIGPROF:
            return f"over {self._limits.time_s:g} s of processor time"
        if code == -signal.SIGALRM or overran:
            return f"over {self._limits.wall_s:g} s"
        if code == -signal.SIGABRT:  # so libraries end that get no memory
            return f"its process got no more memory than its {self._limits.memory_bytes / 1e9:.1f} GB, or has a fault"
        return f"its process died ({f'signal {-code}' if code < 0 else f'exit {code}'})"


def _kill(process: subprocess.Popen[bytes], pipe: Connection, owner: int) -> None:
    if owner != os.getpid():  # a forked copy of the parent
        return
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait(10)
    with contextlib.suppress(OSError):
        pipe.close()
