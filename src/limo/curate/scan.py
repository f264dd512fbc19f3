r"""The one pass over a chain's characters, compiled: steps, the terms of each, and what only those tell.

A text is UTF-8 bytes.  A step ends with a line, or with a full stop, an exclamation or a question mark before a space;
one full stop at its end is no part of it.  A word is a run of letters, digits, apostrophes and points, in lower case,
commas left out ("1,317" is one word).  Words and sets of words are compared by hashes of 64 bits.

    rows, found = scan(data, keys, values)   # `limo.curate.steps` prepares and wraps it

`rows` has a row for each step that says something, with the columns named below; `found` are counts over all.

What it does not do: know a word (`keys` and `values` hold them as hashes, `steps.lexicon`), or read a pattern that
only few steps can hold (`structure` looks at those, by their flags).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical.compiled import allocating, compiled

# Columns of `rows`: where the step stands in the text, where its list number does, where its terms do.
START, END, NUMBER, NUMBER_END, TERMS, TERMS_END, FLAGS, N_COLUMNS = range(8)
# Flags of a step.
QUESTION, LABEL, CHECK, ANSWER, TURN, RESULT, NUMBERED, REASONED, HAN, UNSURE = (1 << k for k in range(10))
# Counts over a text.
N_TOTAL, N_DIFFERENT, N_SHARED, N_PAIRS, N_TOLD, N_NEW, N_TAKEN_UP, N_TASK, TASK, N_END, AT_END = range(11)
SIZES = 11  # from here on: how often each number of bits stands for a step's size, in the order in which they came
N_FOUND = SIZES + 64
# What a word may be, in the lexicon's values; the rest of a value is the number of the cue.
IGNORED, COUNTED, IS_TASK, IS_ANSWER, IS_CHECK, IS_TURN, IS_STEP, IS_ITEM = (1 << k for k in range(8))
CUE = 8
N_CUES = 512

_ONE, _BASE, _PRIME = np.uint64(1), np.uint64(14695981039346656037), np.uint64(1099511628211)
_MIX, _SHIFT = np.uint64(0xBF58476D1CE4E5B9), np.uint64(31)


@compiled
def mixed(value: Any) -> Any:
    """Bits of a hash spread over all of it; never 0, which means an empty place."""
    value = (value ^ (value >> _SHIFT)) * _MIX
    value = value ^ (value >> _SHIFT)
    return value if value else _ONE


@compiled
def hash_of(data: Any, start: int, end: int) -> Any:
    """The hash of a word as `scan` makes it, for the lexicon."""
    value = _BASE
    for place in range(start, end):
        value = (value ^ np.uint64(data[place])) * _PRIME
    return mixed(value)


@compiled
def place_of(keys: Any, key: Any) -> Any:
    """Where a key stands in a table of a power of two places, or would."""
    mask = len(keys) - 1
    place = np.int64(key & np.uint64(mask))
    while keys[place] and keys[place] != key:
        place = (place + 1) & mask
    return place


@compiled
def is_space(char: int) -> bool:
    """White space of one byte."""
    return char == 32 or 9 <= char <= 13 or 28 <= char <= 31


@compiled
def wide_space(data: Any, place: int, end: int) -> int:
    """How many bytes a white space of several has that starts at `place`; 0 if none does."""
    first = data[place]
    if first == 0xC2 and place + 1 < end:
        return 2 if data[place + 1] == 0x85 or data[place + 1] == 0xA0 else 0
    if place + 2 >= end:
        return 0
    second, third = data[place + 1], data[place + 2]
    if first == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if first == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if first == 0xE2 and second == 0x80:
        return 3 if 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
    return 3 if first == 0xE2 and second == 0x81 and third == 0x9F else 0


@compiled
def stripped(data: Any, start: int, end: int) -> tuple[int, int]:
    """The ends of a line without white space around it."""
    while start < end:
        n = 1 if is_space(data[start]) else wide_space(data, start, end)
        if not n:
            break
        start += n
    while end > start:
        if is_space(data[end - 1]):
            end -= 1
        elif end - 2 >= start and wide_space(data, end - 2, end) == 2:
            end -= 2
        elif end - 3 >= start and wide_space(data, end - 3, end) == 3:
            end -= 3
        else:
            break
    return start, end


@allocating
def scan(data: Any, keys: Any, values: Any) -> Any:
    """Steps, their terms and the counts over all of a text that ends with a line end."""
    n = len(data)
    most = n // 2 + 2  # words of one sign and a space
    room = 4096
    while room < most + 4096:
        room *= 2
    rows, terms = np.empty((most, N_COLUMNS), np.int32), np.empty(most, np.int32)
    known, numbers, hashes = np.zeros(room, np.uint64), np.empty(room, np.int32), np.empty(most, np.uint64)
    met, cued = np.zeros(most, np.int32), np.zeros(N_CUES, np.int32)  # the line in which a term, a cue was met last
    found, work = np.zeros(N_FOUND, np.int64), np.zeros(N_WORK, np.int64)
    n_rows, start = 0, 0
    while start < n:
        end, after = _line(data, start, n)
        first = work[N_TERMS]
        work[LINE] += 1
        _words(data, start, end, keys, values, known, numbers, hashes, met, cued, terms, work)
        n_matter = work[N_TERMS] - first
        if n_matter == 1 and work[N_SAID] == 1 and work[ITEM_END]:  # "3. Next" was cut after its number
            work[ITEM], work[AFTER_ITEM] = work[ITEM_START], work[ITEM_END]
            work[N_TERMS] = first
        elif n_matter or work[EQUALS] >= 0:
            row = rows[n_rows]
            row[START], row[END] = stripped(data, start, end)
            row[NUMBER], row[NUMBER_END] = work[ITEM], work[AFTER_ITEM]
            row[TERMS], row[TERMS_END] = first, work[N_TERMS]
            row[FLAGS] = work[SEEN] | _looks(data, row, n_matter, work[EQUALS])
            work[ITEM], work[AFTER_ITEM] = 0, 0
            _most(found, n_rows, work)
            n_rows += 1
        start = after
    _count(rows, n_rows, terms, hashes, work[N_KNOWN], found)
    return rows[:n_rows], found


# What `_words` tells of a line, and what is carried from one line to the next.
LINE, N_TERMS, N_KNOWN, ITEM, AFTER_ITEM, EQUALS, SEEN, N_SAID, ITEM_START, ITEM_END, TASKS, ENDS, N_WORK = range(13)


@compiled
def _line(data: Any, start: int, n: int) -> tuple[int, int]:
    """Where the line or sentence that starts at `start` ends, and where the next one starts."""
    end = start
    while True:
        char = data[end]
        if char == 10:
            after = end + 1
            break
        if (char == 46 or char == 33 or char == 63) and data[end + 1] == 32:
            after = end + 2
            end += char == 63  # a question keeps its mark
            break
        end += 1
    if end > start and data[end - 1] == 46:
        end -= 1
    return end, after


@compiled
def _letter(char: int) -> int:
    """What a character is in a word: letters in lower case; 0 for what stands between words."""
    if 97 <= char <= 122 or 48 <= char <= 57 or char == 39 or char == 46:
        return char
    return char + 32 if 65 <= char <= 90 else 0


@compiled
def _words(
    data: Any, start: int, end: int, keys: Any, values: Any, known: Any, numbers: Any, hashes: Any, met: Any,
    cued: Any, terms: Any, work: Any,
) -> None:  # fmt: skip
    """Read the words of a line into `terms`, each once, and tell of it in `work`."""
    work[EQUALS], work[SEEN], work[N_SAID], work[ITEM_END], work[TASKS], work[ENDS] = -1, 0, 0, 0, 0, 0
    line, place, is_first = work[LINE], start, True
    while place < end:
        if _letter(data[place]) == 0:
            if data[place] == 61:
                work[EQUALS] = place
            place += 1
            continue
        begin = place
        place, key, n_chars, kind_of, second = _word(data, place, end)
        kind = values[place_of(keys, key)]
        if is_first:
            is_first = False
            han = n_chars > 1 and _letter(data[begin]) == 104 and 52 <= second <= 57
            work[SEEN] |= (TURN if kind & IS_TURN else 0) | (HAN if han else 0)
            work[SEEN] |= NUMBERED if kind & IS_ITEM or kind_of == _DIGITS else 0
        if kind >> CUE and cued[kind >> CUE] != line:
            cued[kind >> CUE] = line
            work[SEEN] |= (CHECK if kind & IS_CHECK else 0) | (ANSWER if kind & IS_ANSWER else 0)
            work[TASKS] += (kind & IS_TASK) != 0
            work[ENDS] += (kind & IS_ANSWER) != 0
        if not kind & (COUNTED | IS_STEP):
            work[N_SAID] += 1
            short = n_chars < 3 and kind_of == _DIGITS
            work[ITEM_START], work[ITEM_END] = begin, place if short else 0
        if kind & IGNORED or (kind_of == _LETTERS and n_chars < 3):
            continue
        at = place_of(known, key)
        if not known[at]:
            known[at], numbers[at], hashes[work[N_KNOWN]] = key, work[N_KNOWN], key
            work[N_KNOWN] += 1
        if met[numbers[at]] != line:
            met[numbers[at]] = line
            terms[work[N_TERMS]] = numbers[at]
            work[N_TERMS] += 1


_DIGITS, _LETTERS = 1, 2


@compiled
def _word(data: Any, place: int, end: int) -> Any:
    """Past its end, hash, length, whether it is all digits or all letters, and the second character of a word."""
    word, n_chars, letters, digits, second = _BASE, 0, True, True, 0
    while place < end:
        low = _letter(data[place])
        if low:
            word = (word ^ np.uint64(low)) * _PRIME
            n_chars += 1
            letters = letters and low >= 97
            digits = digits and 48 <= low <= 57
            if n_chars == 2:
                second = low
        elif data[place] != 44:
            break
        place += 1
    return place, mixed(word), n_chars, (_DIGITS if digits else 0) | (_LETTERS if letters else 0), second


@compiled
def _looks(data: Any, row: Any, n_matter: int, equals: int) -> int:
    """The flags of a step that its signs tell."""
    start, end = row[START], row[END]
    numbered = row[NUMBER_END] > 0
    flags = (QUESTION if data[end - 1] == 63 else 0) | (NUMBERED if numbered else 0)
    tail = end
    while tail > start and tail > end - 2 and data[tail - 1] == 42:
        tail -= 1
    is_label = tail > start and data[tail - 1] == 58
    if is_label:
        flags |= LABEL
    first = data[start]
    if 48 <= first <= 57:
        flags |= NUMBERED
    elif first >= 128 and not numbered:
        flags |= UNSURE
    if n_matter > 1 and not is_label and not numbered:
        outline = 0 if 65 <= first <= 90 else _outline(data, start, end)
        flags |= REASONED if outline == 0 else 0
        flags |= UNSURE if outline == 2 or first >= 128 else 0
    return flags | (RESULT if equals >= 0 and _result(data, equals + 1, end) else 0)


@compiled
def _outline(data: Any, place: int, end: int) -> int:
    """Whether a step is a list item, a heading or a formula of its own: 0 no, 1 yes, 2 a pattern must say."""
    while place < end and 97 <= data[place] <= 122:  # words before the sign do not hide it
        while place < end and (97 <= data[place] <= 122 or data[place] == 45):
            place += 1
        if place == end or data[place] != 32:
            return 2 if place < end and data[place] >= 128 else 0
        while place < end and data[place] == 32:
            place += 1
    if place == end:
        return 0
    char = data[place]
    if char >= 128:
        return 2
    if char == 45 or char == 42 or char == 35 or char == 43 or char == 124:
        return 1
    if char == 92:
        return int(place + 1 < end and (data[place + 1] == 91 or data[place + 1] == 93))
    if char == 36:
        return int(place + 1 < end and data[place + 1] == 36)
    if not 48 <= char <= 57:
        return 0
    while place < end and 48 <= data[place] <= 57:
        place += 1
    if place < end and (data[place] == 46 or data[place] == 41):
        place += 1
        return 0 if place == end else 2 if data[place] >= 128 else int(is_space(data[place]))
    return 2 if place < end and data[place] >= 128 else 0


@compiled
def _result(data: Any, place: int, end: int) -> bool:
    """Whether a number of two signs or more may stand after an equals sign; a pattern reads it."""
    while place < end and (is_space(data[place]) or data[place] in (36, 92, 40, 123)):
        place += 1
    if place < end and (data[place] == 45 or data[place] == 43):
        place += 1
    if place >= end or data[place] >= 128:
        return place < end
    if not 48 <= data[place] <= 57 or place + 1 >= end:
        return False
    after = data[place + 1]
    return 48 <= after <= 57 or after == 44 or after == 46 or after >= 128


@compiled
def _most(found: Any, row: int, work: Any) -> None:
    """Keep the first step with the most cues of a task, and of an answer."""
    if work[TASKS] > found[N_TASK]:
        found[N_TASK], found[TASK] = work[TASKS], row
    if work[ENDS] > found[N_END]:
        found[N_END], found[AT_END] = work[ENDS], row


@allocating
def _count(rows: Any, n: int, terms: Any, hashes: Any, n_known: int, found: Any) -> None:
    """The counts over all steps, and which turns take up something and bring something."""
    counts, last, stamp = np.zeros(n_known, np.int32), np.full(n_known, -9, np.int32), np.zeros(n_known, np.int32)
    room = 16
    while room < 2 * n:
        room *= 2
    sets = np.zeros(room, np.uint64)
    for row in range(n):
        first, end = rows[row, TERMS], rows[row, TERMS_END]
        whole = np.uint64(end - first)
        for at in range(first, end):
            term = terms[at]
            counts[term] += 1
            found[N_SHARED] += last[term] == row - 1
            last[term] = row
            whole += mixed(hashes[term])
        _size(end - first, found)
        if end - first > 2:
            place = place_of(sets, mixed(whole))
            found[N_TOLD] += 1
            found[N_NEW] += sets[place] == 0
            sets[place] = mixed(whole)
    for term in range(n_known):
        found[N_TOTAL] += counts[term]
        found[N_DIFFERENT] += counts[term] > 0
        found[N_PAIRS] += counts[term] * (counts[term] - 1)
    _questions(rows, n, terms, stamp, found)
    stamp[:] = 0
    _turns(rows, n, terms, stamp)


@compiled
def _size(n_terms: int, found: Any) -> None:
    """Count a step's size in bits: pairs of a size and how many have it, in the order in which sizes came."""
    n_bits = 0
    while n_terms:
        n_bits += 1
        n_terms >>= 1
    place = SIZES
    while found[place + 1] and found[place] != n_bits:
        place += 2
    found[place] = n_bits
    found[place + 1] += 1


