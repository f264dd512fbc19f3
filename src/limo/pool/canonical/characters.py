"""What single characters are, and where runs of them end: the alphabet of the compiled scanner.

Code points are compared as numbers, since that is what a batch of texts is to compiled code.

    after_letters(chars, place, end)        # the first place from `place` on that holds no letter

What it does not do: anything beyond one run; rules about statements stand in `scan` and `latex`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical.compiled import compiled


@compiled
def is_digit(char: Any) -> bool:
    """`0` to `9`; other digits were folded to these before."""
    return 48 <= char <= 57


@compiled
def is_letter(char: Any) -> bool:
    """A Latin letter; all others are marks of their own."""
    return 65 <= char <= 90 or 97 <= char <= 122


@compiled
def is_space(char: Any) -> bool:
    """White space, and what typesets nothing that counts: `$`, `~`, `&`."""
    return char <= 32 or char == 36 or char == 38 or char == 126 or char == 127


@compiled
def is_han(char: Any) -> bool:
    """A Chinese character, which is a word of its own."""
    return 0x3400 <= char <= 0x9FFF


@compiled
def at(chars: Any, place: int, end: int) -> Any:
    """The character there, or 0 past the end."""
    return chars[place] if place < end else np.uint32(0)


@compiled
def after_spaces(chars: Any, place: int, end: int) -> int:
    """The first place from `place` on without white space."""
    while place < end and is_space(chars[place]):
        place += 1
    return place


@compiled
def after_digits(chars: Any, place: int, end: int) -> int:
    """The first place from `place` on without a digit."""
    while place < end and is_digit(chars[place]):
        place += 1
    return place


@compiled
def after_letters(chars: Any, place: int, end: int) -> int:
    """The first place from `place` on without a letter."""
    while place < end and is_letter(chars[place]):
        place += 1
    return place


@compiled
def are_letters(chars: Any, place: int, end: int, n: int) -> bool:
    """Whether `n` letters stand there."""
    return place >= 0 and place + n <= end and after_letters(chars, place, place + n) == place + n


@compiled
def is_hyphen(chars: Any, place: int, start: int, end: int) -> bool:
    """`two-digit` and `9-kilometer` are hyphenated; `x-1` and `ab-cd` are differences."""
    return (place - 3 >= start and are_letters(chars, place - 3, end, 3)) or are_letters(chars, place + 1, end, 3)


@compiled
def thousands(chars: Any, place: int, end: int) -> int:
    """Where the three digits after `,` or `{,}` start, if they are exactly three; else 0."""
    if at(chars, place, end) == 44:
        first = place + 1
    elif at(chars, place, end) == 123 and at(chars, place + 1, end) == 44 and at(chars, place + 2, end) == 125:
        first = place + 3
    else:
        return 0
    return first if after_digits(chars, first, end) == first + 3 else 0


@compiled
def denominator(chars: Any, place: int, stop: int, start: int, end: int) -> int:
    """Where the lower number of `1/2` starts, if two whole numbers and nothing larger stand here; else 0."""
    if place == stop or (place > start and _continues(chars[place - 1], True)):
        return 0
    slash = after_spaces(chars, stop, end)
    if at(chars, slash, end) != 47:
        return 0
    below = after_spaces(chars, slash + 1, end)
    last = after_digits(chars, below, end)
    sentence_ends = at(chars, last, end) == 46 and not is_digit(at(chars, last + 1, end))
    if last == below or (last < end and _continues(chars[last], False) and not sentence_ends):
        return 0
    return below


@compiled
def _continues(char: Any, before: bool) -> bool:
    """Whether a number beside this character is part of something larger than itself."""
    part = is_letter(char) or is_digit(char) or char == 95 or char == 46 or char == 47
    return part or (char == 125 or char == 92 if before else char == 123)
