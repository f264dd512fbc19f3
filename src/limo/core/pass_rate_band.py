"""The band of a filter: which counts of correct rollouts keep a problem, and when that is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limo.core.errors import InputError

Decision = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class PassRateBand:
    """Keep a problem when `low` to `high` of `n` rollouts are correct, both ends included.

    Raises InputError unless 0 <= low <= high <= n and n >= 1.
    """

    low: int
    high: int
    n: int

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.high <= self.n and self.n >= 1):
            value = f"low {self.low}, high {self.high}, n {self.n}"
            raise InputError("the band is empty", value, "0 <= low <= high <= n", "for example 1..3 of 32")

    def decide(self, n_correct: int, n_wrong: int) -> Decision | None:
        """The decision of all `n` rollouts by the counts so far; None while the remaining ones can change it."""
        most_correct = self.n - n_wrong
        if n_correct > self.high or most_correct < self.low:
            return "drop"
        if n_correct >= self.low and most_correct <= self.high:
            return "keep"
        return None

    def n_more_needed(self, n_correct: int, n_wrong: int, n_undecided: int) -> int:
        """The fewest further rollouts that can bring a decision; 0 when the band is decided or cannot be any more.

        An undecided rollout might have been either, so it always counts as remaining.
        """
        if self.decide(n_correct, n_wrong) is not None:
            return 0
        n_remaining = self.n - n_correct - n_wrong - n_undecided
        most_correct = self.n - n_wrong
        ways = (
            self.high + 1 - n_correct,  # that many correct: too many
            most_correct - self.low + 1,  # that many wrong: too few can still come
            max(self.low - n_correct, 0) + max(most_correct - self.high, 0),  # correct up to low, and the rest wrong
        )
        return min((n for n in ways if n <= n_remaining), default=0)
