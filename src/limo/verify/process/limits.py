"""What one question may cost, and Math-Verify called within that: the part of a killable child that is about limits.

The clocks are the kernel's, which ends this process even while C code holds the interpreter, so that a child whose
parent has died does not outlive its question.  Math-Verify gets its delimiters supplied (without them it reads no
LaTeX) and its own time-outs are off (they use signals).

    confine(Limits(time_s=5.0))
    clock(5.0)
    same, reason = symbolic("\\frac12", "0.5")

What it does not do: talk to the parent (`child` does), or run in the parent.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection

DOUBLE_DIGITS = 15  # significant digits that a machine's number keeps
FAILED = "failed"  # the tier of a verdict that a mistake in our own rules left open
LOADING, READY = b"L", b"R"
REPLY, ALONE = b"V", b"A"  # replies; and replies after which one question is worked on alone
PUT_OFF = (None, "put off")  # the reply of a child that may not import Math-Verify to a question that needs it
WALL = 6.0  # seconds on the wall for one of work: a busy machine must not turn right answers into undecided ones


@dataclass(frozen=True, slots=True)
class Limits:
    """What one verdict may cost: seconds of work, bytes of address space, depth of Python's stack."""

    time_s: float = 5.0
    memory_bytes: int = 2 << 30
    recursion: int = 3000


def confine(limits: Limits) -> None:
    """Put this process under its limits, for good."""
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


def clock(time_s: float) -> None:
    """Let the kernel end this process after so many seconds of work, or many more on the wall; 0 stops both clocks."""
    signal.setitimer(signal.ITIMER_PROF, time_s)
    signal.setitimer(signal.ITIMER_REAL, WALL * time_s + (3.0 if time_s else 0.0))


class PutOff(BaseException):
    """This question is for a child that has Math-Verify.  No error, and nothing on its way may catch it as one."""


def loaded() -> bool:
    """Whether this process has imported Math-Verify."""
    return "math_verify" in sys.modules


def load(pipe: Connection) -> None:
    """Import Math-Verify outside the clock: the parent is told, and waits longer."""
    if not loaded():
        clock(0)
        pipe.send_bytes(LOADING)
        gc.disable()  # nothing of an import is garbage
        import math_verify  # noqa: F401

        gc.enable()
        gc.freeze()  # sympy's objects stay; looking through them again and again would cost more than the answers
        pipe.send_bytes(READY)


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
