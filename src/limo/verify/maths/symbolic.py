"""Math-Verify's opinion of two answers, for a killable child: it may take minutes, gigabytes or the process down.

`open_comparer` imports it (a second) before any call is timed; its own time limits are off, since they use signals.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable

_FRACTION, _GROUP, _DIGIT = r"\\[dtc]?frac\s*", r"\{[^{}]*\}", r"(\d)"
_DIGITS_OF_FRACTION = (
    (re.compile(rf"({_FRACTION}){_DIGIT}"), r"\1{\2}"),
    (re.compile(rf"({_FRACTION}{_GROUP}\s*){_DIGIT}"), r"\1{\2}"),
)
Opinion = tuple[bool | None, str]  # equal, not equal, or None where it cannot say; and why


def open_comparer(default_settings: bool = False) -> Callable[[tuple[str, str]], Opinion]:
    """`compare`, or `compare_by_default`, with Math-Verify imported."""
    gc.disable()  # nothing of an import is garbage
    import math_verify  # noqa: F401

    gc.enable()
    gc.freeze()  # sympy's objects stay; traversing them again and again would cost more than the calls
    return compare_by_default if default_settings else compare


def compare(pair: tuple[str, str]) -> Opinion:
    """Whether an answer and an extracted answer, both LaTeX, are equal.

    Delimiters are supplied, without which it reads no LaTeX at all.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig()]
    answer, extracted = (
        parse(f"${with_braces(text.strip().strip('$'))}$", config, fallback_mode="no_fallback", parsing_timeout=None)
        for text in pair
    )
    if not answer:
        return None, "the answer cannot be read"
    if not extracted:
        return False, "the completion's answer cannot be read"
    return bool(verify(answer, extracted, timeout_seconds=None)), "Math-Verify"


def with_braces(text: str) -> str:
    r"""`\frac123` as `\frac{1}{2}3`, which Math-Verify takes for 1/23."""
    for pattern, replacement in _DIGITS_OF_FRACTION:
        text = pattern.sub(replacement, text)
    return text


def compare_by_default(pair: tuple[str, str]) -> Opinion:
    """Math-Verify with its default settings on an answer and a whole completion."""
    from math_verify import parse, verify

    answer, completion = pair
    delimited = answer if "$" in answer or "\\boxed" in answer else f"${answer}$"
    sides = [parse(text, parsing_timeout=None) for text in (delimited, completion)]
    return bool(verify(*sides, timeout_seconds=None)), "Math-Verify"
