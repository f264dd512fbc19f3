"""Killable children: one question at a time, a clock on each, and a death that costs one answer.

    with Worker(Limits(time_s=2.0)) as worker:
        worker.ask([("symbolic", "x+1", "1+x")])     # [(True, "Math-Verify")]

A child is started at the first question, and again after each death.  The parent waits with a clock of its own and
kills the child that overruns; the rest of the batch goes to a new child.  Replies come many in one message, since a
message for each costs the parent more than the answer costs the child; before it asks Math-Verify a child sends what
it has, so that a death there is known to be that question's.  Where a child died with answers unsent, the rest is
asked again with a message for each, and then the question that kills is known too.  See `child` for the other end and
for why this is not a pool from a library.  POSIX only (Linux, macOS).

What it does not do: share work between children (see `spread`), or run on Windows.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from limo.verify.process.limits import ALONE, LOADING, READY, WALL, Limits

LOAD_S = 120.0  # the longest an import may take on a busy machine before the child counts as dead
_CHILD = (
    "import json, sys\n"
    "sys.path[:] = json.loads(sys.argv[2])\n"
    "from limo.verify.process.child import Limits, serve\n"
    "serve(int(sys.argv[1]), Limits(*json.loads(sys.argv[3])), bytes.fromhex(sys.argv[4]))\n"
)
Reply = tuple[Any, str]


class Shared:
    """What each child has decided, for the others: a pair that all of them meet is decided once."""

    def __init__(self) -> None:
        self.told: dict[int, int] = {}  # by worker: how much of all that was found it knows
        self._found: list[tuple[int, Any]] = []
        self._n_gone = 0
        self._lock = threading.Lock()

    def tell(self, worker: int, found: list[Any]) -> None:
        if found and len(self.told) > 1:
            with self._lock:
                self._found += [(worker, one) for one in found]

    def news(self, worker: int) -> list[Any]:
        """What the others have found since this worker last asked."""
        with self._lock:
            new = [one for finder, one in self._found[self.told[worker] - self._n_gone :] if finder != worker]
            self.told[worker] = self._n_gone + len(self._found)
            known = min(self.told.values()) - self._n_gone
            if known:  # by all
                del self._found[:known]
                self._n_gone += known
            return new


class Worker:
    """One child process, started when first needed.  Safe to use from any thread; one batch at a time."""

    def __init__(self, limits: Limits | None = None, shared: Shared | None = None, *, opener: bytes = b"") -> None:
        self.opener = opener  # pickled; what opens the verifier of rows, as the child starts
        self.limits = limits or Limits()
        self.n_started = 0
        self._shared = shared or Shared()
        self._shared.told[id(self)] = 0
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, questions: Sequence[tuple[Any, ...]]) -> list[Reply]:
        """One reply for each question, in order; `(None, why)` where the child died or overran."""
        return list(self.stream(questions))

    def stream(self, questions: Sequence[tuple[Any, ...]], *, heavy: bool = True) -> Iterator[Reply]:
        """As `ask`, but each reply as it comes.  Without `heavy` a child does not import Math-Verify: it puts off."""
        with self._lock:
            done, careful = 0, False
            while done < len(questions):
                rest = questions[done:]
                for reply in self._try(rest, careful or len(rest) == 1, heavy):
                    done += 1
                    yield reply
                careful = True  # a child died with answers unsent

    def start(self) -> None:
        """Start the child now, so that it imports while the parent reads.  A failure is told at the first question."""
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:
                self._alive()

    def close(self) -> None:
        """Kill the child.  A batch under way in another thread ends with `(None, why)` replies."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def _try(self, questions: Sequence[tuple[Any, ...]], careful: bool, heavy: bool) -> Iterator[Reply]:
        """Replies from one child: all of them, or some and then, where that is known, the reason of its death."""
        if self._closed:
            yield from ((None, "the checker was closed") for _ in questions)
            return
        try:
            child = self._alive()
        except OSError as error:
            yield from ((None, f"no checker could be started ({error})") for _ in questions)
            return
        try:
            child.pipe.send_bytes(marshal.dumps((careful, heavy, list(questions), self._shared.news(id(self)))))
            n_left = len(questions)
            while n_left:
                replies, found = child.receive(WALL * self.limits.time_s)
                n_left -= len(replies)
                self._shared.tell(id(self), found)
                yield from replies
        except (EOFError, OSError, TimeoutError) as error:
            self._child = None
            child.kill()
            over = isinstance(error, TimeoutError) or child.process.returncode == -signal.SIGPROF
            if careful or child.alone or self._closed:
                yield None, f"over {self.limits.time_s:g} s" if over else f"checker died ({child.fate()})"
        except BaseException:  # the caller went away in the middle: this child's pipe is out of step
            self._child = None
            child.kill()
            raise

    def _alive(self) -> _Child:
        child = self._child
        if child is None or child.owner != os.getpid():  # a forked copy must not speak on its parent's pipe
            child = self._child = _Child(self.limits, self.opener)
            weakref.finalize(self, child.kill)
            self.n_started += 1
        return child


class _Child:
    """A started process and our end of its pipe."""

    def __init__(self, limits: Limits, opener: bytes) -> None:
        self.owner = os.getpid()
        self.pipe, theirs = Pipe(duplex=True)
        values = json.dumps(astuple(limits))
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno()), json.dumps(sys.path), values, opener.hex()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        finally:
            theirs.close()
        self.fresh = True
        self.alone = False  # whether everything before the question that it is at has been answered

    def receive(self, time_s: float) -> tuple[list[Reply], list[Any]]:
        """The next replies, in order, and what was decided for them.  Starting and importing are not on their clock."""
        wait = LOAD_S if self.fresh else time_s
        while True:
            message = _receive(self.pipe, wait)
            self.fresh = False
            if message == LOADING:
                wait = LOAD_S
            elif message == READY:
                wait = time_s
            else:
                self.alone = message[:1] == ALONE
                replies, found = marshal.loads(message[1:])
                return replies, found

    def kill(self) -> None:
        if self.owner != os.getpid():
            return
        with contextlib.suppress(OSError):
            self.process.kill()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(OSError):
            self.pipe.close()

    def fate(self) -> str:
        code = self.process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit {code}"


def _receive(pipe: Connection, wait_s: float) -> bytes:
    deadline = time.monotonic() + wait_s
    if not pipe.poll(max(0.0, deadline - time.monotonic())):
        raise TimeoutError
    return pipe.recv_bytes()
