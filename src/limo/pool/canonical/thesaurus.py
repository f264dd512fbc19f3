"""Which words of a statement count where it is compared with a possible rewording: `words.yaml` as arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.files import shipped_yaml
from limo.pool.canonical import buffers
from limo.pool.canonical.lexicon import hash_token, mix

Array = Any  # of NumPy
CRITICAL = np.uint32(1)  # the low bit of a content word: it must be the same on both sides


def content_words(tokens: Array, token_ends: Array) -> tuple[Array, Array]:
    """The words that count of each text, uint32 sorted inside each, and where each text's end; `CRITICAL` is a bit."""
    kinds, lengths = tokens[:, buffers.KIND], tokens[:, buffers.END] - tokens[:, buffers.START]
    counts = ((kinds == buffers.WORD) & (lengths > 1)) | (kinds == buffers.HAN)
    known, meaning, critical = _tables()
    hashed = tokens[:, buffers.HASH]
    entry = np.minimum(np.searchsorted(known, hashed), len(known) - 1)
    is_known = known[entry] == hashed
    words = np.where(is_known, meaning[entry], hashed)
    counts &= words != 0
    values = (words >> np.uint64(32)).astype(np.uint32) & ~CRITICAL
    values |= (is_known & critical[entry]).astype(np.uint32)
    rows = np.repeat(np.arange(len(token_ends)), np.diff(token_ends, prepend=0))[counts]
    row_and_value = np.sort(rows << 32 | values[counts].astype(np.int64))
    ends = np.cumsum(np.bincount(rows, minlength=len(token_ends)))
    return (row_and_value & 0xFFFFFFFF).astype(np.uint32), ends


@lru_cache(maxsize=1)
def _tables() -> tuple[Array, Array, Array]:
    """Known words' hashes, sorted; the hash that each stands for, 0 for one that does not count; which are critical."""
    lists = shipped_yaml(__file__, "words.yaml")
    meaning = {hash_token(form, buffers.WORD): 0 for word in lists["ignored"].split() for form in _forms(word)}
    for group in lists["synonyms"]:
        words = group.split()
        meaning |= {
            hash_token(form, buffers.WORD): hash_token(words[0], buffers.WORD)
            for word in words
            for form in _forms(word)
        }
    seed = int(buffers.SEED)
    critical = {hash_token(word, buffers.WORD) for word in lists["critical"].split()}
    critical |= {mix(seed, ord(char)) for char in "".join(lists["critical_han"].split())}
    meaning |= {mix(seed, ord(char)): 0 for char in lists["ignored_han"]}
    meaning |= {word: meaning.get(word) or word for word in critical}
    known = sorted(meaning)
    values = [meaning[word] for word in known]
    return np.array(known, np.uint64), np.array(values, np.uint64), np.array([word in critical for word in known])


def _forms(word: str) -> set[str]:
    stem = word.removesuffix("e")
    return {word, word + "s", word + "es", stem + "ed", stem + "ing"} if len(word) > 2 else {word}
