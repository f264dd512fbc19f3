"""Confidence intervals of pass rates and of their differences, unbiased pass@k, and McNemar's test.

With thirty problems the choice of problems alone moves a score by about nine points, and one training seed by five
to fifteen more (METHOD: arXiv 2411.00640, 2504.07086); so no number is reported without an interval.  Bootstraps draw
from a numpy Generator with a fixed seed: the same data give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

Table = tuple[Sequence[int], Sequence[int]]  # of one benchmark: correct and decided rollouts of each problem
CONFIDENCE = 0.95
N_RESAMPLES = 4000  # our choice: the ends of an interval then move by about 2% of its width between generator seeds
_CHUNK = 1 << 22  # resampled cells held at once, 32 MB


class Interval(NamedTuple):
    """A value between the ends of its interval; `low <= value <= high` always holds."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=1 << 14)
def wilson(n_correct: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share, (0, 1) when `n` is 0; it holds near 0 and 1, where bootstraps do not."""
    if not 0 <= n_correct <= n:
        raise ValueError(f"{n_correct} correct of {n}")
    if n == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    interval = binomtest(n_correct, n).proportion_ci(confidence, "wilson")
    return float(interval.low), float(interval.high)


def pass_at_k(n: Sequence[int], n_correct: Sequence[int], k: int = 1) -> list[float]:
    """Unbiased pass@k of each problem, 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374); NaN where n < k.

    `n`, `n_correct`: rollouts and correct ones of each problem.
    """
    pairs = list(zip(n, n_correct, strict=True))
    if k < 1 or any(not 0 <= c <= m for m, c in pairs):
        raise ValueError("pass@k needs k >= 1 and 0 <= n_correct <= n")
    return [1 - math.comb(m - c, k) / math.comb(m, k) if m >= k else math.nan for m, c in pairs]


def mean_resamples(table: Table, n_resamples: int = N_RESAMPLES, seed: int | Sequence[int] = 0) -> np.ndarray:
    """Two-level bootstrap of the mean pass rate: draw problems, then each one's rollouts; shape (resamples,).

    Drawing n >= 1 outcomes with replacement is a binomial draw.  Drawing at both levels counts the rollouts' noise
    twice and is a little wide where n > 1 (95 to 98% covered in simulation).
    """
    c_of, n_of = np.asarray(table[0]), np.asarray(table[1])
    if n_of.size == 0 or np.any(n_of < 1) or np.any(c_of < 0) or np.any(c_of > n_of):
        raise ValueError("an interval needs one problem or more, each with 1 <= n and 0 <= n_correct <= n")
    rng = np.random.default_rng(seed)
    parts, size = [], max(1, _CHUNK // n_of.size)
    for start in range(0, n_resamples, size):
        drawn = rng.integers(n_of.size, size=(min(size, n_resamples - start), n_of.size))
        n_drawn = n_of[drawn]
        parts.append((rng.binomial(n_drawn, c_of[drawn] / n_drawn) / n_drawn).mean(axis=1))
    return np.concatenate(parts)


def mean_interval(
    n_correct: Sequence[int], n: Sequence[int], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Mean pass rate over problems with its two-level bootstrap interval; Wilson's where the draws do not vary."""
    return _bootstrap_interval([(n_correct, n)], [seed], n_resamples)


