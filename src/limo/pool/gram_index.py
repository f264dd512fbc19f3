"""An inverted index of hashes: which items share enough n-grams with the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # of NumPy
_FILTER_BITS = np.uint32(20)  # a table of 1 MiB, of which 10^5 n-grams fill a tenth


class GramIndex:
    """An inverted index: which items share 32-bit hashes with a row.

    Most n-grams of a pool occur in no benchmark, so a table of the hashes' first bits is looked up first.
    """

    def __init__(self, sets: Sequence[Array]) -> None:
        self.sizes = np.array([len(hashes) for hashes in sets], np.int64)
        values = np.concatenate([np.asarray(hashes, np.uint32) for hashes in sets] or [np.empty(0, np.uint32)])
        order = np.argsort(values, kind="stable")
        self._items = np.repeat(np.arange(len(sets)), self.sizes)[order]
        self._keys, counts = np.unique(values, return_counts=True)
        self._stops = np.cumsum(counts)
        self._starts = self._stops - counts
        self._may_hold = np.zeros(1 << int(_FILTER_BITS), bool)
        self._may_hold[self._keys >> (32 - _FILTER_BITS)] = True

    def search(
        self, values: Array, ends: Array, least: int, item_share: float, row_share: float
    ) -> list[tuple[int, int, int, int]]:
        """Pairs of rows and items with at least `least` common hashes that make up a share of either.

        The hashes of row i end at `ends[i]`; each counts once.  Returns rows, items, the number of common hashes, and
        the number of the row's.
        """
        places = np.flatnonzero(self._may_hold[values >> (32 - _FILTER_BITS)])
        rows = np.searchsorted(ends, places, side="right")
        enough = np.bincount(rows, minlength=len(ends))[rows] >= least
        if not len(self._keys) or not enough.any():
            return []
        row_and_value = _distinct(rows[enough] << 32 | values[places[enough]].astype(np.int64))
        rows, wanted = row_and_value >> 32, (row_and_value & 0xFFFFFFFF).astype(np.uint32)
        keys = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        rows, keys = rows[self._keys[keys] == wanted], keys[self._keys[keys] == wanted]
        n_items = self._stops[keys] - self._starts[keys]
        positions = np.repeat(self._starts[keys] - np.cumsum(n_items) + n_items, n_items) + np.arange(n_items.sum())
        pairs, counts = np.unique(np.repeat(rows, n_items) << 32 | self._items[positions], return_counts=True)
        pairs, counts = pairs[counts >= least], counts[counts >= least]
        rows, items = pairs >> 32, pairs & 0xFFFFFFFF
        sizes = _n_distinct(values, ends, rows)
        large = (counts >= item_share * self.sizes[items]) | (counts >= row_share * sizes)
        columns = (column[large].tolist() for column in (rows, items, counts, sizes))
        return list(zip(*columns, strict=True))


def _n_distinct(values: Array, ends: Array, rows: Array) -> Array:
    """The number of distinct hashes of each of the rows, which are sorted and may repeat."""
    chosen = rows[np.r_[True, rows[1:] != rows[:-1]][: len(rows)]]
    lengths = np.diff(ends, prepend=0)[chosen]
    stops = np.cumsum(lengths)
    positions = np.repeat(ends[chosen] - stops, lengths) + np.arange(lengths.sum())
    row_and_value = _distinct(np.repeat(chosen, lengths) << 32 | values[positions].astype(np.int64))
    return np.bincount(row_and_value >> 32, minlength=len(ends))[rows]


def _distinct(numbers: Array) -> Array:
    """Sorted, each once; NumPy's `unique` takes several times as long."""
    numbers = np.sort(numbers)
    return numbers[np.r_[True, numbers[1:] != numbers[:-1]][: len(numbers)]]
