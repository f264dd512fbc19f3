"""How alike texts are: word n-grams as hashes, their minima, and Jaccard similarity, compiled.

Two sets whose Jaccard similarity is s agree in one minimum with probability s, so in all of r minima with s^r: texts
that share one of b bands of r minima are worth a look, and all others need none.  The permutations are fixed
constants, so every run and every machine gives the same bands.

    values, ends = grams(found.tokens, found.token_ends, 3, True)       # of `limo.pool.canonical.normal.read`
    sketches = minima(values, ends, permutations(80))

What it does not do: drop anything.  Chains of alike texts are no evidence of anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from limo.pool.canonical.compiled import allocating, compiled
from limo.pool.canonical.sink import HASH, KIND, NUMBER, NUMBER_WORD, SEED, fold

N_MINIMA, N_BANDS, N_ROWS = 80, 16, 5  # of families: half of the pairs at similarity .56 share a band, 99% at .76
_HALF = np.uint64(32)
_MASKED = np.uint64(0xD1B54A32D192ED03)  # every number, when numbers are masked
_NUMBER, _NUMBER_WORD = np.uint64(NUMBER), np.uint64(NUMBER_WORD)


@lru_cache(maxsize=4)
def permutations(n: int) -> Any:
    """Odd multipliers and offsets of `n` hash functions on 32 bits, shape [2, n]."""
    rng = np.random.Generator(np.random.PCG64(20250205))
    both = rng.integers(1, 2**32, size=(2, n), dtype=np.uint32)
    both[0] |= np.uint32(1)
    return both


@compiled
def gram(tokens: Any, place: int, n: int) -> Any:
    """The 32-bit hash of the n-gram that starts there, numbers masked."""
    hashed = SEED
    for at in range(place, place + n):
        kind = tokens[at, KIND]
        hashed = fold(hashed, _MASKED if kind in (_NUMBER, _NUMBER_WORD) else tokens[at, HASH])
    return np.uint32(hashed >> _HALF)


@allocating
def grams(tokens: Any, token_ends: Any, n: int, whole: bool) -> Any:
    """The n-grams of each text with numbers masked, as 32-bit hashes in the text's order, and where each text's end.

    A text of fewer tokens has none, or with `whole` one: itself.
    """
    values, ends = np.empty(tokens.shape[0], np.uint32), np.empty(len(token_ends), np.int64)
    start, n_written = 0, 0
    for row in range(len(token_ends)):
        end = token_ends[row]
        length = min(n, end - start) if whole else n
        if length > 0:
            for place in range(start, end - length + 1):
                values[n_written] = gram(tokens, place, length)
                n_written += 1
        ends[row] = n_written
        start = end
    return values[:n_written].copy(), ends


@allocating
def distinct(values: Any, start: int, end: int) -> int:
    """Sort a part of `values` and close the gaps that repeats leave; where the part now ends."""
    values[start:end].sort()
    last = start
    for place in range(start, end):
        if place == start or values[place] != values[last - 1]:
            values[last] = values[place]
            last += 1
    return last


@allocating
def minima(values: Any, ends: Any, hashes: Any) -> Any:
    """The smallest hash of each text's n-grams under each permutation, uint32 [n texts, n permutations]."""
    times, plus = hashes[0], hashes[1]
    found = np.empty((len(ends), len(times)), np.uint32)
    start = 0
    for row in range(len(ends)):
        of_row = found[row]
        of_row[:] = np.uint32(0xFFFFFFFF)
        for place in range(start, ends[row]):
            value = values[place]
            for one in range(len(times)):
                mixed = np.uint32(value * times[one] + plus[one])
                mixed ^= mixed >> np.uint32(15)
                of_row[one] = min(of_row[one], mixed)
        start = ends[row]
    return found


@allocating
def band_keys(found: Any, n_bands: int, n_rows: int) -> Any:
    """One key a band of `n_rows` minima, uint64 [n texts, n_bands]: which band, and what it holds."""
    keys = np.empty((found.shape[0], n_bands), np.uint64)
    for row in range(found.shape[0]):
        for band in range(n_bands):
            key = fold(SEED, np.uint64(band))
            for place in range(band * n_rows, (band + 1) * n_rows):
                key = fold(key, np.uint64(found[row, place]))
            keys[row, band] = key
    return keys


@compiled
def estimate(left: Any, right: Any) -> float:
    """Jaccard similarity from one byte of each minimum; its standard error is .06 at 80 of them."""
    n_equal = 0
    for place in range(len(left)):
        n_equal += left[place] == right[place]
    return max(0.0, (n_equal / len(left) - 1 / 256) / (1 - 1 / 256))


@compiled
def n_shared(values: Any, one: int, one_end: int, other: int, other_end: int) -> int:
    """How many hashes two sorted parts of `values` share."""
    n = 0
    while one < one_end and other < other_end:
        if values[one] == values[other]:
            n, one, other = n + 1, one + 1, other + 1
        elif values[one] < values[other]:
            one += 1
        else:
            other += 1
    return n


@compiled
def jaccard(values: Any, one: int, one_end: int, other: int, other_end: int, least: float) -> float:
    """Jaccard similarity of two sorted sets; 0 where their sizes alone keep it below `least`, or both are empty."""
    n_one, n_other = one_end - one, other_end - other
    if min(n_one, n_other) < least * max(n_one, n_other):
        return 0.0
    shared = n_shared(values, one, one_end, other, other_end)
    return shared / (n_one + n_other - shared) if shared > 0 else 0.0


@allocating
def rewordings(order: Any, group: Any, values: Any, ends: Any, least: float) -> Any:
    """Which earlier text of its group each text repeats in other words: its number or -1, and the similarity.

    `order` lists texts by group, the better first inside one.  A text is compared with those that stay, never with one
    that repeats another, so similarity cannot chain; of several the most similar counts, the better among equals.  The
    n-grams of texts that share a group are sorted in place, and no others.
    """
    twin, similarity = np.full(len(group), -1, np.int64), np.zeros(len(group), np.float64)
    last, first = np.zeros(len(group), np.int64), 0
    for place in range(len(order)):
        row = order[place]
        if group[row] != group[order[first]]:
            first = place
        alone = place == first and (place + 1 == len(order) or group[order[place + 1]] != group[row])
        if not alone:
            start = ends[row - 1] if row > 0 else 0
            last[row] = distinct(values, start, ends[row])
            for earlier in range(first, place):
                other = order[earlier]
                if twin[other] < 0:
                    other_start = ends[other - 1] if other > 0 else 0
                    alike = jaccard(values, start, last[row], other_start, last[other], least)
                    if alike >= least and alike > similarity[row]:
                        twin[row], similarity[row] = other, alike
    return twin, similarity


@compiled
def stars(order: Any, key: Any, sketches: Any, row: Any, least: float, best: Any) -> None:
    """For each text of a band the band's best text, if alike, where that is better than `best` has; in place.

    `order` lists entries by `key`, equal keys in any order; entry e is of text `row[e]`, and texts are numbered by
    rank, so a smaller number is a better text.
    """
    first = 0
    while first < len(order):
        last, leader = first + 1, row[order[first]]
        while last < len(order) and key[order[last]] == key[order[first]]:
            leader = min(leader, row[order[last]])
            last += 1
        for place in range(first, last if last > first + 1 else first):
            one = row[order[place]]
            if leader < one and leader < best[one] and estimate(sketches[one], sketches[leader]) >= least:
                best[one] = leader
        first = last
