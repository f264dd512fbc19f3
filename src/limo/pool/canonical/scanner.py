"""The compiled scanner: one pass over the characters of a batch of statements.

For each statement it writes the canonical form and that form's 128-bit hash, the tokens, and the hashes of its
numbers, digits, operators and names in order.  `limo.pool.canonical.reference` is its specification: it gives the same
arrays, to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical import buffers
from limo.pool.canonical.characters import (
    after_digits,
    after_letters,
    after_spaces,
    are_letters,
    char_at,
    denominator,
    is_digit,
    is_han,
    is_hyphen,
    is_letter,
    is_space,
    thousands,
)  # fmt: skip
from limo.pool.canonical.compiled import compiled
from limo.pool.canonical.latex import brace, command, short_group
from limo.pool.canonical.lexicon import lexicon_table

_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF, _21, _42 = np.uint64(32), np.uint64(21), np.uint64(42)


def scan_batch(chars: Any, ends: Any, keep: bool) -> tuple[Any, Any, Any, list[str]]:
    """Scan the texts that end at `ends` in `chars` (code points, uint32).

    Returns their tokens [n, 5], their keys [n texts, 6], where the tokens of each text end, and with `keep` their
    canonical forms.
    """
    longest = chars.size if keep else int(np.diff(ends, prepend=0).max(initial=0))
    # Nothing grows more than `1/2`, whose three characters become twelve, and it has no more tokens than characters.
    out = np.zeros(buffers.OUT + 4 * longest + 16, np.int64)
    tokens = np.empty((chars.size + 8, buffers.N_COLUMNS), np.uint64)
    keys, text_ends = np.empty((len(ends), buffers.N_KEYS), np.uint64), np.empty((len(ends), 2), np.int64)
    scan(chars, ends, lexicon_table(), out, tokens, keys, text_ends, keep)
    stops = (text_ends[:, 1] - buffers.OUT).tolist() if keep else []
    written = out[buffers.OUT : buffers.OUT + stops[-1] if stops else buffers.OUT]
    text = written.astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
    forms = [text[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)] if stops else []
    return tokens[: int(out[buffers.N_TOKENS])], keys, text_ends[:, 0], forms


@compiled
def scan(chars: Any, ends: Any, lexicon: Any, out: Any, tokens: Any, keys: Any, text_ends: Any, keep: bool) -> None:
    """Read the texts that end at `ends` in `chars` (code points).

    Fills `tokens`, the `keys` of each text and in `text_ends` where its tokens and its canonical characters end; the
    latter stay in `out` only with `keep`.
    """
    start = 0
    out[buffers.N_OUT], out[buffers.N_TOKENS] = buffers.OUT, 0
    for row in range(len(ends)):
        end = ends[row]
        if not keep:
            out[buffers.N_OUT] = buffers.OUT
        first_out, first_token = out[buffers.N_OUT], out[buffers.N_TOKENS]
        out[buffers.FIRST] = first_out
        out[buffers.GAP], out[buffers.OPENS], out[buffers.DEPTH] = 0, 1, 0
        position = _after_heading(chars, start, end, lexicon)
        while position < end:
            position = _step(chars, position, start, end, lexicon, out, tokens)
        while out[buffers.N_OUT] > first_out and _is_trailing(out[out[buffers.N_OUT] - 1]):
            out[buffers.N_OUT] -= 1
        _write_keys(out, tokens, keys[row], first_out, first_token)
        text_ends[row, 0], text_ends[row, 1] = out[buffers.N_TOKENS], out[buffers.N_OUT]
        start = end


@compiled
def _step(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """Read what stands at `position`; where the next element starts."""
    char = chars[position]
    if is_letter(char):
        return _word(chars, position, end, lexicon, out, tokens)
    if is_space(char):
        out[buffers.GAP] = 1
        return position + 1
    if is_digit(char) or (char == 46 and is_digit(char_at(chars, position + 1, end))):
        return _number(chars, position, start, end, lexicon, out, tokens)
    if char == 92:
        return _backslash(chars, position, start, end, lexicon, out, tokens)
    if char == 123 or char == 125:
        brace(char, out)
        return position + 1
    if char == 94 or char == 95:
        buffers.emit(out, char)
        if char == 94:
            buffers.add_token(out, tokens, np.uint64(char), buffers.SIGN, position, position + 1)
        return short_group(chars, position + 1, end, lexicon, out, tokens)
    return _mark(chars, position, start, end, lexicon, out, tokens)


@compiled
def _write_keys(out: Any, tokens: Any, keys: Any, first_out: int, first_token: int) -> None:
    """The keys of the text that was read last."""
    one, two, last = buffers.SEED, _SECOND, out[buffers.N_OUT]
    for position in range(first_out, last, 3):  # a code point has 21 bits, so three are folded at once
        three = np.uint64(out[position])
        if position + 1 < last:
            three |= np.uint64(out[position + 1]) << _21
        if position + 2 < last:
            three |= np.uint64(out[position + 2]) << _42
        one, two = buffers.mix(one, three), (two ^ three) * _SECOND
        two ^= two >> _HALF
    numbers, digits, operators, names = buffers.SEED, buffers.SEED, buffers.SEED, buffers.SEED
    for position in range(first_token, out[buffers.N_TOKENS]):
        kind, hashed = tokens[position, buffers.KIND], tokens[position, buffers.HASH]
        if kind in (buffers.NUMBER, buffers.NUMBER_WORD):
            numbers = buffers.mix(numbers, hashed)
        if kind == buffers.NUMBER:
            digits = buffers.mix(digits, hashed)
        if kind == buffers.OPERATOR:
            operators = buffers.mix(operators, hashed)
        if tokens[position, buffers.NAME] != 0:
            names = buffers.mix(names, tokens[position, buffers.NAME])
    keys[buffers.TEXT], keys[buffers.TEXT_2], keys[buffers.NUMBERS], keys[buffers.DIGITS] = one, two, numbers, digits
    keys[buffers.OPERATORS], keys[buffers.NAMES] = operators, names


@compiled
def _is_trailing(char: int) -> bool:
    """`.`, `,`, `;`, `:` or `!`."""
    return char == 46 or char == 44 or char == 59 or char == 58 or char == 33


@compiled
def _word(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """A run of letters: lower case where its case is only typography, a name where it is not."""
    stop, n_capitals = position, 0
    while stop < end and is_letter(chars[stop]):
        n_capitals += chars[stop] <= 90
        stop += 1
    capital = chars[position] <= 90
    length = stop - position
    lower = capital and ((n_capitals == 1 and length > 1) or (n_capitals == length and n_capitals > 3))
    buffers.emit_word(out, chars, position, stop, lower)
    hashed, first = buffers.hash_of(chars, position, stop, buffers.WORD, True), out[buffers.OPENS] == 1
    entry = buffers.find_entry(lexicon, hashed)
    number = buffers.flags_of(lexicon, entry) & buffers.IS_NUMBER
    if number:
        buffers.add_token(out, tokens, lexicon[buffers.L_VALUE, entry], buffers.NUMBER_WORD, position, stop)
    else:
        buffers.add_token(out, tokens, hashed, buffers.WORD, position, stop)
    if capital and not (first and buffers.flags_of(lexicon, entry) & (buffers.IS_NUMBER | buffers.IS_OPENER)):
        tokens[out[buffers.N_TOKENS] - 1, buffers.NAME] = buffers.hash_of(chars, position, stop, buffers.WORD, False)
    return stop


@compiled
def _number(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    r"""A number without thousands' marks and idle zeros; a slashed fraction becomes `\frac`."""
    first, stop = position, after_digits(chars, position, end)
    below = denominator(chars, position, stop, start, end)
    if below > 0:
        return _fraction(chars, position, stop, below, end, lexicon, out, tokens)
    length = 0
    if position == stop:  # `.5`
        buffers.emit(out, 48)
        length = 1
    while position < stop:
        buffers.emit(out, chars[position])
        length += 1
        position += 1
        following = thousands(chars, position, end) if position == stop else 0
        if following > 0:
            position, stop = following, following + 3
    if char_at(chars, stop, end) == 46 and is_digit(char_at(chars, stop + 1, end)):
        position, stop = stop, after_digits(chars, stop + 1, end)
        last = stop
        while chars[last - 1] == 48:
            last -= 1
        while (position < last and last - position > 1) or (position < last and chars[position] != 46):
            buffers.emit(out, chars[position])
            length += 1
            position += 1
    n_out = out[buffers.N_OUT]
    hashed = buffers.hash_of(out, n_out - length, n_out, buffers.NUMBER, False)
    buffers.add_token(out, tokens, hashed, buffers.NUMBER, first, stop)
    return stop


