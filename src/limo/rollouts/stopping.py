"""Exact early stopping: whether the results so far decide a band, and how many more rollouts are needed at least.

A filter keeps a problem when `low` to `high` of `n` rollouts are correct.  Most problems are decided long before the
n-th rollout: four correct ones end "1 to 3 of 32".  `decide` returns the decision of all n rollouts as soon as no
outcome of the remaining ones can change it.  An undecided rollout (its verifier or its request failed) counts as
remaining for ever, since it might have been either.

    >>> decide(Band(1, 3, 32), n_correct=4, n_wrong=2)
    'drop'
    >>> n_more_needed(Band(1, 3, 32), n_correct=0, n_wrong=0, n_undecided=0)
    4
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limo.core.errors import InputError

Decision = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class Band:
    """Keep a problem when `low` to `high` of `n` rollouts are correct, both ends included.

    "Drop if any of 4 is right" is `Band(0, 0, 4)`.  Raises InputError unless 0 <= low <= high <= n and n >= 1.
    """

    low: int
    high: int
    n: int

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.high <= self.n and self.n >= 1):
            value = f"low {self.low}, high {self.high}, n {self.n}"
            raise InputError("the band is empty", value, "0 <= low <= high <= n", "for example 1..3 of 32")


def decide(band: Band, n_correct: int, n_wrong: int) -> Decision | None:
    """The decision of all `band.n` rollouts, given the counts so far; None while the remaining ones can change it."""
    most_correct = band.n - n_wrong
    if n_correct > band.high or most_correct < band.low:
        return "drop"
    if n_correct >= band.low and most_correct <= band.high:
        return "keep"
    return None


def n_more_needed(band: Band, n_correct: int, n_wrong: int, n_undecided: int) -> int:
    """The fewest further rollouts that can bring a decision: so many can be requested at once without waste.

    0 when the band is decided, and when no further rollout can decide it (too many undecided ones).
    """
    if decide(band, n_correct, n_wrong) is not None:
        return 0
    n_remaining = band.n - n_correct - n_wrong - n_undecided
    most_correct = band.n - n_wrong
    ways = (
        band.high + 1 - n_correct,  # that many correct: too many
        most_correct - band.low + 1,  # that many wrong: too few can still come
        max(band.low - n_correct, 0) + max(most_correct - band.high, 0),  # correct up to low, and the rest wrong
    )
    return min((n for n in ways if n <= n_remaining), default=0)
