r"""The one pass over a statement's characters, compiled, from which everything is compared.

A pool of millions is read many times over if white space, LaTeX, numbers and names each take a pass of their own.  So
one scanner reads a batch of texts character by character and writes for each: its canonical form with that form's
128-bit hash, its tokens, and the hashes of its numbers, digits, operators and names in their order.

    scan(chars, ends, lexicon, work, tokens, keys, parts, True)     # `limo.pool.canonical.normal` prepares and wraps it

What it does not do: Unicode (`normal.plain` folds it first), or know any word (`lexicon` holds them as hashes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical.characters import (
    after_digits,
    after_letters,
    after_spaces,
    are_letters,
    at,
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
from limo.pool.canonical.sink import (
    COMMAND,
    DEPTH,
    DIGITS,
    FIRST,
    GAP,
    HAN,
    HASH,
    IS_HEADING,
    IS_NUMBER,
    IS_OPENER,
    IS_POINTS,
    KIND,
    L_SPELLED,
    L_VALUE,
    N_OUT,
    N_TOKENS,
    NAME,
    NAMES,
    NUMBER,
    NUMBER_WORD,
    NUMBERS,
    OPENS,
    OPERATOR,
    OPERATORS,
    OUT,
    SEED,
    SIGN,
    TEXT,
    TEXT_2,
    WORD,
    boxed,
    emit,
    emit_word,
    find,
    fold,
    hash_of,
    meaning,
    token,
)  # fmt: skip

_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF, _21, _42 = np.uint64(32), np.uint64(21), np.uint64(42)


@compiled
def scan(chars: Any, ends: Any, lexicon: Any, work: Any, tokens: Any, keys: Any, parts: Any, keep: bool) -> None:
    """Read the texts that end at `ends` in `chars` (code points).

    Fills `tokens`, the `keys` of each text and in `parts` where its tokens and its canonical characters end; the
    latter stay in `work` only with `keep`.
    """
    start = 0
    work[N_OUT], work[N_TOKENS] = OUT, 0
    for row in range(len(ends)):
        end = ends[row]
        if not keep:
            work[N_OUT] = OUT
        first_out, first_token = work[N_OUT], work[N_TOKENS]
        work[FIRST] = first_out
        work[GAP], work[OPENS], work[DEPTH] = 0, 1, 0
        place = _after_heading(chars, start, end, lexicon)
        while place < end:
            place = _step(chars, place, start, end, lexicon, work, tokens)
        while work[N_OUT] > first_out and _ends(work[work[N_OUT] - 1]):
            work[N_OUT] -= 1
        _hash(work, tokens, keys[row], first_out, first_token)
        parts[row, 0], parts[row, 1] = work[N_TOKENS], work[N_OUT]
        start = end


@compiled
def _step(chars: Any, place: int, start: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """Read one thing at `place`; where the next one starts."""
    char = chars[place]
    if is_letter(char):
        return _word(chars, place, end, lexicon, work, tokens)
    if is_space(char):
        work[GAP] = 1
        return place + 1
    if is_digit(char) or (char == 46 and is_digit(at(chars, place + 1, end))):
        return _number(chars, place, start, end, lexicon, work, tokens)
    if char == 92:
        return _backslash(chars, place, start, end, lexicon, work, tokens)
    if char == 123 or char == 125:
        brace(char, work)
        return place + 1
    if char == 94 or char == 95:
        emit(work, char)
        if char == 94:
            token(work, tokens, np.uint64(char), SIGN, place, place + 1)
        return short_group(chars, place + 1, end, lexicon, work, tokens)
    return _mark(chars, place, start, end, lexicon, work, tokens)


@compiled
def _hash(work: Any, tokens: Any, keys: Any, first_out: int, first_token: int) -> None:
    """The keys of the text that was read last."""
    one, two, last = SEED, _SECOND, work[N_OUT]
    for place in range(first_out, last, 3):  # a code point has 21 bits, so three are folded at once
        three = np.uint64(work[place])
        if place + 1 < last:
            three |= np.uint64(work[place + 1]) << _21
        if place + 2 < last:
            three |= np.uint64(work[place + 2]) << _42
        one, two = fold(one, three), (two ^ three) * _SECOND
        two ^= two >> _HALF
    numbers, digits, operators, names = SEED, SEED, SEED, SEED
    for place in range(first_token, work[N_TOKENS]):
        kind, hashed = tokens[place, KIND], tokens[place, HASH]
        if kind in (NUMBER, NUMBER_WORD):
            numbers = fold(numbers, hashed)
        if kind == NUMBER:
            digits = fold(digits, hashed)
        if kind == OPERATOR:
            operators = fold(operators, hashed)
        if tokens[place, NAME] != 0:
            names = fold(names, tokens[place, NAME])
    keys[TEXT], keys[TEXT_2], keys[NUMBERS], keys[DIGITS] = one, two, numbers, digits
    keys[OPERATORS], keys[NAMES] = operators, names


@compiled
def _ends(char: int) -> bool:
    """`.`, `,`, `;`, `:` or `!`."""
    return char == 46 or char == 44 or char == 59 or char == 58 or char == 33


@compiled
def _word(chars: Any, place: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """A run of letters: lower case where its case is only typography, a name where it is not."""
    stop, n_capitals = place, 0
    while stop < end and is_letter(chars[stop]):
        n_capitals += chars[stop] <= 90
        stop += 1
    capital = chars[place] <= 90
    lower = capital and ((n_capitals == 1 and stop - place > 1) or (n_capitals == stop - place and n_capitals > 3))
    emit_word(work, chars, place, stop, lower)
    hashed, first = hash_of(chars, place, stop, WORD, True), work[OPENS] == 1
    entry = find(lexicon, hashed)
    number = meaning(lexicon, entry) & IS_NUMBER
    token(work, tokens, lexicon[L_VALUE, entry] if number else hashed, NUMBER_WORD if number else WORD, place, stop)
    if capital and not (first and meaning(lexicon, entry) & (IS_NUMBER | IS_OPENER)):
        tokens[work[N_TOKENS] - 1, NAME] = hash_of(chars, place, stop, WORD, False)
    return stop


@compiled
def _number(chars: Any, place: int, start: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    r"""A number without thousands' marks and idle zeros; a slashed fraction becomes `\frac`."""
    first, stop = place, after_digits(chars, place, end)
    below = denominator(chars, place, stop, start, end)
    if below > 0:
        return _fraction(chars, place, stop, below, end, lexicon, work, tokens)
    length = 0
    if place == stop:  # `.5`
        emit(work, 48)
        length = 1
    while place < stop:
        emit(work, chars[place])
        length += 1
        place += 1
        following = thousands(chars, place, end) if place == stop else 0
        if following > 0:
            place, stop = following, following + 3
    if at(chars, stop, end) == 46 and is_digit(at(chars, stop + 1, end)):
        place, stop = stop, after_digits(chars, stop + 1, end)
        telling = stop
        while chars[telling - 1] == 48:
            telling -= 1
        while (place < telling and telling - place > 1) or (place < telling and chars[place] != 46):
            emit(work, chars[place])
            length += 1
            place += 1
    token(work, tokens, hash_of(work, work[N_OUT] - length, work[N_OUT], NUMBER, False), NUMBER, first, stop)
    return stop


