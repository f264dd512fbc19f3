"""When the draws so far already decide, and how many more are surely needed.

A filter keeps a problem when `low` to `high` of `n` rollouts are correct.  Most problems are decided long before the
n-th: four correct ones end "1 to 3 of 32" at once.  `decide` gives the decision that all n draws would give, as soon
as no outcome of the open ones can change it, so nothing is lost by stopping.  An undecided rollout (its checker died,
its request failed) counts as open for ever: it might have been either, so it never decides anything.

    >>> decide(Band(1, 3, 32), n_correct=4, n_wrong=2, n_undecided=0)
    'drop'
    >>> fewest_more(Band(1, 3, 32), n_correct=0, n_wrong=0, n_undecided=0)
    4

A `Rule` is what a schedule asks: `Exact` is the one of this file, `limo.rollouts.likely` has one that may err.

What it does not do: estimate.  Nothing here is right only with some probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

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


def decide(band: Band, n_correct: int, n_wrong: int, n_undecided: int = 0) -> Decision | None:
    """What all `band.n` draws would decide, given those so far; None while the open ones could change it."""
    most = band.n - n_wrong  # correct ones in the end, were everything open correct
    if n_correct > band.high or most < band.low:
        return "drop"
    if n_correct >= band.low and most <= band.high:
        return "keep"
    return None


def fewest_more(band: Band, n_correct: int, n_wrong: int, n_undecided: int = 0) -> int:
    """The fewest further draws that could bring a decision: so many can be asked at once without waste.

    0 when it is decided, and when no further draw can decide (too many undecided ones).
    """
    n_open = band.n - n_correct - n_wrong - n_undecided
    if decide(band, n_correct, n_wrong, n_undecided) is not None:
        return 0
    most = band.n - n_wrong
    ways = (
        band.high + 1 - n_correct,  # that many correct: too many
        most - band.low + 1,  # that many wrong: too few can still come
        max(band.low - n_correct, 0) + max(most - band.high, 0),  # correct up to low, and the rest wrong
    )
    return min((n for n in ways if n <= n_open), default=0)


class Rule(Protocol):
    """When to stop asking about a problem.  `ordered` rules look at attempts in the order of their numbers only."""

    ordered: bool

    def decide(self, n_correct: int, n_wrong: int, n_undecided: int) -> Decision | None:
        """The decision, or None while it is open."""
        ...

    def n_more(self, n_correct: int, n_wrong: int, n_undecided: int) -> int:
        """The fewest further draws that could bring a decision; 0 when it is decided or never will be."""
        ...


class Exact:
    """Stop when no draw can change the decision.  The order of the answers does not matter to it."""

    def __init__(self, band: Band, ordered: bool = False) -> None:
        self.band, self.ordered = band, ordered
        self._known: dict[tuple[int, int, int], int] = {}

    def decide(self, n_correct: int, n_wrong: int, n_undecided: int) -> Decision | None:
        """As the function `decide`."""
        return decide(self.band, n_correct, n_wrong, n_undecided)

    def n_more(self, n_correct: int, n_wrong: int, n_undecided: int) -> int:
        """As the function `fewest_more`, remembered."""
        counts = (n_correct, n_wrong, n_undecided)
        found = self._known.get(counts)
        if found is None:
            found = self._known[counts] = fewest_more(self.band, *counts)
        return found
