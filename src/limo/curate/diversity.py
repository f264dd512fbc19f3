"""Choose problems that are unlike each other: a greedy k-centre over statements, traded against rank.

Statements become TF-IDF vectors (scikit-learn) of their words, LaTeX commands and pairs of Han characters, digits left
out.  Each pick is the one with the largest `(1 - diversity) * rank_value + diversity * distance`: `rank_value` falls
from 1 (best ranked) to 0, `distance` is 1 minus the cosine to the nearest pick so far.  With diversity 1 this is the
greedy k-centre (Gonzalez 1985); with 0 it is the rank.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from limo.core.errors import InputError

_TERM = re.compile(r"\\?[A-Za-z]{2,}|[\u3400-\u9fff]{2,}")


class DiversePicker:
    """Picks among `statements` in order of rank; `nearest`: each one's cosine to the pick most like it.

    Raises InputError without scikit-learn.
    """

    def __init__(self, statements: Sequence[str], diversity: float) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            do = "pip install 'limo[diverse]', or set diversity to 0"
            raise InputError("choosing unlike problems needs scikit-learn", f"diversity: {diversity}", "", do) from None
        n = len(statements)
        try:
            self._vectors = TfidfVectorizer(analyzer=statement_terms, dtype=np.float32).fit_transform(statements)
        except ValueError:  # no statement holds a single term
            self._vectors = None
        self.nearest = np.zeros(n, dtype=np.float32)
        self._rank_value = np.linspace(1, 0, n, dtype=np.float32) if n > 1 else np.ones(n, dtype=np.float32)
        self._diversity = diversity

    def best(self, is_open: np.ndarray) -> int:
        """The index of the best that is open; ties go to the better rank.  At least one must be open."""
        value = (1 - self._diversity) * self._rank_value + self._diversity * (1 - self.nearest)
        value[~is_open] = -1
        return int(np.argmax(value))

    def take(self, index: int) -> None:
        """Count the statement at `index` among the picks."""
        if self._vectors is not None:
            cosine = self._vectors @ self._vectors[index].toarray().ravel()
            np.maximum(self.nearest, cosine, out=self.nearest)


def statement_terms(statement: str) -> list[str]:
    """What a statement is compared by: words, commands, pairs of Han characters."""
    terms: list[str] = []
    for run in _TERM.findall(statement):
        pairs = [run[start : start + 2] for start in range(len(run) - 1)]
        terms += [run.lower()] if run[0] < "\u3400" else pairs
    return terms
