"""Stop when the decision is certain to a stated error, by what the pool has shown of its pass rates so far.

How likely "1 to 3 of 32" still is after 0 of 10 depends on how common which pass rates are.  That is learnt from the
pool itself: its problems, in the order of their ids (hashes, so a random order), are cut into generations of 50, 50,
100, 200, ...; the first is decided exactly, each later one by a prior fitted to all before it.  A problem's attempts
count in the order of their numbers.  So the decisions follow from the draws alone, whatever order answers came in and
wherever a run was stopped and started again.

    rules = Learning(Band(1, 3, 32), max_error=0.01, problem_ids=ids)
    rules.of(problem_id).n_more(0, 10, 0)
    rules.settled(problem_id, n_correct=0, n_wrong=29)

`max_error` bounds the chance, for each problem, that all n draws would decide otherwise, so far as the prior is right;
bench/rollouts.py measures how often they do.

What it does not do: change what is kept as a pass rate; counts are counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from limo.core.errors import InputError
from limo.rollouts.stopping import Band, Decision, Exact, Rule

FIRST = 50  # problems decided exactly before anything is guessed; fewer learn too little, more save too little
# Pass rates that the prior is made of: both ends, and logits evenly between 0.2% and 99.8%.
RATES = np.concatenate([[0.0], 1 / (1 + np.exp(-np.linspace(-6.2, 6.2, 61))), [1.0]])
PSEUDO = 2.0  # weight of the flat prior in problems, so that what was not seen yet stays possible
_STEPS = 200  # of expectation-maximisation; the fit changes in the fourth digit after 100


def fit(counts: Sequence[tuple[int, int]]) -> np.ndarray:
    """The weights of RATES that (correct, wrong) counts of problems show; stopping early does not bias them."""
    flat = np.full(len(RATES), 1 / len(RATES))
    if not counts:
        return flat
    pairs, times = np.unique(np.array(counts), axis=0, return_counts=True)
    likelihood = RATES ** pairs[:, :1] * (1 - RATES) ** pairs[:, 1:]
    weights = flat
    for _ in range(_STEPS):
        shares = likelihood * weights
        shares /= shares.sum(axis=1, keepdims=True)
        weights = (times @ shares + PSEUDO * flat) / (times.sum() + PSEUDO)
    return weights


class Likely:
    """The rule for one prior: `keep[c, w]` is the chance that all n draws keep, after c correct and w wrong."""

    ordered = True

    def __init__(self, band: Band, weights: np.ndarray, max_error: float) -> None:
        n, self.band, self.max_error = band.n, band, max_error
        powers = np.arange(n + 2)[:, None]
        up, down = RATES**powers, (1 - RATES) ** powers
        mass = np.einsum("g,cg,wg->cw", weights, up, down)  # chance of one order of c correct and w wrong
        self.keep = np.zeros((n + 1, n + 1))
        self.steps = np.zeros((n + 1, n + 1), dtype=int)
        for right_ones in range(n + 1):
            self.keep[right_ones, n - right_ones] = float(band.low <= right_ones <= band.high)
        for total in range(n - 1, -1, -1):
            c = np.arange(total + 1)
            w = total - c
            right = np.divide(mass[c + 1, w], mass[c, w], out=np.full(total + 1, 0.5), where=mass[c, w] > 0)
            self.keep[c, w] = right * self.keep[c + 1, w] + (1 - right) * self.keep[c, w + 1]
            more = 1 + np.minimum(self.steps[c + 1, w], self.steps[c, w + 1])
            self.steps[c, w] = np.where(self._open(self.keep[c, w]), more, 0)

    def _open(self, keep: np.ndarray) -> np.ndarray:
        return (keep > self.max_error) & (keep < 1 - self.max_error)

    def decide(self, n_correct: int, n_wrong: int, n_undecided: int) -> Decision | None:
        """The likelier decision once the other is no likelier than `max_error`."""
        keep = self.keep[n_correct, n_wrong]
        return None if self._open(keep) else "keep" if keep > 0.5 else "drop"

    def n_more(self, n_correct: int, n_wrong: int, n_undecided: int) -> int:
        """The fewest further draws that could bring a decision; 0 when it is decided or never will be."""
        found = int(self.steps[n_correct, n_wrong])
        return found if found <= self.band.n - n_correct - n_wrong - n_undecided else 0

    def risk(self, n_correct: int, n_wrong: int) -> float:
        """The chance that all n draws would decide otherwise."""
        keep = float(self.keep[n_correct, n_wrong])
        return min(keep, 1 - keep)


class Learning:
    """Which rule each problem is under; a generation gets its prior when all before it are settled."""

    def __init__(self, band: Band, max_error: float, problem_ids: Iterable[str]) -> None:
        if not 0 < max_error < 0.5:
            raise InputError("the error does not fit", max_error, "above 0, below 0.5", "0.01 is one in a hundred")
        self.band, self.max_error = band, max_error
        ids = sorted(problem_ids)
        self._generation = {name: _generation(rank) for rank, name in enumerate(ids)}
        n_generations = self._generation[ids[-1]] + 1 if ids else 0
        self._n_open = [0] * n_generations
        for generation in self._generation.values():
            self._n_open[generation] += 1
        self._rules: list[Rule] = [Exact(band, ordered=True)] * n_generations
        self._learnt: list[tuple[int, int]] = []
        self._n_ready = min(1, n_generations)

    def of(self, problem_id: str) -> Rule:
        """The rule as it is now; exact until the problem's generation has its prior."""
        return self._rules[self._generation[problem_id]]

    def is_ready(self, problem_id: str) -> bool:
        """Whether the problem may be settled: before its prior is there it is only asked what is needed anyway."""
        return self._generation[problem_id] < self._n_ready

    def settled(self, problem_id: str, n_correct: int, n_wrong: int) -> list[str]:
        """Tell that a problem is settled, and with which counts; the problems that became ready by it."""
        generation = self._generation[problem_id]
        self._learnt.append((n_correct, n_wrong))
        self._n_open[generation] -= 1
        if self._n_open[generation] or self._n_ready == len(self._rules):
            return []
        self._rules[self._n_ready] = Likely(self.band, fit(sorted(self._learnt)), self.max_error)
        self._n_ready += 1
        return [name for name, of in self._generation.items() if of == self._n_ready - 1]


def _generation(rank: int) -> int:
    """0 for the first FIRST ranks, 1 for as many again, then doubling."""
    return (rank // FIRST).bit_length()
