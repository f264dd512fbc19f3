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

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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
    seen = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
    firsts, seconds = (Counter(column) for column in zip(*pairs, strict=True))
    blind = sum(n * m * (a - b) ** 2 for a, n in firsts.items() for b, m in seconds.items()) / len(pairs) ** 2
    return 1 - seen / blind if blind else 1.0