@compiled
def _fraction(chars: Any, place: int, stop: int, below: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """`1/2` between the places given, written as LaTeX writes it."""
    last = after_digits(chars, below, end)
    for char in (92, 102, 114, 97, 99):
        emit(work, char)
    token(work, tokens, lexicon[L_VALUE, 0], COMMAND, place, last)
    boxed(work, tokens, chars, place, stop, NUMBER)
    boxed(work, tokens, chars, below, last, NUMBER)
    return last


@compiled
def _backslash(chars: Any, place: int, start: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    r"""A command, or an escaped character: `\{`, `\}`, `\|` stand, `\%`, `\#`, `\_` are the character, others space."""
    char = at(chars, place + 1, end)
    if is_letter(char):
        return command(chars, place, end, lexicon, work, tokens)
    if _is_spacing(char):
        work[GAP] = 1
    elif char == 37 or char == 35 or char == 95:
        return _mark(chars, place + 1, start, end, lexicon, work, tokens)
    else:
        emit(work, 92)
        emit(work, char)
        work[OPENS] = 0
    return place + 2


@compiled
def _mark(chars: Any, place: int, start: int, end: int, lexicon: Any, work: Any, tokens: Any) -> int:
    """Everything else: punctuation, operators, Han characters, letters of other alphabets."""
    char, following = chars[place], at(chars, place + 1, end)
    if char == 46 and following == 46 and at(chars, place + 2, end) == 46:
        for letter in (92, 100, 111, 116, 115):
            emit(work, letter)
        token(work, tokens, lexicon[L_SPELLED, 0], COMMAND, place, place + 3)
        return place + 3
    if char == 46 or char == 63:  # `.` and `?` are marks of a sentence but between digits
        if is_digit(following):
            emit(work, char)
        work[OPENS] = 1
    elif (
        char == 34
        or char == 96
        or (char == 39 and not _is_prime(chars, place, start))
        or (char == 44 and _is_pause(chars, place, end))
    ):
        pass
    elif char == 40:
        after = _after_points(chars, place, end, lexicon)
        if after > 0:
            work[GAP] = 1
            return after
        emit(work, char)
    else:
        emit(work, char)
        work[OPENS] = 1 if char == 33 or char == 58 else 0
        if is_han(char):
            token(work, tokens, fold(SEED, np.uint64(char)), HAN, place, place + 1)
        elif _is_operator(char) and not (char == 45 and is_hyphen(chars, place, start, end)):
            token(work, tokens, fold(SEED, np.uint64(char)), OPERATOR, place, place + 1)
            work[OPENS] = 1 if char == 33 else 0
    return place + 1


@compiled
def _is_operator(char: int) -> bool:
    """`-+*/=<>!|%`."""
    arithmetic = char == 45 or char == 43 or char == 42 or char == 47 or char == 61
    return arithmetic or char == 60 or char == 62 or char == 33 or char == 124 or char == 37


@compiled
def _is_prime(chars: Any, place: int, start: int) -> bool:
    """`f'` and `A''` are mathematics; the apostrophe of `Tom's` and a quotation mark are not."""
    while place > start and chars[place - 1] == 39:
        place -= 1
    return place > start and is_letter(chars[place - 1]) and not (place - 1 > start and is_letter(chars[place - 2]))


@compiled
def _is_pause(chars: Any, place: int, end: int) -> bool:
    """A comma before a word; one between terms (`(1, 2)`, `x, y`) counts."""
    after = place + 1
    while after < end and (is_space(chars[after]) or (chars[after] == 92 and _is_spacing(at(chars, after + 1, end)))):
        after += 1 if is_space(chars[after]) else 2
    return after > place + 1 and are_letters(chars, after, end, 3)


@compiled
def _is_spacing(char: int) -> bool:
    r"""What a backslash makes a space or a delimiter: everything but letters, `{`, `}`, `|`, `%`, `#` and `_`."""
    itself = char == 123 or char == 125 or char == 124 or char == 37 or char == 35 or char == 95
    return not itself and not is_letter(char)


@compiled
def _is(chars: Any, start: int, end: int, lexicon: Any, flag: int) -> bool:
    """Whether the word there is one of a kind."""
    return meaning(lexicon, find(lexicon, hash_of(chars, start, end, WORD, True))) & flag != 0


@compiled
def _after_points(chars: Any, place: int, end: int, lexicon: Any) -> int:
    """Behind `(5 points)`, which an exam adds to a problem; 0 where nothing of that kind stands here."""
    number = after_spaces(chars, place + 1, end)
    stop = after_digits(chars, number, end)
    if stop == number or stop - number > 3:
        return 0
    word = after_spaces(chars, stop, end)
    last = after_letters(chars, word, end)
    if at(chars, word, end) == 0x5206:  # 分
        last = word + 1
    elif last == word or not _is(chars, word, last, lexicon, IS_POINTS):
        return 0
    last = after_spaces(chars, last, end)
    return last + 1 if at(chars, last, end) == 41 else 0


@compiled
def _after_heading(chars: Any, start: int, end: int, lexicon: Any) -> int:
    """Behind `Problem 5.`, `例3` or `12.` at the start of a text; `start` where it begins otherwise."""
    first = after_spaces(chars, start, end)
    word = after_letters(chars, first, end)
    if at(chars, first, end) == 0x4F8B or at(chars, first, end) == 0x9898:  # 例, 题
        word = first + 1
    elif word > first and not _is(chars, first, word, lexicon, IS_HEADING):
        return start
    number = after_spaces(chars, word, end)
    stop = after_digits(chars, number, end)
    if stop == number or stop - number > (4 if word > first else 3):
        return start
    mark = after_spaces(chars, stop, end)
    char = at(chars, mark, end)
    marked = char == 46 or char == 41 or (char == 58 and word > first)
    after = after_spaces(chars, mark + 1 if marked else stop, end)
    if not marked and word == first:
        return start
    if after == (mark + 1 if marked else stop) or (word == first and is_digit(at(chars, after, end))):
        return start
    return after
