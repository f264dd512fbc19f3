"""Which items share hashes with a text: an inverted index over numbers, compiled.

Most n-grams of a pool occur in no benchmark, so a bitmap answers first; what passes it is looked up among the sorted
keys, whose postings name the items.

    index = Postings.of([{17, 23}, {23, 99}])
    found = index.search(values, ends, 2, 0.5, 0.5)        # rows, items, how many hashes they share

What it does not do: know what the hashes stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limo.pool.canonical.compiled import allocating, compiled
from limo.pool.canonical.sink import SEED, fold
from limo.pool.likeness import distinct, gram

Array = Any  # of NumPy
_BITS = np.uint32(24)  # of the bitmap: 2 MiB, so that 10^5 n-grams fill less than a hundredth
_HALF = np.uint64(32)
_TIMES = np.uint64(0x2545F4914F6CDD1D)


@dataclass(frozen=True, slots=True)
class Postings:
    """Sorted distinct `keys`; the items of key i are `items[ends[i - 1] : ends[i]]`; `sizes` counts an item's keys."""

    bitmap: Array
    keys: Array
    ends: Array
    items: Array
    sizes: Array

    @classmethod
    def of(cls, sets: Sequence[Array]) -> Postings:
        """The index of items, each given as its distinct 32-bit hashes."""
        sizes = np.array([len(one) for one in sets], dtype=np.int64)
        values = np.concatenate([np.asarray(one, np.uint32) for one in sets] or [np.empty(0, np.uint32)])
        items = np.repeat(np.arange(len(sets)), sizes)
        order = np.argsort(values, kind="stable")
        keys, counts = np.unique(values, return_counts=True)
        bitmap = np.zeros(1 << (int(_BITS) - 3), np.uint8)
        places = keys >> np.uint32(32 - int(_BITS))
        np.bitwise_or.at(bitmap, places >> np.uint32(3), np.uint8(1) << (places & np.uint32(7)).astype(np.uint8))
        return cls(bitmap, keys, np.cumsum(counts), items[order], sizes)

    def search(self, values: Array, ends: Array, least: int, of_item: float, of_row: float) -> tuple[Array, ...]:
        """Pairs of rows and items with at least `least` hashes in common that make up a share of either.

        Rows of `values` end at `ends`; a hash counts once.  Those of rows that share any are sorted in place.  Returns
        rows, items and the number of shared hashes, and where the distinct hashes of each row end.
        """
        scratch, last = np.zeros(len(self.sizes), np.int64), ends.copy()
        shared: tuple[Array, ...] = _search(
            values, ends, last, self.bitmap, self.keys, self.ends, self.items, self.sizes, scratch, least, of_item,
            of_row,
        )  # fmt: skip
        return (*shared, last)


@compiled
def _count(
    values: Any, start: int, end: int, bitmap: Any, keys: Any, key_ends: Any, items: Any, counts: Any, touched: Any
) -> int:
    """How many items share hashes with the sorted ones of a row: into `touched` which, into `counts` how many."""
    n_touched = 0
    for place in range(start, end):
        if _may_hold(bitmap, values[place]):
            key = np.searchsorted(keys, values[place])
            if key < len(keys) and keys[key] == values[place]:
                for posting in range(key_ends[key - 1] if key > 0 else 0, key_ends[key]):
                    item = items[posting]
                    if counts[item] == 0:
                        touched[n_touched] = item
                        n_touched += 1
                    counts[item] += 1
    return n_touched


@compiled
def _may_hold(bitmap: Any, value: Any) -> bool:
    """False where no item has that hash."""
    bit = value >> np.uint32(8)
    return bitmap[bit >> np.uint32(3)] & (np.uint8(1) << np.uint8(bit & np.uint32(7))) != 0


@allocating
def _search(
    values: Any, ends: Any, last: Any, bitmap: Any, keys: Any, key_ends: Any, items: Any, sizes: Any, counts: Any,
    least: int, of_item: float, of_row: float,
) -> Any:  # fmt: skip
    """See `Postings.search`; `counts` is all zero before and after."""
    rows, found, shared, n = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.int64), 0
    touched, start = np.empty(len(sizes), np.int64), 0
    for row in range(len(ends)):
        n_possible = 0
        for place in range(start, ends[row]):
            n_possible += _may_hold(bitmap, values[place])
        if n_possible >= least:
            last[row] = distinct(values, start, ends[row])
            size = last[row] - start
            n_touched = _count(values, start, last[row], bitmap, keys, key_ends, items, counts, touched)
            for place in range(n_touched):
                item = touched[place]
                count = counts[item]
                counts[item] = 0
                if count >= least and (count >= of_item * sizes[item] or count >= of_row * size):
                    if n == len(rows):
                        rows, found, shared = _doubled(rows), _doubled(found), _doubled(shared)
                    rows[n], found[n], shared[n] = row, item, count
                    n += 1
        start = ends[row]
    return rows[:n].copy(), found[:n].copy(), shared[:n].copy()


@allocating
def _doubled(values: Any) -> Any:
    wider = np.empty(2 * len(values), np.int64)
    wider[: len(values)] = values
    return wider


@allocating
def runs(chars: Any, ends: Any, n: int) -> Any:
    """The runs of `n` words between white space, Han characters one by one, as 32-bit hashes, and each text's end.

    These are the n-grams of kindred projects: words as written but for case, numbers and punctuation included.
    """
    values, found_ends = np.empty(len(chars) + 1, np.uint32), np.empty(len(ends), np.int64)
    recent, power = np.zeros(n, np.uint64), np.uint64(1)
    for _ in range(n):
        power *= _TIMES
    start, n_found = 0, 0
    for row in range(len(ends)):
        place, n_words, rolling = start, 0, np.uint64(0)
        while place < ends[row]:
            if chars[place] <= 32:
                place += 1
                continue
            word = SEED
            while place < ends[row] and chars[place] > 32:
                char = np.uint64(chars[place])
                alone = 0x3400 <= char <= 0x9FFF
                if alone and word != SEED:
                    break
                word = fold(word, char + np.uint64(32) if 65 <= char <= 90 else char)
                place += 1
                if alone:
                    break
            rolling = rolling * _TIMES + word - recent[n_words % n] * power * np.uint64(n_words >= n)
            recent[n_words % n] = word
            n_words += 1
            if n_words >= n:
                values[n_found] = np.uint32(fold(SEED, rolling) >> _HALF)
                n_found += 1
        found_ends[row] = n_found
        start = ends[row]
    return values[:n_found].copy(), found_ends


@compiled
def longest_run(tokens: Any, n: int, values: Any) -> Any:
    """The longest stretch of tokens whose n-grams, numbers masked, are all among the sorted `values`: start and end."""
    best_start, best_end, start = 0, min(n, tokens.shape[0]), 0
    for place in range(tokens.shape[0] - n + 1):
        wanted = gram(tokens, place, n)
        key = np.searchsorted(values, wanted)
        if key == len(values) or values[key] != wanted:
            start = place + 1
        elif place + n - start > best_end - best_start:
            best_start, best_end = start, place + n
    return best_start, best_end
