"""The compiled loops over n-grams and words; `tests/pool/canonical/reference.py` is their specification.

N-grams are 32-bit hashes, those of all texts one after the other in `values`, and those of text i end at `ends[i]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limo.pool.canonical import buffers
from limo.pool.canonical.buffers import RUN_MULTIPLIER, SEED, mix
from limo.pool.canonical.compiled import allocating, compiled

_HALF, _NOT_CRITICAL = np.uint64(32), np.uint32(0xFFFFFFFE)
MAX_EXTRA_WORDS = 1  # that a rewording may have besides the words of the other; own choice


@allocating
def minima(values: Any, ends: Any, multipliers: Any) -> Any:
    """The smallest hash of each text's n-grams under each of m hash functions, uint32 [n texts, m]."""
    times, plus = multipliers[0], multipliers[1]
    smallest = np.empty((len(ends), len(times)), np.uint32)
    start = 0
    for row in range(len(ends)):
        of_row = smallest[row]
        of_row[:] = np.uint32(0xFFFFFFFF)
        for position in range(start, ends[row]):
            value = values[position]
            for column in range(len(times)):
                mixed = np.uint32(value * times[column] + plus[column])
                mixed ^= mixed >> np.uint32(15)
                of_row[column] = min(of_row[column], mixed)
        start = ends[row]
    return smallest


@allocating
def rewordings(order: Any, group: Any, values: Any, ends: Any, words: Any, word_ends: Any, least: float) -> Any:
    """For each text the better text of its group that it rewords, or -1, and their Jaccard similarity.

    `order` lists texts by group, the better first inside one.  A text is compared with those that stay, never with one
    that rewords another, so similarity cannot chain; of several the most similar counts, the better among equals.  The
    n-grams of texts that share a group are sorted in place.  `words` are those of `thesaurus.content_words`.
    """
    twin, similarity = np.full(len(group), -1, np.int64), np.zeros(len(group), np.float64)
    last, first = np.zeros(len(group), np.int64), 0
    for position in range(len(order)):
        row = order[position]
        if group[row] != group[order[first]]:
            first = position
        alone = position == first and (position + 1 == len(order) or group[order[position + 1]] != group[row])
        if not alone:
            start = ends[row - 1] if row > 0 else 0
            last[row] = _distinct(values, start, ends[row])
            for earlier in range(first, position):
                other = order[earlier]
                if twin[other] < 0:
                    other_start = ends[other - 1] if other > 0 else 0
                    alike = _jaccard(values, start, last[row], other_start, last[other], least)
                    if alike < least or alike <= similarity[row]:
                        continue
                    word_start, other_word_start = (
                        word_ends[row - 1] if row > 0 else 0,
                        word_ends[other - 1] if other > 0 else 0,
                    )
                    if _same_question(words, word_start, word_ends[row], other_word_start, word_ends[other]):
                        twin[row], similarity[row] = other, alike
    return twin, similarity


@allocating
def _distinct(values: Any, start: int, end: int) -> int:
    """Sort a part of `values` and close the gaps that repeats leave; where the part now ends."""
    values[start:end].sort()
    last = start
    for position in range(start, end):
        if position == start or values[position] != values[last - 1]:
            values[last] = values[position]
            last += 1
    return last


@compiled
def _jaccard(values: Any, left: int, left_end: int, right: int, right_end: int, least: float) -> float:
    """Jaccard similarity of two sorted sets; 0 where their sizes alone keep it below `least`, or both are empty."""
    n_left, n_right, n_shared = left_end - left, right_end - right, 0
    if min(n_left, n_right) < least * max(n_left, n_right):
        return 0.0
    while left < left_end and right < right_end:
        if values[left] == values[right]:
            n_shared, left, right = n_shared + 1, left + 1, right + 1
        elif values[left] < values[right]:
            left += 1
        else:
            right += 1
    return n_shared / (n_left + n_right - n_shared) if n_shared > 0 else 0.0