def macro_interval(tables: Sequence[Table], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """Mean over benchmarks of their mean pass rates, each benchmark counting once."""
    if not tables:
        raise ValueError("an average over no benchmark")
    return _bootstrap_interval(tables, [[seed, number] for number in range(len(tables))], n_resamples)


def _bootstrap_interval(tables: Sequence[Table], seeds: Sequence[int | Sequence[int]], n_resamples: int) -> Interval:
    draws = np.mean([mean_resamples(table, n_resamples, seed) for table, seed in zip(tables, seeds, strict=True)], 0)
    rates = [[c / n for c, n in zip(*table, strict=True)] for table in tables]
    value = math.fsum(math.fsum(of) / len(of) for of in rates) / len(rates)
    if float(np.ptp(draws)) == 0.0:
        return _wilson_of_alike(value, sum(map(len, rates)))
    return _percentiles(value, draws, 0.0, 1.0)


def seeds_interval(arm: Sequence[Any], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """Macro average of one arm over its training seeds: benchmarks of arrays (seeds, problems) of pass rates 0..1."""
    value, draws = _hierarchical_resamples([arm], n_resamples, seed)
    if value in (0.0, 1.0):
        return _wilson_of_alike(value, sum(len(rows[0]) for rows in arm))
    return _percentiles(value, draws, 0.0, 1.0)


def difference_interval(a: Sequence[Any], b: Sequence[Any], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """Macro-averaged paired difference a - b with a hierarchical interval (training seeds, then problems).

    `a[i]`, `b[i]`: pass rates on benchmark i, shapes (seeds of a, problems) and (seeds of b, problems), the problems
    in the same order.  Problems are resampled, one drawing for both arms.  Seeds are too few for that, so their
    deviation, common to all benchmarks, is drawn from Student's t with the observed variance and Welch's degrees of
    freedom.  An arm of one seed shows no seed noise, and its interval then holds for that one training only.
    """
    return _percentiles(*_hierarchical_resamples([a, b], n_resamples, seed), -1.0, 1.0)


def mcnemar(n_only_a: int, n_only_b: int) -> float:
    """Exact two-sided McNemar p value of the discordant problems: those that only a, and only b, has right."""
    from scipy.stats import binomtest

    n = n_only_a + n_only_b
    return float(binomtest(n_only_a, n).pvalue) if n else 1.0


def _hierarchical_resamples(outcomes: Sequence[Sequence[Any]], n_resamples: int, seed: int) -> tuple[float, Any]:
    """The macro average of one arm, or the difference of two, and its resamples, shape (resamples,)."""
    arms = [[np.atleast_2d(np.asarray(rows, dtype=float)) for rows in arm] for arm in outcomes]
    _check_shapes(arms)
    rng = np.random.default_rng(seed)
    value = sum(sign * float(np.mean([rows.mean() for rows in arm])) for sign, arm in zip((1, -1), arms, strict=False))
    draws = value + _seed_deviations(arms, rng, n_resamples)
    for rows in zip(*arms, strict=True):
        draws += _problem_deviations(rows, rng, n_resamples) / len(arms[0])
    return value, draws


def _check_shapes(arms: list[list[Any]]) -> None:
    if any(not arm or any(rows.size == 0 for rows in arm) for arm in arms):
        raise ValueError("a comparison needs a benchmark, a seed and a problem")
    if any(len({rows.shape[0] for rows in arm}) > 1 for arm in arms):
        raise ValueError("every benchmark needs the same seeds of an arm")
    if len({tuple(rows.shape[1] for rows in arm) for arm in arms}) > 1:
        raise ValueError("a paired comparison needs the same problems in both arms")


def _seed_deviations(arms: list[list[Any]], rng: np.random.Generator, n_resamples: int) -> Any:
    """Student-distributed deviations of the macro average due to training seeds, shape (resamples,)."""
    by_seed = [np.mean([rows.mean(axis=1) for rows in arm], axis=0) for arm in arms]
    parts = [(float(m.var(ddof=1)) / m.size, m.size - 1) for m in by_seed if m.size > 1]
    observed = sum(part for part, _ in parts)
    # three seeds may agree by luck; the noise of single problems says how far apart they should at least be
    least = sum(_seed_by_problem_variance(rows) / rows.shape[1] for arm in arms for rows in arm) / len(arms[0]) ** 2
    if max(observed, least) <= 0:
        return np.zeros(n_resamples)
    weight = sum(part**2 / degrees for part, degrees in parts)
    freedom = observed**2 / weight if weight > 0 else sum(degrees for _, degrees in parts)
    return math.sqrt(max(observed, least)) * rng.standard_t(freedom, n_resamples)


def _problem_deviations(rows: tuple[Any, ...], rng: np.random.Generator, n_resamples: int) -> Any:
    """Bootstrap deviations of one benchmark's mean (or paired difference) due to its problems, shape (resamples,).

    The share of a problem's variance that is due to single trainings is in the seeds' deviations, so it is taken out.
    """
    effect = rows[0].mean(axis=0) - (rows[1].mean(axis=0) if len(rows) > 1 else 0.0)
    effect = effect - effect.mean()
    n, variance = effect.size, float(effect.var(ddof=1)) if effect.size > 1 else 0.0
    if variance == 0.0:
        return np.zeros(n_resamples)
    shrink = math.sqrt(max(0.0, 1 - sum(_seed_by_problem_variance(part) for part in rows) / variance))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return shrink * (counts @ effect) / n


def _seed_by_problem_variance(rows: Any) -> float:
    """Variance of a problem's mean over seeds that is seed-by-problem noise; rows (seeds, problems); 0 for one seed."""
    n_seeds, n_problems = rows.shape
    if n_seeds == 1 or n_problems == 1:
        return 0.0
    rest = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
    return float((rest**2).sum()) / ((n_seeds - 1) * (n_problems - 1)) / n_seeds


def _wilson_of_alike(value: float, n_problems: int) -> Interval:
    """Wilson's interval on the number of problems, for equal outcomes, which resampling gives no spread."""
    low, high = wilson(round(value * n_problems), n_problems)
    return Interval(value, min(low, value), max(high, value))


def _percentiles(value: float, draws: Any, least: float, most: float) -> Interval:
    """The interval of the draws within `least`..`most`; it holds the value, which a skewed draw may leave outside."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, min(max(float(low), least), value), max(min(float(high), most), value))
