"""The process that may be killed: it answers questions about rows, and asks Math-Verify only when it must.

Why a program of its own, started with `subprocess`: a pool from `multiprocessing` (pebble's too) cannot be started
inside a daemon process and re-imports the caller's `__main__`; a plain child with one pipe has neither trouble, and
works the same from threads, from asyncio and under every start method.  A kernel timer kills this process even
while C code holds the interpreter, so that a child whose parent has died does not outlive its question.

    serve(3, Limits(time_s=5.0))      # what the child runs; see `workers.Worker` for the parent's end

What it does not do: retry, or decide what an unanswered question is worth (the parent does both).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

LOADING, READY, REPLY = b"L", b"R", b"V"
WALL = 6.0  # seconds on the wall for one of work: a busy machine must not turn right answers into undecided ones


@dataclass(frozen=True, slots=True)
class Limits:
    """What one verdict may cost: seconds of work, bytes of address space, depth of Python's stack."""

    time_s: float = 5.0
    memory_bytes: int = 2 << 30
    recursion: int = 3000
    tolerance: float = 0.0


def serve(fd: int, limits: Limits) -> None:
    """Answer questions read from the pipe `fd` until it closes."""
    _confine(limits)
    pipe = Connection(fd)
    _mute()
    pipe.send_bytes(READY)
    parent = os.getppid()
    while os.getppid() == parent:
        if not pipe.poll(5.0):
            continue
        try:
            _answer(pipe, limits)
        except (EOFError, OSError):
            return


def _confine(limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.setrecursionlimit(limits.recursion)
    threading.stack_size(64 << 20)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # macOS knows no address-space limit; the clock still holds
        return


def _clock(time_s: float) -> None:
    """Let the kernel end this process after so many seconds of work, or many more on the wall; 0 stops both clocks."""
    signal.setitimer(signal.ITIMER_PROF, time_s)
    signal.setitimer(signal.ITIMER_REAL, WALL * time_s + (3.0 if time_s else 0.0))


def _mute() -> None:
    """Libraries print; the pipe is the only way out."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _answer(pipe: Connection, limits: Limits) -> None:
    """One message is a list of questions; each gets a message of its own, in order."""
    import marshal

    for question in marshal.loads(pipe.recv_bytes()):
        if question[0] in ("symbolic", "plain"):
            _load(pipe)
        _clock(limits.time_s)
        try:
            reply = _reply(pipe, limits, question)
        except (RecursionError, MemoryError) as error:
            reply = (None, type(error).__name__)
        _clock(0)
        pipe.send_bytes(REPLY + marshal.dumps(reply))


def _load(pipe: Connection) -> None:
    """Import Math-Verify outside the clock: the parent is told, and waits longer."""
    if "math_verify" not in sys.modules:
        _clock(0)
        pipe.send_bytes(LOADING)
        import math_verify  # noqa: F401

        pipe.send_bytes(READY)


def _reply(pipe: Connection, limits: Limits, question: tuple[str, ...]) -> tuple[Any, str]:
    if question[0] == "symbolic":
        return symbolic(question[1], question[2])
    if question[0] == "plain":
        return plain(question[1], question[2])
    if question[0] == "row":
        return _row(pipe, limits, question), ""
    if question[0] == "line":
        return _line(pipe, limits, question), ""
    raise ValueError(question[0])


def _row(pipe: Connection, limits: Limits, question: tuple[Any, ...]) -> tuple[Any, ...]:
    """A whole verdict, for batches; the symbolic question is answered here, in this same process."""
    from dataclasses import astuple

    return astuple(_checker(pipe, limits).check(*question[1:]))


def _line(pipe: Connection, limits: Limits, question: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of a file, read and written here."""
    from limo.errors import InputError
    from limo.verify.files import verify_line

    try:
        return verify_line(_checker(pipe, limits), question[1], question[2])
    except InputError as error:
        return (str(error),)


def _checker(pipe: Connection, limits: Limits) -> Any:
    checker = _CHECKERS.get(limits)
    if checker is None:
        checker = _CHECKERS[limits] = _inner_checker(pipe, limits)
    return checker


_CHECKERS: dict[Limits, Any] = {}


def _inner_checker(pipe: Connection, limits: Limits) -> Any:
    from limo.verify.check import Checker, Decision

    class Inner(Checker):
        """The parent's clock watches this process, so nothing more needs to be started."""

        def _symbolic(self, answer: str, text: str) -> Decision:
            _load(pipe)
            _clock(limits.time_s)
            same, reason = symbolic(answer, text)
            return Decision(same, "symbolic", reason, unread=same is not True)

    return Inner(limits=limits, tolerance=limits.tolerance)


def symbolic(gold: str, pred: str) -> tuple[bool | None, str]:
    """Math-Verify's opinion on two LaTeX strings: equal or not, None where it can read neither.

    Delimiters are supplied (without them it reads no LaTeX at all) and its own time-outs are off (they use signals).
    """
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig()]
    sides = []
    for text in (gold, pred):
        found = parse(f"${text.strip().strip('$')}$", config, fallback_mode="no_fallback", parsing_timeout=None)
        sides.append(found)
    if not sides[0]:
        return None, "the answer cannot be read"
    if not sides[1]:
        return False, "the completion's answer cannot be read"
    return bool(verify(sides[0], sides[1], timeout_seconds=None)), "Math-Verify"


def plain(gold: str, text: str) -> tuple[bool | None, str]:
    """Math-Verify as its users call it, on a whole completion; only its clocks are off."""
    from math_verify import parse, verify

    shown = gold if "$" in gold or "\\boxed" in gold else f"${gold}$"
    return bool(
        verify(parse(shown, parsing_timeout=None), parse(text, parsing_timeout=None), timeout_seconds=None)
    ), "plain"