@allocating
def content_words(tokens: Any, token_ends: Any, table: Any) -> Any:
    """What `thesaurus.content_words` returns; `table` is that of `thesaurus`."""
    values, ends, n, position = np.empty(len(tokens), np.uint32), np.empty(len(token_ends), np.int64), 0, 0
    for row in range(len(token_ends)):
        first, n_ordered = n, np.uint64(0)
        while position < token_ends[row]:
            kind, hashed = tokens[position, buffers.KIND], tokens[position, buffers.HASH]
            is_letter = tokens[position, buffers.END] - tokens[position, buffers.START] == 1
            if kind == buffers.HAN or (kind == buffers.WORD and not is_letter):
                entry = buffers.find_entry(table, hashed)
                meaning = table[1, entry] if entry > 0 else hashed
                if meaning != 0:
                    if table[2, entry] == 2:
                        n_ordered += np.uint64(1)
                        meaning = mix(meaning, n_ordered)
                    values[n] = np.uint32(meaning >> _HALF) & _NOT_CRITICAL | np.uint32(table[2, entry] != 0)
                    n += 1
            position += 1
        _sort(values, first, n)
        ends[row] = n
    return values[:n], ends


@allocating
def _sort(values: Any, start: int, end: int) -> None:
    """Sort a part of `values`: a short one by insertion, which takes a fraction of the time."""
    if end - start > 64:
        values[start:end].sort()
        return
    for place in range(start + 1, end):
        value, position = values[place], place
        while position > start and values[position - 1] > value:
            values[position] = values[position - 1]
            position -= 1
        values[position] = value


@allocating
def word_runs(chars: Any, ends: Any, n: int) -> Any:
    """The runs of `n` words between white space, Han characters one by one, as 32-bit hashes, and each text's end.

    Words count as written but for the case of A to Z, numbers and punctuation included: the n-grams of kindred
    projects.
    """
    values, run_ends = np.empty(len(chars) + 1, np.uint32), np.empty(len(ends), np.int64)
    recent, power = np.zeros(n, np.uint64), np.uint64(1)
    for _ in range(n):
        power *= RUN_MULTIPLIER
    start, n_runs = 0, 0
    for row in range(len(ends)):
        position, n_words, rolling = start, 0, np.uint64(0)
        while position < ends[row]:
            if chars[position] <= 32:
                position += 1
                continue
            word = SEED
            while position < ends[row] and chars[position] > 32:
                char = np.uint64(chars[position])
                is_han = 0x3400 <= char <= 0x9FFF
                if is_han and word != SEED:
                    break
                word = mix(word, char + np.uint64(32) if 65 <= char <= 90 else char)
                position += 1
                if is_han:
                    break
            rolling = rolling * RUN_MULTIPLIER + word - recent[n_words % n] * power * np.uint64(n_words >= n)
            recent[n_words % n] = word
            n_words += 1
            if n_words >= n:
                values[n_runs] = np.uint32(mix(SEED, rolling) >> _HALF)
                n_runs += 1
        run_ends[row] = n_runs
        start = ends[row]
    return values[:n_runs].copy(), run_ends


@compiled
def _same_question(words: Any, left: int, left_end: int, right: int, right_end: int) -> bool:
    """Whether two sorted lists of content words differ by few words of one side at most, none of them critical."""
    n_left, n_right = 0, 0
    while left < left_end or right < right_end:
        if left < left_end and right < right_end and words[left] == words[right]:
            left, right = left + 1, right + 1
            continue
        of_left = right == right_end or (left < left_end and words[left] < words[right])
        if (words[left] if of_left else words[right]) & 1:
            return False
        if of_left:
            n_left, left = n_left + 1, left + 1
        else:
            n_right, right = n_right + 1, right + 1
    return min(n_left, n_right) == 0 and max(n_left, n_right) <= MAX_EXTRA_WORDS
