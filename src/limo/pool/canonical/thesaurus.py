"""Which words of a statement count where it is compared with a possible rewording: `words.yaml` as arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.files import shipped_yaml
from limo.pool.canonical import buffers, kernels
from limo.pool.canonical.lexicon import hash_token, mix

Array = Any  # of NumPy
CRITICAL = np.uint32(1)  # the low bit of a content word: it must be the same on both sides


def content_words(tokens: Array, token_ends: Array, in_order: bool = False) -> tuple[Array, Array]:
    """The words that count of each text, uint32 sorted inside each, and where each text's end; `CRITICAL` is a bit.

    `in_order`: `before ... after` and `after ... before` are other words, and so are all of those whose order counts.
    """
    words: tuple[Array, Array] = kernels.content_words(tokens, token_ends, _word_table(in_order))
    return words


@lru_cache(maxsize=2)
def _word_table(in_order: bool) -> Array:
    """A hash table for `buffers.find_entry`, uint64 [3, slots]: a word's hash, the hash that it stands for, 0 for one
    that does not count, and 1 for one that is critical, 2 where its place among those counts too.
    """
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
    ordered = {hash_token(word, buffers.WORD) for word in lists["ordered"].split()}
    ordered |= {mix(seed, ord(char)) for char in lists["ordered_han"]}
    meaning |= {mix(seed, ord(char)): 0 for char in lists["ignored_han"]}
    meaning |= {word: meaning.get(word) or word for word in critical | ordered}
    table = np.zeros((3, buffers.N_SLOTS + len(meaning)), np.uint64)
    for word, stands_for in meaning.items():
        slot = buffers.free_slot(table, word)
        is_ordered = in_order and word in ordered
        table[:, slot] = word, stands_for, 2 if is_ordered else word in critical | ordered
    return table


def _forms(word: str) -> set[str]:
    stem = word.removesuffix("e")
    return {word, word + "s", word + "es", stem + "ed", stem + "ing"} if len(word) > 2 else {word}
