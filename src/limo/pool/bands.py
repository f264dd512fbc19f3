"""MinHash bands: which texts might be alike, without comparing every pair.

Two texts whose n-gram sets have Jaccard similarity s agree in one band of r rows with probability s^r, so in one of
b bands with 1 - (1 - s^r)^b.  Candidates are always verified on the sets themselves: banding decides what is looked
at, never what is dropped.  The permutations are fixed constants, so every run and every machine gives the same bands.

    keys = bands(signature(hashed(["a b c", "b c d"])), n_bands=20, n_rows=3)      # 20 keys

What it does not do: cluster.  Chains of candidates are no evidence of anything.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=8)
def _permutations(n: int) -> Any:
    """Odd multipliers and offsets of `n` hash functions on 64 bits, shape [2, n]."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(20250205))
    both = rng.integers(1, 2**63, size=(2, n), dtype=np.uint64)
    both[0] |= np.uint64(1)
    return both


def hashed(grams: Collection[str]) -> frozenset[int]:
    """The n-grams as 32-bit numbers: a set of them is a tenth the size, and as good to compare."""
    return frozenset(zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in grams)


def signature(grams: Collection[int], n: int = 80) -> bytes:
    """The `n` minima, four bytes each; b"" for an empty set."""
    import numpy as np

    if not grams:
        return b""
    times, plus = _permutations(n)
    values = np.fromiter(grams, dtype=np.uint64, count=len(grams))[:, None]
    # Multiply-shift hashing: the high half of a product modulo 2^64 is what is well mixed.
    minima: bytes = ((values * times + plus) >> np.uint64(32)).min(axis=0).astype("<u4").tobytes()
    return minima


def bands(minima: bytes, n_bands: int, n_rows: int) -> list[bytes]:
    """One key a band of `n_rows` minima: where it stands, and what it holds."""
    size = 4 * n_rows
    whole = range(min(n_bands, len(minima) // size))
    return [number.to_bytes(2, "little") + minima[number * size : (number + 1) * size] for number in whole]