@compiled
def _fraction(chars: Any, position: int, stop: int, below: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """`1/2` between the positions given, written as LaTeX writes it."""
    last = after_digits(chars, below, end)
    for char in (92, 102, 114, 97, 99):
        buffers.emit(out, char)
    buffers.add_token(out, tokens, lexicon[buffers.L_VALUE, 0], buffers.COMMAND, position, last)
    buffers.emit_braced(out, tokens, chars, position, stop, buffers.NUMBER)
    buffers.emit_braced(out, tokens, chars, below, last, buffers.NUMBER)
    return last


@compiled
def _backslash(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    r"""A command, or an escaped character: `\{`, `\}`, `\|` stand, `\%`, `\#`, `\_` are the character, others space."""
    char = char_at(chars, position + 1, end)
    if is_letter(char):
        return command(chars, position, end, lexicon, out, tokens)
    if _is_spacing(char):
        out[buffers.GAP] = 1
    elif char == 37 or char == 35 or char == 95:
        return _mark(chars, position + 1, start, end, lexicon, out, tokens)
    else:
        buffers.emit(out, 92)
        buffers.emit(out, char)
        out[buffers.OPENS] = 0
    return position + 2


@compiled
def _mark(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """Everything else: punctuation, operators, Han characters, letters of other alphabets."""
    char, following = chars[position], char_at(chars, position + 1, end)
    if char == 46 and following == 46 and char_at(chars, position + 2, end) == 46:
        for letter in (92, 100, 111, 116, 115):
            buffers.emit(out, letter)
        buffers.add_token(out, tokens, lexicon[buffers.L_SPELLED, 0], buffers.COMMAND, position, position + 3)
        return position + 3
    is_quote = char == 34 or char == 96 or (char == 39 and not _is_prime(chars, position, start))
    if char == 46 or char == 63:  # `.` and `?` are marks of a sentence but between digits
        if is_digit(following):
            buffers.emit(out, char)
        out[buffers.OPENS] = 1
    elif is_quote or (char == 44 and _is_pause(chars, position, end)):
        return position + 1
    elif char == 40:
        after = _after_points(chars, position, end, lexicon)
        if after > 0:
            out[buffers.GAP] = 1
            return after
        buffers.emit(out, char)
    else:
        buffers.emit(out, char)
        out[buffers.OPENS] = 1 if char == 33 or char == 58 else 0
        hashed = buffers.mix(buffers.SEED, np.uint64(char))
        if is_han(char):
            buffers.add_token(out, tokens, hashed, buffers.HAN, position, position + 1)
        elif _is_operator(char) and not (char == 45 and is_hyphen(chars, position, start, end)):
            buffers.add_token(out, tokens, hashed, buffers.OPERATOR, position, position + 1)
            out[buffers.OPENS] = 1 if char == 33 else 0
    return position + 1


@compiled
def _is_operator(char: int) -> bool:
    """`-+*/=<>!|%`."""
    arithmetic = char == 45 or char == 43 or char == 42 or char == 47 or char == 61
    return arithmetic or char == 60 or char == 62 or char == 33 or char == 124 or char == 37


@compiled
def _is_prime(chars: Any, position: int, start: int) -> bool:
    """`f'` and `A''` are mathematics; the apostrophe of `Tom's` and a quotation mark are not."""
    while position > start and chars[position - 1] == 39:
        position -= 1
    if position == start or not is_letter(chars[position - 1]):
        return False
    return position - 1 == start or not is_letter(chars[position - 2])


@compiled
def _is_pause(chars: Any, position: int, end: int) -> bool:
    """A comma before a word; one between terms (`(1, 2)`, `x, y`) counts."""
    after = position + 1
    while after < end and (
        is_space(chars[after]) or (chars[after] == 92 and _is_spacing(char_at(chars, after + 1, end)))
    ):
        after += 1 if is_space(chars[after]) else 2
    return after > position + 1 and are_letters(chars, after, end, 3)


@compiled
def _is_spacing(char: int) -> bool:
    r"""Whether it is a space or a delimiter behind a backslash: all but letters, `{`, `}`, `|`, `%`, `#` and `_`."""
    itself = char == 123 or char == 125 or char == 124 or char == 37 or char == 35 or char == 95
    return not itself and not is_letter(char)


@compiled
def _has_flag(chars: Any, start: int, end: int, lexicon: Any, flag: int) -> bool:
    """Whether the word between two positions has a flag in the lexicon."""
    entry = buffers.find_entry(lexicon, buffers.hash_of(chars, start, end, buffers.WORD, True))
    return buffers.flags_of(lexicon, entry) & flag != 0


@compiled
def _after_points(chars: Any, position: int, end: int, lexicon: Any) -> int:
    """Behind `(5 points)`, which an exam adds to a problem; 0 where nothing of that kind stands here."""
    number = after_spaces(chars, position + 1, end)
    stop = after_digits(chars, number, end)
    if stop == number or stop - number > 3:
        return 0
    word = after_spaces(chars, stop, end)
    last = after_letters(chars, word, end)
    if char_at(chars, word, end) == 0x5206:  # 分
        last = word + 1
    elif last == word or not _has_flag(chars, word, last, lexicon, buffers.IS_POINTS):
        return 0
    last = after_spaces(chars, last, end)
    return last + 1 if char_at(chars, last, end) == 41 else 0


@compiled
def _after_heading(chars: Any, start: int, end: int, lexicon: Any) -> int:
    """Behind `Problem 5.`, `例3` or `12.` at the start of a text; `start` where it begins otherwise."""
    first = after_spaces(chars, start, end)
    word = after_letters(chars, first, end)
    if char_at(chars, first, end) == 0x4F8B or char_at(chars, first, end) == 0x9898:  # 例, 题
        word = first + 1
    elif word > first and not _has_flag(chars, first, word, lexicon, buffers.IS_HEADING):
        return start
    number = after_spaces(chars, word, end)
    stop = after_digits(chars, number, end)
    if stop == number or stop - number > (4 if word > first else 3):
        return start
    mark = after_spaces(chars, stop, end)
    char = char_at(chars, mark, end)
    marked = char == 46 or char == 41 or (char == 58 and word > first)
    after = after_spaces(chars, mark + 1 if marked else stop, end)
    if not marked and word == first:
        return start
    if after == (mark + 1 if marked else stop) or (word == first and is_digit(char_at(chars, after, end))):
        return start
    return after
