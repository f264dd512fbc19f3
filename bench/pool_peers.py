"""The peers of `bench/pool.py`, each with its own hashing and its own defaults: texts in, places of kept rows out.

datatrove, text-dedup and Daft leave the joining of bands to a cluster stage; theirs is union by connected components,
done here by one short function so that no peer pays for another's file formats.  rensa and datasketch have their own.

What it does not do: tune anybody.  The dependency group `bench` brings them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

os.environ.setdefault("DO_NOT_TRACK", "1")
Peer = Callable[[Sequence[str]], list[int]]


def components(bands: Iterable[Sequence[object]], n: int) -> list[int]:
    """The first row of each connected component; `bands` holds for each band the key of every row."""
    parent = list(range(n))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for keys in bands:
        first: dict[object, int] = {}
        for row, key in enumerate(keys):
            earlier = first.setdefault(key, row)
            if earlier != row:
                one, other = sorted((root(earlier), root(row)))
                parent[other] = one
    return [row for row in range(n) if root(row) == row]


def rensa(texts: Sequence[str]) -> list[int]:
    """rensa's deduplicator on word 3-grams, 128 permutations, threshold .7."""
    from rensa import RMinHash, RMinHashDeduplicator

    index = RMinHashDeduplicator(threshold=0.7, num_perm=128, use_lsh=True, num_bands=16)
    kept: list[int] = []
    for start in range(0, len(texts), 10_000):
        batch = texts[start : start + 10_000]
        hashes = RMinHash.from_token_sets([_shingles(text, 3) for text in batch], 128, 42)
        fresh = index.add_pairs([(str(start + place), one) for place, one in enumerate(hashes)])
        kept += [start + place for place, new in enumerate(fresh) if new]
    return kept


def datasketch(texts: Sequence[str]) -> list[int]:
    """datasketch's MinHashLSH on word 3-grams, 128 permutations, threshold .7: a row that finds none is kept."""
    from datasketch import MinHash, MinHashLSH

    index, kept = MinHashLSH(threshold=0.7, num_perm=128), []
    for row, text in enumerate(texts):
        one = MinHash(num_perm=128)
        one.update_batch([shingle.encode() for shingle in _shingles(text, 3)])
        if not index.query(one):
            index.insert(row, one)
            kept.append(row)
    return kept


def text_dedup(texts: Sequence[str]) -> list[int]:
    """text-dedup's `minhash`: 256 permutations, word 5-grams without a least length, threshold .7."""
    from text_dedup.minhash import embed_func
    from text_dedup.utils import optimal_param, xxh3_32hash

    n_bands, n_rows = optimal_param(0.7, 256, 0.5, 0.5)
    prime, rng = np.uint64((1 << 61) - 1), np.random.RandomState(42)
    permutations = tuple(rng.randint(low, prime, 256, dtype=np.uint64) for low in (1, 0))
    ranges = [(band * n_rows, (band + 1) * n_rows) for band in range(n_bands)]
    found = [
        embed_func(
            content=text, idx=row, num_perm=256, ngram_size=5, min_length=0, hashranges=ranges,
            permutations=permutations, hash_func=xxh3_32hash, dtype=np.uint64, max_hash=np.uint32((1 << 32) - 1),
            modulo_prime=prime,
        )["__signatures__"]
        for row, text in enumerate(texts)
    ]  # fmt: skip
    return components(zip(*found, strict=True), len(texts))


def datatrove(texts: Sequence[str]) -> list[int]:
    """datatrove's MinhashDedupSignature with its defaults: 14 buckets of 8, word 5-grams, digits masked; sha1."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    # sha1, since datatrove's xxhash hands text to releases of that library which want bytes
    stage = MinhashDedupSignature(output_folder="/tmp", config=MinhashConfig(hash_config=HashConfig(hash_fc="sha1")))
    found = []
    for row, text in enumerate(texts):
        shingles = stage.get_shingles(text)
        bands = stage.get_signature(shingles) if len(shingles) else [(row, band) for band in range(14)]
        found.append([tuple(band) for band in bands])
    return components(zip(*found, strict=True), len(texts))


def daft(texts: Sequence[str]) -> list[int]:
    """Daft's MinHash expression, 64 permutations of word 3-grams, 9 bands of 7 (threshold .7)."""
    import daft as engine

    frame = engine.from_pydict({"text": list(texts)})
    column = engine.col("text").lower().minhash(num_hashes=64, ngram_size=3, seed=1)
    minima = frame.select(column.alias("minima")).to_arrow()["minima"].combine_chunks()
    table = np.asarray(minima.flatten()).reshape(len(texts), 64)
    bands = (np.ascontiguousarray(table[:, 7 * band : 7 * band + 7]).view("V28")[:, 0].tolist() for band in range(9))
    return components(bands, len(texts))


PEERS: dict[str, tuple[Peer, int]] = {  # and the most rows that it is given
    "rensa": (rensa, 1_000_000),
    "daft": (daft, 1_000_000),
    "datasketch": (datasketch, 20_000),
    "text-dedup": (text_dedup, 20_000),
    "datatrove": (datatrove, 20_000),
}


def any_ngram(texts: Sequence[str], items: Sequence[str], n: int) -> list[bool]:
    """s1's and open-r1's rule: whether a text shares any run of `n` lower-case words with any item."""
    wanted = {run for item in items for run in _runs(item, n)}
    return [not wanted.isdisjoint(_runs(text, n)) for text in texts]


def _runs(text: str, n: int) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[start : start + n]) for start in range(len(words) - n + 1)}


def _shingles(text: str, n: int) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[start : start + n]) for start in range(max(1, len(words) - n + 1))]
