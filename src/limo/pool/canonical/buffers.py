"""The arrays that a scan writes, and the compiled functions that write them.

Compiled code has no objects, so there are two arrays: `out` int64 [n] holds a few counters, the stack of open
braces, and then the canonical characters; `tokens` uint64 [n, 5] holds a row a token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical.characters import is_digit
from limo.pool.canonical.compiled import compiled

WORD, COMMAND, NUMBER, NUMBER_WORD, HAN, OPERATOR, SIGN = range(7)  # kinds of token; a SIGN (^) computes nothing
TEXT, TEXT_2, NUMBERS, SYMBOLS, NAMES = range(5)  # columns of a text's keys
N_KEYS = 5
HASH, KIND, START, END, NAME = range(5)  # columns of a token; NAME is 0 or the hash of a name with its case
N_COLUMNS = 5

# Counters in `out`: where the next character goes, the number of tokens, whether white space stood before, whether a
# sentence begins, the number of open braces, where the text's canonical characters start, and the running hash of its
# symbols: signs, brackets, commands and single letters.
N_OUT, N_TOKENS, GAP, OPENS, DEPTH, FIRST, SYMBOL_HASH = range(7)
BRACES, MAX_DEPTH = 8, 248
OUT = BRACES + MAX_DEPTH  # the canonical characters start here

# The lexicon is a hash table, uint64 [4 + N_SPELLED, slots]: each column is a word's hash, its flags, the hash of a
# number word's value, and a synonym's spelling.
L_HASH, L_FLAGS, L_VALUE, L_SPELLED = range(4)
N_SPELLED, N_SLOTS = 12, 8192  # a table that is nearly full makes unknown words slow
IS_DROPPED, IS_FONT, IS_ROOT, IS_ALONE, IS_SYNONYM, IS_NUMBER, IS_OPENER, IS_OPERATOR = 1, 2, 4, 8, 16, 32, 64, 128
IS_FUNCTION = 256  # is a word in either form, and a symbol

SEED = np.uint64(0x517CC1B727220A95)
RUN_MULTIPLIER = np.uint64(0x2545F4914F6CDD1D)  # of the rolling hash of a run of words
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_SLOT = np.uint64(N_SLOTS - 1)
_BYTE, _TOP = np.uint64(8), np.uint64(56)
_FIRST_CAPITAL, _N_LETTERS, _LOWER = np.uint64(65), np.uint64(26), np.uint64(32)


@compiled
def mix(hashed: Any, value: Any) -> Any:
    """One more 64-bit value into a running hash; the order counts."""
    mixed = (hashed ^ value) * _MIX
    return mixed ^ (mixed >> _HALF)


@compiled
def hash_of(chars: Any, start: int, end: int, kind: int, lower: bool) -> Any:
    """The hash of one token spelled in ASCII; the same letters as another kind of token hash otherwise."""
    hashed, packed = mix(SEED, np.uint64(kind)), np.uint64(0)
    for position in range(start, end):
        char = np.uint64(chars[position])
        packed = packed << _BYTE | (char | _LOWER if lower and char - _FIRST_CAPITAL < _N_LETTERS else char)
        if (position - start) & 7 == 7:  # eight letters at a time
            hashed, packed = mix(hashed, packed), np.uint64(0)
    return mix(hashed, packed ^ np.uint64(end - start) << _TOP)


@compiled
def find_entry(lexicon: Any, hashed: Any) -> Any:
    """The column of a word in the lexicon; 0, which has no flags, for a word that is not in it."""
    slot = 1 + np.int64(hashed & _SLOT)
    while lexicon[L_HASH, slot] != hashed:
        if lexicon[L_HASH, slot] == 0:
            return 0
        slot += 1
    return slot


def free_slot(table: Any, hashed: int) -> int:
    """The column that a new entry of such a table gets."""
    slot = 1 + hashed % N_SLOTS
    while table[L_HASH, slot]:
        slot += 1
    return slot


@compiled
def flags_of(lexicon: Any, entry: int) -> Any:
    """The flags of a column of the lexicon."""
    return np.int64(lexicon[L_FLAGS, entry])


@compiled
def emit(out: Any, char: int) -> None:
    """One character of the canonical form; a space only where it separates two digits."""
    n = out[N_OUT]
    if out[GAP] == 1:
        out[GAP] = 0
        if n > out[FIRST] and is_digit(char) and is_digit(out[n - 1]):
            out[n] = 32
            n += 1
    out[n] = char
    out[N_OUT] = n + 1


@compiled
def add_symbol(out: Any, value: Any) -> None:
    """One more symbol into the hash of all symbols in order."""
    out[SYMBOL_HASH] = np.int64(mix(np.uint64(out[SYMBOL_HASH]), np.uint64(value)))


@compiled
def emit_word(out: Any, chars: Any, start: int, end: int, lower: bool) -> None:
    """These letters, in lower case if `lower`; white space before them is dropped."""
    n = out[N_OUT] - start
    for position in range(start, end):
        char = np.int64(chars[position])
        out[n + position] = char + 32 if lower and char <= 90 else char
    out[GAP], out[N_OUT] = 0, n + end


@compiled
def add_token(out: Any, tokens: Any, hashed: Any, kind: int, start: int, end: int) -> None:
    """One token, with its span in the text."""
    n = out[N_TOKENS]
    tokens[n, HASH], tokens[n, KIND], tokens[n, START], tokens[n, END] = hashed, kind, start, end
    tokens[n, NAME] = 0
    out[N_TOKENS] = n + 1
    out[OPENS] = 0


@compiled
def emit_braced(out: Any, tokens: Any, chars: Any, start: int, end: int, kind: int) -> None:
    """These characters in braces, as one token."""
    emit(out, 123)
    add_symbol(out, 123)
    for position in range(start, end):
        emit(out, chars[position])
        if kind == WORD:
            add_symbol(out, chars[position])
    emit(out, 125)
    add_symbol(out, 125)
    add_token(out, tokens, hash_of(chars, start, end, kind, True), kind, start, end)


@compiled
def push(out: Any, of_font: bool) -> None:
    """Open a brace; that of a font is not written, nor is the one that closes it."""
    if out[DEPTH] < MAX_DEPTH:
        out[BRACES + out[DEPTH]] = of_font
    out[DEPTH] += 1


@compiled
def pop(out: Any) -> int:
    """Close a brace: 1 where a font opened it, 0 otherwise and where none is open."""
    if out[DEPTH] == 0:
        return 0
    out[DEPTH] -= 1
    return out[BRACES + out[DEPTH]] if out[DEPTH] < MAX_DEPTH else 0
