"""Where a scan writes: canonical characters, tokens with their places, and what it must remember meanwhile.

Compiled code has no objects, and handing many arrays from function to function costs more than the work, so there are
two: `work` holds a few counters, the open braces and then the canonical characters; `tokens` holds a row a token.

    push(work, DROPPED); pop(work) == DROPPED

What it does not do: decide what is written; `scan` and `latex` do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical.characters import is_digit
from limo.pool.canonical.compiled import compiled

WORD, COMMAND, NUMBER, NUMBER_WORD, HAN, OPERATOR, SIGN = range(7)  # kinds of token; a SIGN (^) computes nothing
TEXT, TEXT_2, NUMBERS, DIGITS, OPERATORS, NAMES = range(6)  # columns of a text's keys
N_KEYS = 6
HASH, KIND, START, END, NAME = range(5)  # columns of a token; NAME is 0 or the hash of a name with its case
N_COLUMNS = 5

# Counters in `work`: where the next character goes, tokens, space before, a sentence begins, braces open, and where
# the text's canonical characters start.
N_OUT, N_TOKENS, GAP, OPENS, DEPTH, FIRST = range(6)
BRACES, MAX_DEPTH = 8, 248
OUT = BRACES + MAX_DEPTH  # the canonical characters start here
PLAIN, DROPPED, TWICE = range(3)  # a closing brace stands, goes with its font, or closes its accent as well

# The lexicon: one column a word, at its hash or in the next free slot, since most words are not in it and one look has
# to say so; rows hold its hash, what it is (flags), the value of a number word, a synonym's spelling.
L_HASH, L_FLAGS, L_VALUE, L_SPELLED = range(4)
N_SPELLED, N_SLOTS = 12, 2048
IS_DROPPED, IS_FONT, IS_ACCENT, IS_ALONE, IS_SYNONYM, IS_NUMBER, IS_OPENER, IS_OPERATOR, IS_HEADING, IS_POINTS = (
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512,
)  # fmt: skip
IS_FRACTION, IS_ROOT = 1024, 2048

SEED = np.uint64(0x517CC1B727220A95)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_SLOT = np.uint64(N_SLOTS - 1)
_BYTE, _TOP = np.uint64(8), np.uint64(56)
_FIRST_CAPITAL, _N_LETTERS, _LOWER = np.uint64(65), np.uint64(26), np.uint64(32)


@compiled
def fold(hashed: Any, value: Any) -> Any:
    """One more 64-bit value into a running hash; the order counts."""
    mixed = (hashed ^ value) * _MIX
    return mixed ^ (mixed >> _HALF)


@compiled
def hash_of(chars: Any, start: int, end: int, kind: int, lower: bool) -> Any:
    """The hash of one token spelled in ASCII; the same letters as another kind of token hash otherwise."""
    hashed, packed = fold(SEED, np.uint64(kind)), np.uint64(0)
    for place in range(start, end):
        char = np.uint64(chars[place])
        packed = packed << _BYTE | (char | _LOWER if lower and char - _FIRST_CAPITAL < _N_LETTERS else char)
        if (place - start) & 7 == 7:  # eight letters are folded at once
            hashed, packed = fold(hashed, packed), np.uint64(0)
    return fold(hashed, packed ^ np.uint64(end - start) << _TOP)


@compiled
def find(lexicon: Any, hashed: Any) -> Any:
    """The entry of a word in the lexicon; entry 0 is nobody's, and means nothing."""
    slot = 1 + np.int64(hashed & _SLOT)
    while lexicon[L_HASH, slot] != hashed:
        if lexicon[L_HASH, slot] == 0:
            return 0
        slot += 1
    return slot


@compiled
def meaning(lexicon: Any, entry: int) -> Any:
    """The flags of an entry of the lexicon."""
    return np.int64(lexicon[L_FLAGS, entry])


@compiled
def emit(work: Any, char: int) -> None:
    """One character of the canonical form; a space only where it parts two digits."""
    n = work[N_OUT]
    if work[GAP] == 1:
        work[GAP] = 0
        if n > work[FIRST] and is_digit(char) and is_digit(work[n - 1]):
            work[n] = 32
            n += 1
    work[n] = char
    work[N_OUT] = n + 1


@compiled
def emit_word(work: Any, chars: Any, start: int, end: int, lower: bool) -> None:
    """These letters; no space before them matters."""
    n = work[N_OUT] - start
    for place in range(start, end):
        char = np.int64(chars[place])
        work[n + place] = char + 32 if lower and char <= 90 else char
    work[GAP], work[N_OUT] = 0, n + end


@compiled
def token(work: Any, tokens: Any, hashed: Any, kind: int, start: int, end: int) -> None:
    """One token, with its span in the text."""
    n = work[N_TOKENS]
    tokens[n, HASH], tokens[n, KIND], tokens[n, START], tokens[n, END] = hashed, kind, start, end
    tokens[n, NAME] = 0
    work[N_TOKENS] = n + 1
    work[OPENS] = 0


@compiled
def boxed(work: Any, tokens: Any, chars: Any, start: int, end: int, kind: int) -> None:
    """These characters as one token in braces."""
    emit(work, 123)
    for place in range(start, end):
        emit(work, chars[place])
    emit(work, 125)
    token(work, tokens, hash_of(chars, start, end, kind, True), kind, start, end)


@compiled
def push(work: Any, what: int) -> None:
    """A brace opens, and what its closing means."""
    if work[DEPTH] < MAX_DEPTH:
        work[BRACES + work[DEPTH]] = what
    work[DEPTH] += 1


@compiled
def pop(work: Any) -> int:
    """What the closing brace means; one without an opening is plain."""
    if work[DEPTH] == 0:
        return PLAIN
    work[DEPTH] -= 1
    return work[BRACES + work[DEPTH]] if work[DEPTH] < MAX_DEPTH else PLAIN
