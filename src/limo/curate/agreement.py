"""How far two scorers agree on the same chains: in rank, in level, and beyond chance.

    found = agreement(grades, others)
    found.correlation, found.same, found.kappa

- `correlation`: Spearman's rank correlation of the scores, ties shared;
- `same`: the share of chains that both give the same level;
- `kappa`: Cohen's, weighted by the square of the distance in levels: 1 for the same levels throughout, 0 for as much as
  two graders would agree who give their levels as often but blindly.

What it does not do: say who is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limo.core.records import LEVELS, Grade
from limo.curate.audit import correlation


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two scorers agree on `n` chains."""

    n: int
    correlation: float
    same: float
    kappa: float


def agreement(one: Sequence[Grade], other: Sequence[Grade]) -> Agreement:
    """The agreement of two gradings of the same chains, in the same order."""
    pairs = [(LEVELS.index(a.level), LEVELS.index(b.level)) for a, b in zip(one, other, strict=True)]
    n = max(1, len(pairs))
    same = sum(a == b for a, b in pairs) / n
    return Agreement(len(pairs), correlation([g.score for g in one], [g.score for g in other]), same, _kappa(pairs))


def _kappa(pairs: Sequence[tuple[int, int]]) -> float:
    """Quadratically weighted kappa; 1 where both give one and the same level to all."""
    if not pairs:
        return 0.0
    a, b = np.array(pairs).T
    expected = a.var() + b.var() + (a.mean() - b.mean()) ** 2  # squared distance of independent levels
    return float(1 - ((a - b) ** 2).mean() / expected) if expected else 1.0
