"""Unlike problems first: a greedy k-centre over statements, traded against rank.

Statements become TF-IDF vectors (scikit-learn) of their words, LaTeX commands and pairs of Han characters, digits left
out: what a problem is about, not its numbers.  Each pick is the one with the largest

    (1 - diversity) * place + diversity * distance

where `place` falls from 1 (best ranked) to 0, and `distance` is 1 minus the cosine to the nearest pick so far.  With
diversity 1 this is the greedy k-centre (Gonzalez 1985), within twice the best covering radius; with 0 it is the rank.
The greedy loop is ours, because quotas and budgets close candidates while it runs; one step is one product of a
sparse matrix and a vector, so 800 of 100,000 take seconds.

    order = Spread(statements, diversity=0.3)
    place = order.next(open_)        # index of the next pick among those still open, and its likeness to former ones
    order.take(place)

What it does not do: understand.  Two wordings of one idea are far apart here; give embeddings' clusters as `topic` and
use quotas where that matters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limo.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_TERM = re.compile(r"\\?[A-Za-z]{2,}|[\u3400-\u9fff]{2,}")


class Spread:
    """Picks among `statements`, which stand in order of rank.  Raises InputError without scikit-learn."""

    def __init__(self, statements: Sequence[str], diversity: float) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            do = "pip install 'limo[diverse]', or set diversity to 0"
            raise InputError("choosing unlike problems needs scikit-learn", f"diversity: {diversity}", "", do) from None
        import numpy as np

        self._np = np
        n = len(statements)
        try:
            vectors = TfidfVectorizer(analyzer=terms, dtype=np.float32).fit_transform(statements)
        except ValueError:  # no statement holds a single term
            vectors = None
        self._vectors = vectors
        self.nearest = np.zeros(n, dtype=np.float32)  # cosine to the pick most like it
        self._place = np.linspace(1, 0, n, dtype=np.float32) if n > 1 else np.ones(n, dtype=np.float32)
        self._diversity = diversity

    def next(self, is_open: np.ndarray) -> int:
        """The best of those that are open; ties go to the better rank.  At least one must be open."""
        value = (1 - self._diversity) * self._place + self._diversity * (1 - self.nearest)
        value[~is_open] = -1
        return int(self._np.argmax(value))

    def take(self, place: int) -> None:
        """Count what stands at `place` among the picks."""
        if self._vectors is not None:
            likeness = self._vectors @ self._vectors[place].toarray().ravel()
            self._np.maximum(self.nearest, likeness, out=self.nearest)


def terms(statement: str) -> list[str]:
    """What a statement is compared by: words, commands, pairs of Han characters."""
    found = []
    for run in _TERM.findall(statement):
        found += [run.lower()] if run[0] < "\u3400" else [run[at : at + 2] for at in range(len(run) - 1)]
    return found