@compiled
def _questions(rows: Any, n: int, terms: Any, stamp: Any, found: Any) -> None:
    """Count the questions of which one of the next two steps takes up a term."""
    for row in range(n):
        if not rows[row, FLAGS] & QUESTION:
            continue
        for at in range(rows[row, TERMS], rows[row, TERMS_END]):
            stamp[terms[at]] = row + 1
        taken_up = False
        if row + 1 < n:
            for at in range(rows[row + 1, TERMS], rows[min(row + 2, n - 1), TERMS_END]):
                taken_up = taken_up or stamp[terms[at]] == row + 1
        found[N_TAKEN_UP] += taken_up


@compiled
def _turns(rows: Any, n: int, terms: Any, stamp: Any) -> None:
    """Leave the flag of a turn only where two terms of the three steps before are taken up and a new one comes."""
    for row in range(n):
        if not rows[row, FLAGS] & TURN:
            continue
        for at in range(rows[max(0, row - 3), TERMS], rows[row, TERMS]):
            stamp[terms[at]] = row + 1
        n_old = 0
        for at in range(rows[row, TERMS], rows[row, TERMS_END]):
            n_old += stamp[terms[at]] == row + 1
        if n_old < 2 or n_old == rows[row, TERMS_END] - rows[row, TERMS]:
            rows[row, FLAGS] &= ~TURN
