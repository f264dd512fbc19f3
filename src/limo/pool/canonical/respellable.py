r"""Which texts `spelling.respell` may change: one compiled pass over a batch, since most texts stay as they are.

For every rule of `spelling` there is a mark that no text lacks which the rule changes.  Marks are generous: what stands
before or behind one is looked at only as far as it keeps most texts out.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, ascii_uppercase, digits
from typing import Any

import numpy as np

from limo.pool.canonical.characters import after_letters, char_at, is_digit, is_letter
from limo.pool.canonical.compiled import compiled

_CAPITALS, _LETTERS, _DIGITS = ascii_uppercase, ascii_letters, digits
_ODD, _ODD_CODE = "\x7f", 127  # stands for all that is not ASCII
_BLANK = "".join(map(chr, range(33))) + "$~" + _ODD
_ANY = ""
# Marks, what may stand before them, and what may follow: pairs are looked up before anything else is.
_MARKS = (
    ('"\0&', _ANY, _ANY), ("`", _ANY, "`"), ("\\", _ANY, "\\,pebcu"), ("<>", _ANY, "="), ("{", "nstcgp ", _ANY),
    ("}", _BLANK + "{", _ANY), ("'", _BLANK + _DIGITS + _CAPITALS + ")]}{", _ANY),
    ("!", _BLANK + _DIGITS + _LETTERS + ")]}", _ANY), ("*", _BLANK + _DIGITS + ")", _ANY),
    ("?", _BLANK + ",=+-*/<>(", _ANY), (",", _DIGITS + "\n{" + _ODD, _DIGITS + "\\}" + _ODD),
    ("(", _ANY, _BLANK + ")\\"), ("/", _BLANK + _DIGITS + "/", _ANY), ("_", _BLANK + "_\\}", _ANY), ("~", " ", " "),
    (".", _DIGITS + _LETTERS + _ODD, _LETTERS), ("A", _ANY, _BLANK + ".Mm"), ("Pap", _ANY, ".Mm"), ("c", "r ", "e"),
    ("f", "\\cdt", "r"), ("q", "s", "r"),
)  # fmt: skip
FIRST, SECOND = 1, 2  # bits of a Han character: begins a word of two that is replaced, or ends it


def mark_tables(han_words: Sequence[str]) -> tuple[Any, Any, Any]:
    """Which characters of ASCII may stand before [128, 128] and behind a mark [128, 128]: row first, column second;
    and a byte for each code point below 2^16: `FIRST` and `SECOND` for a Han character.
    """
    before, behind, han = np.zeros((128, 128), bool), np.zeros((128, 128), bool), np.zeros(1 << 16, np.uint8)
    for marks, firsts, seconds in _MARKS:
        for mark in map(ord, marks):
            before[list(map(ord, firsts)) or slice(None), mark] = True
            behind[mark, list(map(ord, seconds)) or slice(None)] = True
    for word in han_words:
        han[ord(word[0])] |= FIRST
        han[ord(word[1])] |= SECOND
    return before, behind, han


@compiled
def find_respellable(chars: Any, ends: Any, before: Any, behind: Any, han: Any, found: Any) -> None:
    """Note in `found` which of the texts that end at `ends` in `chars` have a mark, by the `mark_tables`."""
    start = 0
    for row in range(len(ends)):
        end, found[row] = ends[row], False
        previous, char = 0, min(_ODD_CODE, chars[start]) if start < end else 0
        for position in range(start, end):
            following = min(_ODD_CODE, chars[position + 1]) if position + 1 < end else 0
            if char == _ODD_CODE:
                is_mark = _is_han_word(chars, position, end, han)
            else:
                is_mark = behind[char, following] and before[previous, char]
                is_mark = is_mark and _may_change(chars, position, start, end)
            if is_mark:
                found[row] = True
                break
            previous, char = char, following
        start = end


@compiled
def _is_han_word(chars: Any, position: int, end: int, han: Any) -> bool:
    char, following = chars[position], char_at(chars, position + 1, end)
    return char < len(han) and following < len(han) and han[char] & FIRST != 0 and han[following] & SECOND != 0


@compiled
def _may_change(chars: Any, position: int, start: int, end: int) -> bool:
    """Whether a rule may change something at the mark that stands at `position`."""
    char = chars[position]
    if is_letter(char):
        return _may_letter(chars, position, start, end)
    if char == 92:
        return _may_command(chars, position, start, end)
    if char == 123 or char == 125:
        return _may_brace(chars, position, start)
    if char == 38:  # &
        return _before(chars, position, start) != 92
    if char == 39 or char == 33:
        return _may_prime(chars, position, start, end) if char == 39 else _may_factorial(chars, position, start)
    if char == 44 or char == 40:
        return _may_thousands(chars, position, start, end) if char == 44 else _may_blank(chars, position, end)
    if char == 47 or char == 95:
        return _may_slash(chars, position, start, end) if char == 47 else _may_index(chars, position, start)
    if char == 46 or char == 63 or char == 42:
        return _may_other(chars, position, start, end)
    return True


@compiled
def _may_other(chars: Any, position: int, start: int, end: int) -> bool:
    """`2.x`, `= ?`, `2*3`."""
    char, previous = chars[position], _before(chars, position, start)
    if char == 46:
        is_single = is_letter(char_at(chars, position + 1, end)) and not is_letter(char_at(chars, position + 2, end))
        return is_single and _is_word(previous) and not _is_ascii_word(_before(chars, position - 1, start))
    solid = _before(chars, _after_solid(chars, position, start), start)
    if char == 63:
        is_sign = solid == 44 or solid == 61 or solid == 43 or solid == 45 or solid == 42
        return is_sign or solid == 47 or solid == 60 or solid == 62 or solid == 40
    return is_digit(solid) or solid == 41


@compiled
def _may_letter(chars: Any, position: int, start: int, end: int) -> bool:
    """`5 a.m.`, `A cat`, `per cent`, `\frac12`, `\\sqrt12`."""
    char, previous, following = chars[position], _before(chars, position, start), char_at(chars, position + 1, end)
    if char == 99:  # c
        is_cent = char_at(chars, position + 2, end) == 110
        return is_cent and (previous == 114 or _before(chars, position - 1, start) == 114)
    if char == 102:  # f
        is_fraction = char_at(chars, position + 2, end) == 97 and char_at(chars, position + 3, end) == 99
        return is_fraction and _may_fraction(chars, position + 4, end)
    if char == 113:  # q
        first = _solid_from(chars, position + 3, end)
        is_root = char_at(chars, position + 2, end) == 116
        return is_root and is_digit(char_at(chars, first, end)) and is_digit(char_at(chars, first + 1, end))
    last = _after_solid(chars, position, start)
    if following == 46 or following == 77 or following == 109:
        return _may_be_digit(_before(chars, last, start))
    if char != 65 or not _is_blank(following):
        return False
    solid = _before(chars, last, start)
    return solid == 0 or solid == 46 or solid == 63 or solid == 33 or position - last >= 3


@compiled
def _may_command(chars: Any, position: int, start: int, end: int) -> bool:
    r"""`\\`, `1\,000`, `\prime`, `\begin`, `\end`, `\col...`, `\com...`, `\choose`, `\cdot`, `\underline`, `\uline`."""
    char, first, last = char_at(chars, position + 1, end), char_at(chars, position + 2, end), position + 3
    third = char_at(chars, last, end)
    if char == 92:
        return True
    if char == 44:
        return _may_be_digit(_before(chars, position, start)) and _may_be_digit(first)
    if char == 99:  # c
        is_dot = first == 100 and third == 111 and after_letters(chars, position + 1, end) == position + 5
        return is_dot or (first == 104 and third == 111) or (first == 111 and (third == 108 or third == 109))
    if char == 117:  # u
        return (first == 110 and third == 100) or (first == 108 and third == 105)
    is_environment = (char == 101 and first == 110 and third == 100) or (char == 98 and first == 101 and third == 103)
    return is_environment or (char == 112 and first == 114 and third == 105)


@compiled
def _may_brace(chars: Any, position: int, start: int) -> bool:
    r"""`\sin{`, `{}`."""
    if chars[position] == 125:
        return _before(chars, _after_solid(chars, position, start), start) == 123
    stop = position - (_before(chars, position, start) == 32)
    last = _before(chars, stop, start)
    if not (last == 110 or last == 115 or last == 116 or last == 99 or last == 103 or last == 112):
        return False
    return is_letter(_before(chars, stop - 1, start)) and (
        _before(chars, stop - 2, start) == 92
        or (is_letter(_before(chars, stop - 2, start)) and _before(chars, stop - 3, start) == 92)
    )


@compiled
def _may_prime(chars: Any, position: int, start: int, end: int) -> bool:
    """`2'`, `AB'`, `^{''}`, `f ' (`."""
    previous, one_before = _before(chars, position, start), _before(chars, position - 1, start)
    if is_digit(previous) or previous == 41 or previous == 93 or previous == 125:
        return True
    if 65 <= previous <= 90:
        return 65 <= one_before <= 90
    if previous == 32 and char_at(chars, position + 1, end) == 32:
        return True
    return _before(chars, _after_solid(chars, position, start), start) == 123


@compiled
def _may_factorial(chars: Any, position: int, start: int) -> bool:
    """`5!`, `(n - 1)!`, `n !`."""
    last = _after_solid(chars, position, start)
    solid = _before(chars, last, start)
    if is_letter(solid):
        return not is_letter(_before(chars, last - 1, start)) or position - last >= 4
    return is_digit(solid) or solid == 41 or solid == 93 or solid == 125


@compiled
def _may_thousands(chars: Any, position: int, start: int, end: int) -> bool:
    r"""`1,000`, `1,\!000`, `1{,}000`."""
    previous, following = _before(chars, position, start), char_at(chars, position + 1, end)
    if previous == 123 or following == 125:
        return previous == 123 and following == 125
    return following == 92 or (
        _may_be_digit(following)
        and _may_be_digit(char_at(chars, position + 2, end))
        and _may_be_digit(char_at(chars, position + 3, end))
    )


@compiled
def _may_blank(chars: Any, position: int, end: int) -> bool:
    r"""`(  )`, `(\quad)`, `(\right)`."""
    first = _solid_from(chars, position + 1, end)
    char, following = char_at(chars, first, end), char_at(chars, first + 1, end)
    return char == 41 or (char == 92 and (following == 113 or following == 114))


@compiled
def _may_slash(chars: Any, position: int, start: int, end: int) -> bool:
    """`a // b`, `1 / 2`."""
    previous = _before(chars, position, start)
    if previous == 47 or (previous == 32 and _before(chars, position - 1, start) == 47):
        return True
    is_upper = is_digit(_before(chars, _after_solid(chars, position, start), start))
    return is_upper and is_digit(char_at(chars, _solid_from(chars, position + 1, end), end))


@compiled
def _may_index(chars: Any, position: int, start: int) -> bool:
    r"""`__`, `\_\_`, `\vec{a}_1`."""
    previous = _before(chars, position, start)
    if previous == 95 or (previous == 92 and _before(chars, position - 1, start) == 95):
        return True
    last = _after_solid(chars, position, start)
    return _before(chars, last, start) == 125 and _before(chars, last - 2, start) == 123


@compiled
def _may_fraction(chars: Any, position: int, end: int) -> bool:
    r"""Whether one of the two arguments behind `\frac` is a bare character."""
    first = _solid_from(chars, position, end)
    char = char_at(chars, first, end)
    if char != 123:
        return (is_digit(char) or is_letter(char) or char == 92) and not is_letter(char_at(chars, position, end))
    depth = 0
    while first < end:
        depth += (chars[first] == 123) - (chars[first] == 125)
        first += 1
        if depth > 2:  # deeper than the group of a fraction that is written anew
            return False
        if depth == 0:
            char = char_at(chars, _solid_from(chars, first, end), end)
            return is_digit(char) or is_letter(char) or char == 92
    return False


@compiled
def _before(chars: Any, position: int, start: int) -> Any:
    """The character before a position, or 0 where the text starts."""
    return chars[position - 1] if position > start else np.uint32(0)


@compiled
def _after_solid(chars: Any, position: int, start: int) -> int:
    """The position behind the last character before `position` that is not blank."""
    while position > start and _is_blank(chars[position - 1]):
        position -= 1
    return position


@compiled
def _solid_from(chars: Any, position: int, end: int) -> int:
    """The first position from `position` on whose character is not blank."""
    while position < end and _is_blank(chars[position]):
        position += 1
    return position


@compiled
def _is_blank(char: int) -> bool:
    """White space of any alphabet, control characters, `$` and `~`."""
    if char < 128:
        return char <= 32 or char == 36 or char == 126 or char == 127
    is_wide = 0x2000 <= char <= 0x200A or 0x2028 <= char <= 0x202F or char == 0x205F or char == 0x3000
    return is_wide or char == 0x85 or char == 0xA0 or char == 0x1680


@compiled
def _may_be_digit(char: int) -> bool:
    """0 to 9, and any character that may be a digit of another alphabet."""
    return is_digit(char) or (char >= 128 and not 0x3000 <= char <= 0x9FFF)


@compiled
def _is_ascii_word(char: int) -> bool:
    return is_digit(char) or is_letter(char)


@compiled
def _is_word(char: int) -> bool:
    """A letter or digit of any alphabet."""
    return is_digit(char) or is_letter(char) or char >= 128
