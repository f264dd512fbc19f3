"""How sure a number is: intervals for shares, pass@k without bias, and bootstraps over problems, rollouts and seeds.

With thirty problems the choice of problems alone moves a score by about nine points, and one training seed by five
to fifteen more (METHOD: arXiv 2411.00640, 2504.07086); so nothing in limo is reported without an interval.  All
resampling is numpy, whole arrays at once, from a Generator with a fixed seed: the same data give the same interval.

    wilson(57, 100)                              # (0.472, 0.663)
    mean_interval([3, 0, 4], [4, 4, 4])          # three problems, four rollouts each
    difference_interval([[[1, 0], [1, 1]]], [[[0, 0]]])          # one benchmark, two seeds against one, two problems

What it does not do: tests of significance beyond McNemar's counts, corrections for many comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
N_RESAMPLES = 4000  # our choice: the ends of an interval then move by about 2% of its width between generator seeds
_CHUNK = 1 << 22  # resampled cells held at once, 32 MB
_N_ANGLES = 4096  # of the integral in `beta_between`


class Interval(NamedTuple):
    """A value between the ends of its interval; `low <= value <= high` always holds."""

    value: float
    low: float
    high: float


def wilson(n_correct: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share, (0, 1) when `n` is 0; it holds near 0 and 1, where bootstraps do not."""
    if not 0 <= n_correct <= n:
        raise ValueError(f"{n_correct} correct of {n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, weight = n_correct / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    low = 0.0 if n_correct == 0 else max(0.0, middle - half)
    return low, 1.0 if n_correct == n else min(1.0, middle + half)


def beta_between(a: float, b: float, low: float, high: float) -> float:
    """The probability that a Beta(a, b) variable lies in low..high (each 0..1); a and b are 0.5 or more.

    By the midpoint rule in the angle t of x = sin(t)^2, in which the density has no poles; right to 5 digits.
    """
    import numpy as np

    step = math.pi / 2 / _N_ANGLES
    angles = (np.arange(_N_ANGLES) + 0.5) * step
    log_density = (2 * a - 1) * np.log(np.sin(angles)) + (2 * b - 1) * np.log(np.cos(angles))
    density = np.exp(log_density - log_density.max())
    ends = [math.asin(math.sqrt(min(1.0, max(0.0, end)))) / step for end in (low, high)]
    covered = np.clip(np.minimum(np.arange(_N_ANGLES) + 1, ends[1]) - np.maximum(np.arange(_N_ANGLES), ends[0]), 0, 1)
    return float((density * covered).sum() / density.sum())


def pass_at_k(n: Sequence[int] | np.ndarray, n_correct: Sequence[int] | np.ndarray, k: int = 1) -> np.ndarray:
    """Unbiased pass@k of each problem, 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374); NaN where fewer than k attempts.

    `n`, `n_correct`: attempts and correct ones, shape (problems,).  pass@1 is c / n.
    """
    import numpy as np

    n, c = np.asarray(n, dtype=float), np.asarray(n_correct, dtype=float)
    if k < 1 or np.any(c < 0) or np.any(c > n):
        raise ValueError("pass@k wants k >= 1 and 0 <= n_correct <= n")
    steps = np.arange(k)
    # the product of (n-c-i)/(n-i): never forms the huge binomials; a factor of 0 ends it where n-c < k
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.clip(n[..., None] - c[..., None] - steps, 0, None) / (n[..., None] - steps)
    return np.where(n >= k, 1 - factors.prod(axis=-1), np.nan)


def mean_resamples(
    n_correct: Sequence[int], n: Sequence[int], n_resamples: int = N_RESAMPLES, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Two-level bootstrap of the mean pass rate: draw problems, then each one's rollouts; shape (resamples,).

    `n_correct` of `n` decided rollouts for each problem, n >= 1.  Drawing n of a problem's n outcomes with
    replacement is a binomial draw, so no outcome is ever copied.  Drawing at both levels counts the rollouts' noise
    twice and is a little wide where n > 1 (95 to 98% covered in simulation); with n = 1 it is the plain bootstrap.
    """
    import numpy as np

    n_of, c_of = np.asarray(n), np.asarray(n_correct)
    if n_of.size == 0 or np.any(n_of < 1) or np.any(c_of < 0) or np.any(c_of > n_of):
        raise ValueError("each problem wants 1 <= n and 0 <= n_correct <= n, and there must be one")
    rng = np.random.default_rng(seed)
    parts, size = [], max(1, _CHUNK // n_of.size)
    for start in range(0, n_resamples, size):
        drawn = rng.integers(n_of.size, size=(min(size, n_resamples - start), n_of.size))
        n_drawn = n_of[drawn]
        parts.append((rng.binomial(n_drawn, c_of[drawn] / n_drawn) / n_drawn).mean(axis=1))
    return np.concatenate(parts)


def mean_interval(
    n_correct: Sequence[int], n: Sequence[int], n_resamples: int = N_RESAMPLES, seed: int | Sequence[int] = 0
) -> Interval:
    """Mean pass rate over problems with its two-level bootstrap interval.

    Where all problems came out alike (all right, all wrong) a bootstrap has no spread and would claim certainty;
    there Wilson's interval on the number of problems stands in.
    """
    draws = mean_resamples(n_correct, n, n_resamples, seed)
    rates = [c / m for c, m in zip(n_correct, n, strict=True)]
    value = math.fsum(rates) / len(rates)
    if set(rates) <= {0.0} or set(rates) <= {1.0}:
        return _ordered(value, *wilson(round(value) * len(rates), len(rates)))
    return _ordered(value, *_ends(draws))


def macro_interval(
    tables: Sequence[tuple[Sequence[int], Sequence[int]]], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Mean over benchmarks of their mean pass rates, each benchmark counting once; tables are (n_correct, n)."""
    import numpy as np

    if not tables:
        raise ValueError("an average over no benchmark")
    draws = np.mean([mean_resamples(c, n, n_resamples, [seed, i]) for i, (c, n) in enumerate(tables)], axis=0)
    value = math.fsum(math.fsum(c / m for c, m in zip(cs, ns, strict=True)) / len(ns) for cs, ns in tables)
    value /= len(tables)
    if float(np.ptp(draws)) == 0.0:  # every problem of every benchmark alike
        n_problems = sum(len(ns) for _, ns in tables)
        return _ordered(value, *wilson(round(value * n_problems), n_problems))
    return _ordered(value, *_ends(draws))


def seeds_interval(arm: Sequence[Any], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """Macro average of one arm over its training seeds: benchmarks of arrays (seeds, problems) of pass rates 0..1."""
    value, low, high = _hierarchical(arm, None, n_resamples, seed)
    if value in (0.0, 1.0):  # all alike: no spread to draw from, as in `mean_interval`
        n_problems = sum(len(rows[0]) for rows in arm)
        return _ordered(value, *wilson(int(value) * n_problems, n_problems))
    return _ordered(value, max(low, 0.0), min(high, 1.0))


def difference_interval(a: Sequence[Any], b: Sequence[Any], n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """Macro-averaged paired difference a - b with a hierarchical interval (training seeds, then problems).

    `a[i]`, `b[i]`: pass rates on benchmark i, shapes (seeds of a, problems) and (seeds of b, problems), the problems
    in the same order.  Problems are drawn as a bootstrap does, one drawing for both arms (that is the pairing).
    Seeds are too few for that: three of them, resampled, show two thirds of their variance and no tails.  So their
    deviation, common to all benchmarks, is drawn from Student's t with the variance seen and Welch's degrees of
    freedom.  An arm of one seed shows no seed noise, and its interval then holds for that one training only.
    """
    value, low, high = _hierarchical(a, b, n_resamples, seed)
    return _ordered(value, max(low, -1.0), min(high, 1.0))


def _hierarchical(a: Sequence[Any], b: Sequence[Any] | None, n_resamples: int, seed: int) -> Interval:
    import numpy as np

    arms = [[np.atleast_2d(np.asarray(rows, dtype=float)) for rows in arm] for arm in (a, b) if arm is not None]
    _check_shapes(arms)
    rng = np.random.default_rng(seed)
    value = sum(sign * float(np.mean([rows.mean() for rows in arm])) for sign, arm in zip((1, -1), arms, strict=False))
    draws = value + _seed_deviations(arms, rng, n_resamples)
    for rows in zip(*arms, strict=True):
        draws += _problem_deviations(rows, rng, n_resamples) / len(arms[0])
    return Interval(value, *_ends(draws))


def _check_shapes(arms: list[list[Any]]) -> None:
    if any(not arm or any(rows.size == 0 for rows in arm) for arm in arms):
        raise ValueError("a comparison needs a benchmark, a seed and a problem")
    if any(len({rows.shape[0] for rows in arm}) > 1 for arm in arms):
        raise ValueError("every benchmark wants the same seeds of an arm")
    if len({tuple(rows.shape[1] for rows in arm) for arm in arms}) > 1:
        raise ValueError("a paired comparison wants the same problems in both arms")


def _seed_deviations(arms: list[list[Any]], rng: np.random.Generator, n_resamples: int) -> Any:
    """Student-distributed deviations of the macro average due to training seeds, shape (resamples,)."""
    import numpy as np

    by_seed = [np.mean([rows.mean(axis=1) for rows in arm], axis=0) for arm in arms]
    parts = [(float(m.var(ddof=1)) / m.size, m.size - 1) for m in by_seed if m.size > 1]
    seen = sum(part for part, _ in parts)
    # three seeds may agree by luck; the noise of single problems says how far apart they should at least be
    least = sum(_interaction(rows) / rows.shape[1] for arm in arms for rows in arm) / len(arms[0]) ** 2
    if max(seen, least) <= 0:
        return np.zeros(n_resamples)
    weight = sum(part**2 / degrees for part, degrees in parts)
    freedom = seen**2 / weight if weight > 0 else sum(degrees for _, degrees in parts)
    return math.sqrt(max(seen, least)) * rng.standard_t(freedom, n_resamples)


def _problem_deviations(rows: tuple[Any, ...], rng: np.random.Generator, n_resamples: int) -> Any:
    """Bootstrap deviations of one benchmark's mean (or paired difference) due to its problems, shape (resamples,).

    What a problem owes to the chance of single trainings is in the seeds' deviations already, so that share of the
    variance is taken out here; counting it twice made intervals up to a half too wide in simulation.
    """
    import numpy as np

    effect = rows[0].mean(axis=0) - (rows[1].mean(axis=0) if len(rows) > 1 else 0.0)
    effect = effect - effect.mean()
    n, spread = effect.size, float(effect.var(ddof=1)) if effect.size > 1 else 0.0
    if spread == 0.0:
        return np.zeros(n_resamples)
    shrink = math.sqrt(max(0.0, 1 - sum(_interaction(part) for part in rows) / spread))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return shrink * (counts @ effect) / n


def _interaction(rows: Any) -> float:
    """Variance of a problem's mean over seeds that is seed-by-problem noise; rows (seeds, problems); 0 for one seed."""
    n_seeds, n_problems = rows.shape
    if n_seeds == 1 or n_problems == 1:
        return 0.0
    rest = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
    return float((rest**2).sum()) / ((n_seeds - 1) * (n_problems - 1)) / n_seeds


def mcnemar(n_only_a: int, n_only_b: int) -> float:
    """Exact two-sided McNemar p value: how often a fair coin splits the discordant problems at least this unevenly."""
    n, fewer = int(n_only_a) + int(n_only_b), int(min(n_only_a, n_only_b))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n)


def _ends(draws: Any) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _ordered(value: float, low: float, high: float) -> Interval:
    """Ends that hold the value: rounding, or a percentile of a skewed draw, may put it a hair outside."""
    return Interval(value, min(low, value), max(high, value))
