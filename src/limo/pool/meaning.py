"""Problems that mean the same in other words or in another language: near in the space of an embedding model.

Paraphrases and translations share few words with their original, so no rule over words finds them.  A model that
embeds sentences does, but it also finds problems that only resemble each other: hence its hits are reported, for a
person or a judge to look at, and dropped only where that is asked for.  The extra `meaning` brings
sentence-transformers; the model is a folder or a hub id of yours (multilingual, for Chinese against English).

    near = Meaning(encoder("models/all-MiniLM-L6-v2"), ["How many pens has Tom?"], 0.85)
    near.search(["What number of pens does Tom own?"])          # rows, places among the texts given, cosines

What it does not do: see numbers.  Two problems of one template with other numbers are near, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from limo.core.errors import InputError
from limo.core.text import shorten

Array = Any  # of NumPy
Encoder = Callable[[Sequence[str]], Array]  # texts to vectors, float32 [n, d]


@dataclass(frozen=True, slots=True)
class Meaning:
    """Texts findable by what they mean; `least` is the smallest cosine that counts."""

    encode: Encoder
    texts: Sequence[str]
    least: float
    _vectors: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_vectors", _normalised(self.encode(self.texts)))

    def search(self, texts: Sequence[str]) -> list[tuple[int, int, float]]:
        """For each text that has one its nearest of the known: its row, the place of the other, the cosine."""
        cosines = _normalised(self.encode(texts)) @ self._vectors.T
        nearest = cosines.argmax(axis=1)
        best = cosines[np.arange(len(nearest)), nearest]
        rows = np.flatnonzero(best >= self.least)
        return [(int(row), int(nearest[row]), round(float(best[row]), 3)) for row in rows]


def _normalised(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32) / np.maximum(lengths, 1e-12)


@lru_cache(maxsize=1)
def encoder(model: str) -> Encoder:
    """The encoder of a sentence-transformers model: a folder, or a hub id (HF_HUB_OFFLINE is honoured).

    Raises InputError where the package is missing or the model cannot be loaded.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        do = "pip install 'limo[meaning]'"
        raise InputError("sentence-transformers is not installed", model, "the extra `meaning`", do) from None
    try:
        loaded = SentenceTransformer(model)
    except (OSError, ValueError, RuntimeError) as error:
        allowed = "a folder or hub id of a sentence-transformers model"
        raise InputError("the embedding model cannot be loaded", model, allowed, shorten(str(error), 160)) from None
    return lambda texts: loaded.encode(list(texts), batch_size=64, show_progress_bar=False)
