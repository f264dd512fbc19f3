"""The compiled scanner: one pass over the characters of a batch of statements.

For each statement it writes the canonical form and that form's 128-bit hash, the tokens, and the hashes of its
numbers, digits, operators and names in order.  `tests/pool/canonical/reference.py` is its specification: it gives the
same arrays, to the bit.
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
    is_digit,
    is_han,
    is_hyphen,
    is_letter,
    is_space,
)  # fmt: skip
from limo.pool.canonical.compiled import compiled
from limo.pool.canonical.lexicon import lexicon_table

_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_MOST_PRIMES = 16  # that are read as one mark; each looks at those before it
_HALF, _21, _42 = np.uint64(32), np.uint64(21), np.uint64(42)


def scan_batch(chars: Any, ends: Any, keep: bool) -> tuple[Any, Any, Any, list[str]]:
    """Scan the texts that end at `ends` in `chars` (code points, uint32).

    Returns their tokens [n, 5], their keys [n texts, 6], where the tokens of each text end, and with `keep` their
    canonical forms.
    """
    longest = chars.size if keep else int(np.diff(ends, prepend=0).max(initial=0))
    # Nothing grows more than `\to`, which becomes `\rightarrow`, and a text has no more tokens than characters.
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
        out[buffers.SYMBOL_HASH] = np.int64(buffers.SEED)
        position = start
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
        return _number(chars, position, end, out, tokens)
    if char == 92:
        return _backslash(chars, position, start, end, lexicon, out, tokens)
    if char == 123 or char == 125:
        _brace(char, out)
        return position + 1
    if char == 94 or char == 95:
        buffers.emit(out, char)
        buffers.add_symbol(out, char)
        if char == 94:
            buffers.add_token(out, tokens, np.uint64(char), buffers.SIGN, position, position + 1)
        return _short_group(chars, position + 1, end, lexicon, out, tokens)
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
    numbers, names = buffers.SEED, buffers.SEED
    for position in range(first_token, out[buffers.N_TOKENS]):
        kind, hashed = tokens[position, buffers.KIND], tokens[position, buffers.HASH]
        if kind in (buffers.NUMBER, buffers.NUMBER_WORD):
            numbers = buffers.mix(numbers, hashed)
        if tokens[position, buffers.NAME] != 0:
            names = buffers.mix(names, tokens[position, buffers.NAME])
    keys[buffers.TEXT], keys[buffers.TEXT_2], keys[buffers.NUMBERS], keys[buffers.NAMES] = one, two, numbers, names
    keys[buffers.SYMBOLS] = np.uint64(out[buffers.SYMBOL_HASH])


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
    if length == 1 and char_at(chars, position, end) not in (65, 73, 97):  # `A`, `I` and `a` are words too
        buffers.add_symbol(out, chars[position])
    hashed, first = buffers.hash_of(chars, position, stop, buffers.WORD, True), out[buffers.OPENS] == 1
    entry = buffers.find_entry(lexicon, hashed)
    flags = buffers.flags_of(lexicon, entry)
    if flags & buffers.IS_FUNCTION:
        buffers.add_symbol(out, hashed)
    if flags & buffers.IS_NUMBER:
        buffers.add_token(out, tokens, lexicon[buffers.L_VALUE, entry], buffers.NUMBER_WORD, position, stop)
    else:
        buffers.add_token(out, tokens, hashed, buffers.WORD, position, stop)
    if capital and not (first and flags & (buffers.IS_NUMBER | buffers.IS_OPENER)):
        tokens[out[buffers.N_TOKENS] - 1, buffers.NAME] = buffers.hash_of(chars, position, stop, buffers.WORD, False)
    return stop


@compiled
def _number(chars: Any, position: int, end: int, out: Any, tokens: Any) -> int:
    """A number as it is written; its token has no idle zeros, so that 2.50 and 2.5 are one number in two spellings."""
    first, stop = position, after_digits(chars, position, end)
    n_before = out[buffers.N_OUT]
    if position == stop:  # `.5`
        buffers.emit(out, 48)
    while position < stop:
        buffers.emit(out, chars[position])
        position += 1
    n_idle = 0
    if char_at(chars, stop, end) == 46 and is_digit(char_at(chars, stop + 1, end)):
        stop = after_digits(chars, stop + 1, end)
        last = stop
        while chars[last - 1] == 48:
            last -= 1
        n_idle = stop - last + (chars[last - 1] == 46)
        while position < stop:
            buffers.emit(out, chars[position])
            position += 1
    n_out = out[buffers.N_OUT] - n_idle
    hashed = buffers.hash_of(out, n_before + (out[n_before] == 32), n_out, buffers.NUMBER, False)
    buffers.add_token(out, tokens, hashed, buffers.NUMBER, first, stop)
    return stop


@compiled
def _backslash(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    r"""A command, or an escaped character: `\{`, `\}`, `\|` stand, `\%`, `\#`, `\_` are the character, others space."""
    char = char_at(chars, position + 1, end)
    if is_letter(char):
        return _command(chars, position, end, lexicon, out, tokens)
    if _is_spacing(char):
        out[buffers.GAP] = 1
    elif char == 37 or char == 35 or char == 95:
        return _mark(chars, position + 1, start, end, lexicon, out, tokens)
    else:
        buffers.emit(out, 92)
        buffers.emit(out, char)
        buffers.add_symbol(out, char)
        out[buffers.OPENS] = 0
    return position + 2


@compiled
def _command(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """The command at `position`: fonts, spacing go, functions become words, synonyms one name; others are copied."""
    stop = after_letters(chars, position + 1, end)
    entry = buffers.find_entry(lexicon, buffers.hash_of(chars, position + 1, stop, buffers.COMMAND, False))
    flags = buffers.flags_of(lexicon, entry)
    if flags & buffers.IS_FUNCTION:
        return _word(chars, position + 1, end, lexicon, out, tokens)
    if flags & (buffers.IS_DROPPED | buffers.IS_FONT):
        out[buffers.GAP] = 1
        brace = after_spaces(chars, stop, end)
        if flags & buffers.IS_DROPPED or char_at(chars, brace, end) != 123:
            return stop
        buffers.push(out, True)
        return brace + 1
    is_root = _named(chars, position, stop, entry, lexicon, out, tokens) & buffers.IS_ROOT
    return _short_group(chars, stop, end, lexicon, out, tokens) if is_root else stop


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
            buffers.add_symbol(out, spelled[last - 1])
            if last == 1:
                buffers.add_token(out, tokens, buffers.mix(buffers.SEED, spelled[0]), buffers.OPERATOR, position, stop)
            return 0
        hashed = buffers.hash_of(spelled, 1, last, buffers.COMMAND, False)
        flags = buffers.flags_of(lexicon, buffers.find_entry(lexicon, hashed))
    buffers.add_symbol(out, hashed)
    kind = buffers.OPERATOR if flags & buffers.IS_OPERATOR else buffers.COMMAND
    buffers.add_token(out, tokens, hashed, kind, position, stop)
    return flags


@compiled
def _short_group(chars: Any, position: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
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
        buffers.add_symbol(out, 123)
        _named(chars, first, stop, entry, lexicon, out, tokens)
        buffers.emit(out, 125)
        buffers.add_symbol(out, 125)
        return stop
    return position


@compiled
def _brace(char: int, out: Any) -> None:
    """An opening or closing brace, which stands unless its font went."""
    out[buffers.OPENS] = 0
    if char == 123:
        buffers.emit(out, 123)
        buffers.add_symbol(out, 123)
        buffers.push(out, False)
    elif buffers.pop(out):
        out[buffers.GAP] = 1
    else:
        buffers.emit(out, 125)
        buffers.add_symbol(out, 125)


@compiled
def _mark(chars: Any, position: int, start: int, end: int, lexicon: Any, out: Any, tokens: Any) -> int:
    """Everything else: punctuation, operators, Han characters, letters of other alphabets."""
    char, following = chars[position], char_at(chars, position + 1, end)
    if char == 46 and following == 46 and char_at(chars, position + 2, end) == 46:
        for letter in (92, 100, 111, 116, 115):
            buffers.emit(out, letter)
        buffers.add_token(out, tokens, lexicon[buffers.L_SPELLED, 0], buffers.COMMAND, position, position + 3)
        buffers.add_symbol(out, lexicon[buffers.L_SPELLED, 0])
        return position + 3
    is_quote = char == 34 or char == 96 or (char == 39 and not _is_prime(chars, position, start))
    if char == 46 or char == 63:  # `.` and `?` are marks of a sentence but between digits
        if is_digit(following):
            buffers.emit(out, char)
        out[buffers.OPENS] = 1
    elif is_quote or (char == 44 and _is_pause(chars, position, end)):
        return position + 1
    else:
        buffers.emit(out, char)
        if char != 40:  # `(` may stand before a sentence's first word
            out[buffers.OPENS] = 1 if char == 33 or char == 58 else 0
        hashed = buffers.mix(buffers.SEED, np.uint64(char))
        is_minus = char != 45 or not is_hyphen(chars, position, start, end)
        if char < 128 and is_minus and not _is_trailing(char):
            buffers.add_symbol(out, char)
        if is_han(char):
            buffers.add_token(out, tokens, hashed, buffers.HAN, position, position + 1)
        elif _is_operator(char) and is_minus:
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
    """`f'` and `A''` are mathematics; the apostrophe of `Tom's` and a quotation mark are not, nor what more follow."""
    first = max(start, position - _MOST_PRIMES)
    while position > first and chars[position - 1] == 39:
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
