r"""The compiled scanner's LaTeX: fonts and spacing are dropped, synonyms become one name, short forms get braces.

`\dfrac12`, `\frac{1}{2}` and `1/2` have one canonical form, and so have `x^2` and `x^{2}`.  A command that is not in
the lexicon is copied.  `limo.pool.canonical.reference` has the same rules in plain Python.
"""

from __future__ import annotations

from typing import Any

from limo.pool.canonical import buffers
from limo.pool.canonical.characters import after_letters, after_spaces, char_at, is_digit, is_letter
from limo.pool.canonical.compiled import compiled


@compiled
def command(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """Read the command at `position`, whose name is at least one letter; where the next element starts."""
    stop = after_letters(chars, position + 1, end)
    entry = buffers.find_entry(lexicon, buffers.hash_of(chars, position + 1, stop, buffers.COMMAND, False))
    flags = buffers.flags_of(lexicon, entry)
    if flags & buffers.IS_DROPPED:
        out[buffers.GAP] = 1
        return stop
    if flags & buffers.IS_FONT:
        out[buffers.GAP] = 1
        brace = after_spaces(chars, stop, end)
        if char_at(chars, brace, end) != 123:
            return stop
        buffers.push(out, buffers.DROPPED)
        return brace + 1
    flags = _named(chars, position, stop, entry, lexicon, out, tokens)
    if flags & buffers.IS_FRACTION:
        return _short_fraction(chars, stop, end, out, tokens)
    if flags & buffers.IS_ROOT:
        return short_group(chars, stop, end, lexicon, out, tokens)
    return _accent(chars, stop, end, lexicon, out, tokens) if flags & buffers.IS_ACCENT else stop


@compiled
def _named(chars: Any, position: int, stop: int, entry: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """Write a command under its one name; the flags of that name."""
    if buffers.flags_of(lexicon, entry) & buffers.IS_SYNONYM == 0:
        buffers.emit(out, chars[position])
        buffers.emit_word(out, chars, position + 1, stop, False)
        flags = buffers.flags_of(lexicon, entry)
        hashed = buffers.hash_of(chars, position + 1, stop, buffers.COMMAND, False)
    else:
        spelled, last = lexicon[buffers.L_SPELLED :, entry], 0
        while spelled[last] != 0:
            buffers.emit(out, spelled[last])
            last += 1
        if not is_letter(spelled[last - 1]):  # a sign: `|`, `<`, `\{`
            if last == 1:
                buffers.add_token(out, tokens, buffers.mix(buffers.SEED, spelled[0]), buffers.OPERATOR, position, stop)
            return 0
        hashed = buffers.hash_of(spelled, 1, last, buffers.COMMAND, False)
        flags = buffers.flags_of(lexicon, buffers.find_entry(lexicon, hashed))
    kind = buffers.OPERATOR if flags & buffers.IS_OPERATOR else buffers.COMMAND
    buffers.add_token(out, tokens, hashed, kind, position, stop)
    return flags


@compiled
def short_group(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    r"""Braces for an argument of `^`, `_` or a root without: `^2` becomes `^{2}`, `^\circ` becomes `^{\circ}`."""
    first = after_spaces(chars, position, end)
    char = char_at(chars, first, end)
    if is_letter(char) or is_digit(char):
        buffers.emit_braced(out, tokens, chars, first, first + 1, buffers.NUMBER if is_digit(char) else buffers.WORD)
        return first + 1
    stop = after_letters(chars, first + 1, end)
    entry = (
        buffers.find_entry(lexicon, buffers.hash_of(chars, first + 1, stop, buffers.COMMAND, False))
        if char == 92
        else 0
    )
    if buffers.flags_of(lexicon, entry) & buffers.IS_ALONE:
        buffers.emit(out, 123)
        _named(chars, first, stop, entry, lexicon, out, tokens)
        buffers.emit(out, 125)
        return stop
    return position


@compiled
def _short_fraction(chars: Any, position: int, end: int, out: Any, tokens: Any) -> int:
    r"""`\frac12` becomes `\frac{1}{2}`, and `\frac1{23}` becomes `\frac{1}{23}`."""
    for _ in range(2):
        digit = after_spaces(chars, position, end)
        if not is_digit(char_at(chars, digit, end)):
            break
        buffers.emit_braced(out, tokens, chars, digit, digit + 1, buffers.NUMBER)
        position = digit + 1
    return position


@compiled
def _accent(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    r"""`\bar{r}_1` becomes `\bar{r_{1}}`: people write either."""
    brace = after_spaces(chars, position, end)
    letter = char_at(chars, brace + 1, end)
    if char_at(chars, brace, end) != 123 or not is_letter(letter) or char_at(chars, brace + 2, end) != 125:
        return position
    sign = after_spaces(chars, brace + 3, end)
    if char_at(chars, sign, end) != 95:
        return position
    buffers.emit(out, 123)
    buffers.emit(out, letter)
    buffers.emit(out, 95)
    buffers.add_token(
        out,
        tokens,
        buffers.hash_of(chars, brace + 1, brace + 2, buffers.WORD, True),
        buffers.WORD,
        brace + 1,
        brace + 2,
    )
    after = after_spaces(chars, sign + 1, end)
    if char_at(chars, after, end) == 123:
        buffers.emit(out, 123)
        buffers.push(out, buffers.TWICE)
        return after + 1
    after = short_group(chars, sign + 1, end, lexicon, out, tokens)
    buffers.emit(out, 125)
    return after


@compiled
def brace(char: int, out: Any) -> None:
    """An opening or closing brace, which stands unless its font went."""
    out[buffers.OPENS] = 0
    if char == 123:
        buffers.emit(out, 123)
        buffers.push(out, buffers.PLAIN)
        return
    closing = buffers.pop(out)
    if closing == buffers.DROPPED:
        out[buffers.GAP] = 1
        return
    buffers.emit(out, 125)
    if closing == buffers.TWICE:
        buffers.emit(out, 125)
