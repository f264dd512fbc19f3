"""Texts as code points, compiled predicates on single ones, and where runs of them end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from limo.pool.canonical.compiled import compiled

Array = Any  # of NumPy


def code_points(texts: Iterable[str]) -> tuple[Array, Array]:
    """All characters of the texts as uint32, one text after the other, and where each ends."""
    texts = list(texts)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(encoded, np.uint32).copy()  # read-only arrays would have everything compiled twice
    return chars, np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))


@compiled
def is_digit(char: Any) -> bool:
    """0 to 9; other digits were replaced by these before."""
    return 48 <= char <= 57


@compiled
def is_letter(char: Any) -> bool:
    """A to Z or a to z."""
    return 65 <= char <= 90 or 97 <= char <= 122


@compiled
def is_space(char: Any) -> bool:
    """White space, control characters, `$`, `~` and `&`."""
    return char <= 32 or char == 36 or char == 38 or char == 126 or char == 127


@compiled
def is_han(char: Any) -> bool:
    """A Chinese character; each is a word."""
    return 0x3400 <= char <= 0x9FFF


@compiled
def char_at(chars: Any, position: int, end: int) -> Any:
    """The character there, or 0 past the end."""
    return chars[position] if position < end else np.uint32(0)


@compiled
def after_spaces(chars: Any, position: int, end: int) -> int:
    """The first position from `position` on that is not white space."""
    while position < end and is_space(chars[position]):
        position += 1
    return position


@compiled
def after_digits(chars: Any, position: int, end: int) -> int:
    """The first position from `position` on that is not a digit."""
    while position < end and is_digit(chars[position]):
        position += 1
    return position


@compiled
def after_letters(chars: Any, position: int, end: int) -> int:
    """The first position from `position` on that is not a letter."""
    while position < end and is_letter(chars[position]):
        position += 1
    return position


@compiled
def are_letters(chars: Any, position: int, end: int, n: int) -> bool:
    """Whether the next `n` characters are letters."""
    return position >= 0 and position + n <= end and after_letters(chars, position, position + n) == position + n


@compiled
def is_hyphen(chars: Any, position: int, start: int, end: int) -> bool:
    """`two-digit` and `9-kilometer` are hyphenated; `x-1` and `ab-cd` are differences."""
    return (position - 3 >= start and are_letters(chars, position - 3, end, 3)) or are_letters(
        chars, position + 1, end, 3
    )
