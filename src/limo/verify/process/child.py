"""The process that may be killed: it answers questions about rows, and asks Math-Verify only when it must.

Why a program of its own, started with `subprocess`: a pool from `multiprocessing` (pebble's too) cannot be started
inside a daemon process and re-imports the caller's `__main__`; a plain child with one pipe has neither trouble, and
works the same from threads, from asyncio and under every start method.

    serve(3, Limits(time_s=5.0))      # what the child runs; see `workers.Worker` for the parent's end

What it does not do: retry, or decide what an unanswered question is worth (the parent does both).
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

from limo.core.errors import InputError
from limo.core.records import Completion, Problem
from limo.verify.process.limits import (
    ALONE,
    PUT_OFF,
    READY,
    REPLY,
    Limits,
    PutOff,
    clock,
    confine,
    load,
    loaded,
    plain,
    symbolic,
)  # fmt: skip

BLOCK = 1 << 18
PAUSE_S = 0.1  # the longest that an answer waits for others to travel with


def serve(fd: int, limits: Limits, opener: bytes = b"") -> None:
    """Answer questions read from the pipe `fd` until it closes; `opener` (pickled) opens the verifier of rows."""
    confine(limits)
    pipe = Connection(fd)
    _mute()
    checker = _Checker(pipe, limits, opener) if opener else None
    pipe.send_bytes(READY)
    parent = os.getppid()
    while os.getppid() == parent:
        if not pipe.poll(5.0):
            continue
        try:
            _answer(pipe, limits, checker)
        except (EOFError, OSError):
            return


def _mute() -> None:
    """Libraries print; the pipe is the only way out."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _answer(pipe: Connection, limits: Limits, checker: _Checker | None) -> None:
    """One message is a list of questions; the answers come in order, some to a message."""
    import marshal

    careful, heavy, questions, news = marshal.loads(pipe.recv_bytes())
    replies = Replies(pipe, 0.0 if careful else PAUSE_S)
    if checker is not None:
        checker.heavy, checker.replies = heavy, replies
        checker.learn(news)
    for question in questions:
        if question[0] in ("symbolic", "plain"):
            replies.send(ALONE)
            load(pipe)
        replies.wind(limits.time_s)
        try:
            reply = _reply(checker, question)
        except PutOff:
            reply = PUT_OFF
        except (RecursionError, MemoryError) as error:
            reply = (None, type(error).__name__)
        replies.add(reply)
    replies.send(REPLY)


class Replies:
    """Answers on their way: together in one message every so often."""

    def __init__(self, pipe: Connection, pause_s: float) -> None:
        self.pipe, self.pause_s = pipe, pause_s
        self.waiting: list[tuple[Any, str]] = []
        self.found: list[tuple[Any, ...]] = []  # decisions, for the other children
        self.alone = False
        self.sent = time.monotonic()
        self.wound = 0.0  # when the clock was last started; 0 where it stands

    def wind(self, time_s: float) -> None:
        """Start the clock for a question.  A tenth of its time may be gone: two system calls a row would cost more."""
        now = time.monotonic()
        if now - self.wound > min(PAUSE_S, time_s / 10):
            clock(time_s)
            self.wound = now

    def add(self, reply: tuple[Any, str]) -> None:
        self.waiting.append(reply)
        if self.alone or time.monotonic() - self.sent >= self.pause_s:
            self.send(REPLY)

    def send(self, kind: bytes) -> None:
        """Send what is waiting; ALONE goes out even where nothing is.  A slow parent must not run down our clock."""
        import marshal

        clock(0)
        self.wound = 0.0
        if self.waiting or kind == ALONE:
            self.pipe.send_bytes(kind + marshal.dumps((self.waiting, self.found)))
            self.waiting, self.found = [], []
        self.alone = kind == ALONE
        self.sent = time.monotonic()


def _reply(checker: Any, question: tuple[str, ...]) -> tuple[Any, str]:
    if question[0] == "line":
        return _line(checker, question), ""
    if question[0] == "row":
        return _row(checker, question), ""
    if question[0] == "symbolic":
        return symbolic(question[1], question[2])
    if question[0] == "plain":
        return plain(question[1], question[2])
    raise ValueError(question[0])


def _row(checker: Any, question: tuple[Any, ...]) -> tuple[Any, ...]:
    """A whole verdict, for batches; the symbolic question is answered here, in this same process."""
    v = checker.verifier.verify(Problem(*question[1]), Completion(*question[2]))
    return v.outcome, v.extracted, v.reason, v.tier, v.elapsed_s, v.answer


def _line(checker: Any, question: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of a file, read and written here: (number of the line, where it begins, its length, the file)."""
    _, number, start, length, path = question
    try:
        line: tuple[Any, ...] = checker.verify_line(checker.verifier, number, _source(path).read(start, length))
        return line
    except InputError as error:
        return (str(error),)


class _Source:
    """The file whose rows are asked about, read in blocks: a row costs a slice."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._start, self._block = 0, b""

    def read(self, start: int, length: int) -> bytes:
        first = start - self._start
        if first < 0 or first + length > len(self._block):
            self._start, self._block, first = start, os.pread(self._file.fileno(), max(length, BLOCK), start), 0
        return self._block[first : first + length]


@lru_cache(maxsize=1)
def _source(path: str) -> _Source:
    return _Source(path)


class _Checker:
    """The verifier of this process.  The parent's clock watches the process, so Math-Verify is called right here."""

    def __init__(self, pipe: Connection, limits: Limits, opener: bytes) -> None:
        import pickle

        import mpmath  # type: ignore[import-untyped]  # noqa: F401

        from limo.verify import files

        self.pipe, self.limits, self.heavy = pipe, limits, True
        self.verify_line = files.verify_line
        self.verifier: Any = pickle.loads(opener)()
        self.replies: Replies
        self.rules = getattr(self.verifier, "rules", None)  # the rules of mathematics, where the verifier uses them
        if self.rules is not None:
            self._keep, self.rules.remember, self.rules.symbolic = self.rules.remember, self._remember, self._symbolic

    def _remember(self, key: tuple[str, str], decision: Any) -> None:
        self._keep(key, decision)
        self.replies.found.append((*key, *decision))

    def learn(self, news: list[Any]) -> None:
        """Keep what the other children have decided."""
        for answer, text, *decision in news if self.rules is not None else ():
            self._keep((answer, text), self.rules.decision(*decision))

    def _symbolic(self, answer: str, text: str) -> Any:
        if not (self.heavy or loaded()):
            raise PutOff
        self.replies.send(ALONE)
        load(self.pipe)
        clock(self.limits.time_s)
        same, reason = symbolic(answer, text)
        return self.rules.decision(same, "symbolic", reason, same is not True)
