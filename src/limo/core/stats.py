"""Intervals of pass rates and of paired differences in closed form, pass@k and maj@n, and tests of differences.

With thirty problems the choice of problems alone moves a score by about nine points, and one training seed by five
to fifteen more (METHOD: arXiv 2411.00640, 2504.07086); so no number is reported without an interval.  Each interval is
about problems like these ones: problems and rollouts both vary.  `bench/intervals.py` simulates what they cover.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE, POWER = 0.95, 0.8
DESIGN = "paired by problem, 80% power, 5% two-sided"
"""Of every detectable difference, expected or measured."""
N_EXACT = 20  # differing problems up to which every assignment of signs is counted
N_FLIPS = 19_999  # drawn assignments beyond: a p value of .05 is then off by .003 at most
MOST_ROLLOUTS = 1024  # of one problem, when their number is read off the pass rates


class Interval(NamedTuple):
    """A value between the ends of its interval; `low <= value <= high` always holds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval and where its noise comes from.

    `error`: standard error; `freedom`: degrees of freedom of Student's t; `sampling`: share of the variance, 0..1, that
    more rollouts of the same problems would take away (the rest is the choice of problems); None where it is unknown,
    since each problem has one rollout.
    """

    value: float
    low: float
    high: float
    error: float
    freedom: float
    sampling: float | None = None

    @property
    def interval(self) -> Interval:
        """The value and both ends."""
        return Interval(self.value, self.low, self.high)

    @property
    def detectable(self) -> float:
        """The smallest true difference from 0 that data like these would have shown with 80% probability."""
        return (_t(self.freedom) + _t(self.freedom, POWER)) * self.error if self.freedom > 0 else math.inf


def detectable_difference(n_problems: int, n_rollouts: float = 1) -> float:
    """The smallest true difference between two models that their comparison is expected to show with 80% probability.

    Paired by problem and two-sided at 5%, as `Estimate.detectable` of the difference once both are measured.  Before,
    only the numbers of problems and of rollouts of each are known: the pass rates of the problems are taken to lie
    evenly between 0 and 1, those of one model whatever the other's are.
    """
    if n_problems < 2:
        return 1.0
    variance = 2 * (1 / 12 + 1 / (6 * n_rollouts))  # of the pass rates, and of the rollouts of each
    return min(1.0, Estimate(0, 0, 0, math.sqrt(variance / (n_problems - 1)), n_problems - 1).detectable)


def expected_detectable(n_problems: int, n_rollouts: float = 1) -> str:
    """The expected detectable difference with what it rests on, in words that every command shares."""
    points = 100 * detectable_difference(n_problems, n_rollouts)
    counts = f"{n_problems:,} problems, rollouts of each: {n_rollouts:g}"
    return f"smallest detectable difference, expected: {points:.1f} points ({counts}; {DESIGN})"


@lru_cache(maxsize=1 << 14)
def wilson(n_correct: int, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share, (0, 1) when `n` is 0; it holds near 0 and 1."""
    if not 0 <= n_correct <= n:
        raise ValueError(f"{n_correct} correct of {n}")
    if n == 0:
        return 0.0, 1.0
    return _wilson(n_correct / n, n, NormalDist().inv_cdf((1 + CONFIDENCE) / 2))


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    middle, shrink = p + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return min(p, max(0.0, (middle - half) / shrink)), max(p, min(1.0, (middle + half) / shrink))


@lru_cache(maxsize=1 << 12)
def beta_cdf(a: float, b: float, x: float) -> float:
    """The chance that a Beta(a, b) is at most `x`, 0..1.  By mpmath, which SymPy brings: SciPy is larger than limo."""
    from mpmath import mp  # type: ignore[import-untyped]

    return float(mp.betainc(a, b, 0, x, regularized=True))


@lru_cache(maxsize=1 << 12)
def _t(freedom: float, share: float = (1 + CONFIDENCE) / 2) -> float:
    """Student's quantile at `share`, above 1/2, by Newton's method on logarithms, where the tail is concave."""
    tail, value = 2 * (1 - share), NormalDist().inv_cdf(share)
    if freedom > 10_000:  # the next term of this expansion is below 1e-7
        return value + (value**3 + value) / (4 * freedom)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    for _ in range(100):
        beyond = beta_cdf(freedom / 2, 0.5, freedom / (freedom + value * value))
        density = 2 * math.exp(scale - (freedom + 1) / 2 * math.log1p(value * value / freedom))
        step = beyond / (value * density) * math.log(beyond / tail)
        value *= math.exp(step)
        if abs(step) < 1e-12:
            break
    return value


def pass_at_k(n: Sequence[int], n_correct: Sequence[int], k: int = 1) -> list[float]:
    """Unbiased pass@k of each problem, 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374); NaN where n < k.

    `n`, `n_correct`: rollouts and correct ones of each problem.
    """
    pairs = list(zip(n, n_correct, strict=True))
    if k < 1 or any(not 0 <= c <= m for m, c in pairs):
        raise ValueError("pass@k needs k >= 1 and 0 <= n_correct <= n")
    return [1 - math.comb(m - c, k) / math.comb(m, k) if m >= k else math.nan for m, c in pairs]


def pass_at_k_interval(n: Sequence[int], n_correct: Sequence[int], k: int) -> Estimate:
    """Mean pass@k over the problems with `k` rollouts or more, with its interval.  ValueError where there is none."""
    rates = pass_at_k(n, n_correct, k)
    kept = [(rate, max(1.0, m / k)) for rate, m in zip(rates, n, strict=True) if m >= k]  # n/k drawings of k each
    if not kept:
        raise ValueError(f"no problem has {k} rollouts")
    return _score(np.array([rate for rate, _ in kept]), np.array([size for _, size in kept]))


def majority(votes: Iterable[tuple[str, bool]]) -> float:
    """Whether the answer given most often is right, 0..1: of answers that tie, the share that is right.

    `votes`: (answer, whether it is right) of each rollout that gave one; an answer that was judged both ways counts as
    its majority says.  0 without a vote.
    """
    counts: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for answer, is_right in votes:
        counts[answer] += 1
        right[answer] += is_right
    first = [answer for answer, n in counts.items() if n == max(counts.values())]
    return sum(2 * right[answer] > counts[answer] for answer in first) / len(first) if first else 0.0


def score_interval(rates: Sequence[float], n: Sequence[int]) -> Estimate:
    """Mean over problems of their pass rates, each of `n` rollouts, with its interval."""
    return _score(*_checked(rates, n))


def mean_interval(n_correct: Sequence[int], n: Sequence[int]) -> Estimate:
    """Mean pass rate over problems with its interval, from counts."""
    if len(n_correct) != len(n) or any(not 0 <= c <= m or m < 1 for c, m in zip(n_correct, n, strict=True)):
        raise ValueError("an interval needs one problem or more, each with 1 <= n and 0 <= n_correct <= n")
    return score_interval([c / m for c, m in zip(n_correct, n, strict=True)], n)


def _checked(rates: Sequence[float], n: Sequence[int]) -> tuple[Any, Any]:
    values, sizes = np.asarray(rates, dtype=float), np.asarray(n, dtype=float)
    if values.size == 0 or values.shape != sizes.shape or not ((values >= 0) & (values <= 1)).all() or sizes.min() < 1:
        raise ValueError("an interval needs one problem or more, each with a rate in 0..1 and one rollout or more")
    return values, sizes


def _score(rates: Any, sizes: Any) -> Estimate:
    """Wilson's interval on as many problems as would vary like these, with Student's t instead of the normal.

    The variance of a problem's rate takes in a pseudo problem solved and one not solved, of weight (1 - mean(1/n)) / 4.
    A weight of 1 - mean(1/n) covers no better anywhere and is up to a third wider at 15 problems (bench/intervals.py).
    """
    n, p = rates.size, float(math.fsum(rates) / rates.size)
    weight = (1.0 - float(np.mean(1 / sizes))) / 4
    spread = _spread(rates - p, weight, (1 - p) ** 2 + p**2)
    if p in (0.0, 1.0):  # for sums with other scores: the variance of one problem more solved, and one more not
        n_effective, variance = float(n), (n + 1) / (n + 2) ** 2 / n
    else:
        variance = max(spread / n, p * (1 - p) / float(sizes.sum()))
        n_effective = p * (1 - p) / variance
    low, high = _wilson_t(p, n_effective, n - 1)
    return Estimate(p, min(low, p), max(high, p), math.sqrt(variance), n - 1, _sampling([(rates, sizes)], spread))


def _spread(deviations: Any, weight: float, pseudo: float) -> float:
    """Variance of one problem's value: squared deviations and a pseudo pair (sum of squares `pseudo`) of a weight."""
    freedom = deviations.size - 1 + 2 * weight
    return float((deviations**2).sum() + weight * pseudo) / freedom if freedom > 0 else math.inf


def _wilson_t(p: float, n: float, freedom: float) -> tuple[float, float]:
    if freedom <= 0 or n <= 0:
        return 0.0, 1.0
    return _wilson(p, n, _t(freedom))


def _sampling(tables: Sequence[tuple[Any, Any]], spread: float) -> float | None:
    """Share of `spread` (variance of one problem's value) that single rollouts make, from problems with several."""
    share = 0.0
    for rates, sizes in tables:
        several = sizes > 1
        if not several.any() or not 0 < spread < math.inf:
            return None
        share += float(np.mean(rates[several] * (1 - rates[several]) / (sizes[several] - 1))) / spread
    return min(1.0, share)


def _sum_variances(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The sum of independent (variance, degrees of freedom) and Welch's degrees of freedom of it."""
    known = [(variance, freedom) for variance, freedom in parts if variance > 0]
    total = math.fsum(variance for variance, _ in known)
    if not known:
        return 0.0, min(freedom for _, freedom in parts[:1])
    if any(freedom <= 0 or variance == math.inf for variance, freedom in known):
        return math.inf, 0.0
    return total, total**2 / math.fsum(variance**2 / freedom for variance, freedom in known)


def macro_interval(scores: Sequence[Estimate]) -> Estimate:
    """Mean of the scores of benchmarks, each counting once, by Student's t with Welch's degrees of freedom."""
    if not scores:
        raise ValueError("an average over no benchmark")
    if len(scores) == 1:
        return scores[0]
    n, value = len(scores), math.fsum(score.value for score in scores) / len(scores)
    parts = [(score.error**2 / n**2, score.freedom) for score in scores]
    shares = [score.sampling for score in scores]
    return _by_student(value, parts, shares, 0.0)


def _by_student(
    value: float, parts: Sequence[tuple[float, float]], shares: Sequence[float | None], least: float
) -> Estimate:
    """Student's interval, within `least`..1, from independent (variance, degrees of freedom) and their sampling."""
    variance, freedom = _sum_variances(parts)
    known = 0 < variance < math.inf
    half = _t(freedom) * math.sqrt(variance) if known else 0.0 if variance == 0 else math.inf
    sampled = [share * part for share, (part, _) in zip(shares, parts, strict=True) if share is not None and known]
    sampling = min(1.0, math.fsum(sampled) / variance) if len(sampled) == len(parts) else None
    return Estimate(
        value, min(max(value - half, least), value), max(min(value + half, 1.0), value), math.sqrt(variance), freedom,
        sampling,
    )  # fmt: skip


def rollouts_of(rates: Any) -> int:
    """Rollouts behind pass rates, where they were not stored: the largest denominator among the rates."""
    return max(Fraction(float(rate)).limit_denominator(MOST_ROLLOUTS).denominator for rate in np.unique(rates))


def seeds_interval(arm: Sequence[Any]) -> Estimate:
    """Macro average of one arm over its training seeds: benchmarks of arrays (seeds, problems) of pass rates 0..1."""
    arm = [np.atleast_2d(np.asarray(rows, dtype=float)) for rows in arm]
    _check_shapes([arm])
    scores = [_score(rows.mean(axis=0), np.full(rows.shape[1], len(rows) * rollouts_of(rows))) for rows in arm]
    if len(arm[0]) == 1:
        return macro_interval(scores)
    return _with_seeds([arm], [(score.value, score.error**2 * rows.shape[1], score.sampling)
                               for score, rows in zip(scores, arm, strict=True)], 0.0)  # fmt: skip


def difference_interval(a: Sequence[Any], b: Sequence[Any]) -> Estimate:
    """Macro-averaged paired difference a - b with its interval, by Student's t.

    `a[i]`, `b[i]`: pass rates on benchmark i, shapes (seeds of a, problems) and (seeds of b, problems), the problems
    in the same order.  The variance over problems takes in a pseudo pair of differences (+1, -1) of weight 1/rollouts,
    or a few equal answers would be certainty.  Training seeds add the variance of their macro averages.  An arm of one
    seed shows no seed noise, and its interval then holds for that one training only.
    """
    arms = [[np.atleast_2d(np.asarray(rows, dtype=float)) for rows in arm] for arm in (a, b)]
    _check_shapes(arms)
    effects = []
    for rows in zip(*arms, strict=True):
        means, sizes = [table.mean(axis=0) for table in rows], [len(table) * rollouts_of(table) for table in rows]
        gaps, weight = means[0] - means[1], sum(1 / size for size in sizes) / 2
        value = float(gaps.mean())
        spread = _spread(gaps - value, weight, (1 - value) ** 2 + (1 + value) ** 2)
        tables = [(mean, np.full(mean.size, size)) for mean, size in zip(means, sizes, strict=True)]
        effects.append((value, spread, _sampling(tables, spread)))
    return _with_seeds(arms, effects, -1.0)


def _with_seeds(arms: list[list[Any]], effects: list[tuple[float, float, float | None]], least: float) -> Estimate:
    """The macro average of effects (value, variance of one problem's, sampling) of one arm, or of a pair of arms.

    The share of a problem's variance that single trainings make is in the seeds' variance, so it is taken out.
    """
    n, parts = len(effects), [_seeds_variance(arms)]
    for number, (_, spread, _) in enumerate(effects):
        tables = [arm[number] for arm in arms]
        rest = max(0.0, spread - sum(_seed_by_problem_variance(rows) for rows in tables))
        parts.append((rest / tables[0].shape[1] / n**2, tables[0].shape[1] - 1))
    value = math.fsum(effect[0] for effect in effects) / n
    several = any(len(arm[0]) > 1 for arm in arms)  # then a problem's rates hold the noise of trainings too
    return _by_student(value, parts, [0.0, *(None if several else effect[2] for effect in effects)], least)


def _check_shapes(arms: list[list[Any]]) -> None:
    if any(not arm or any(rows.size == 0 for rows in arm) for arm in arms):
        raise ValueError("a comparison needs a benchmark, a seed and a problem")
    if any(len({rows.shape[0] for rows in arm}) > 1 for arm in arms):
        raise ValueError("every benchmark needs the same seeds of an arm")
    if len({tuple(rows.shape[1] for rows in arm) for arm in arms}) > 1:
        raise ValueError("a paired comparison needs the same problems in both arms")


def _seeds_variance(arms: list[list[Any]]) -> tuple[float, float]:
    """Variance of the macro average due to training seeds, and Welch's degrees of freedom."""
    by_seed = [np.mean([rows.mean(axis=1) for rows in arm], axis=0) for arm in arms]
    parts = [(float(m.var(ddof=1)) / m.size, float(m.size - 1)) for m in by_seed if m.size > 1]
    # three seeds may agree by luck; the noise of single problems says how far apart they should at least be
    least = sum(_seed_by_problem_variance(rows) / rows.shape[1] for arm in arms for rows in arm) / len(arms[0]) ** 2
    if not parts or max(observed := math.fsum(part for part, _ in parts), least) <= 0:
        return 0.0, 1.0
    _, freedom = _sum_variances(parts) if observed > 0 else (0.0, math.fsum(degrees for _, degrees in parts))
    return max(observed, least), freedom


def _seed_by_problem_variance(rows: Any) -> float:
    """Variance of a problem's mean over seeds that is seed-by-problem noise; rows (seeds, problems); 0 for one seed."""
    n_seeds, n_problems = rows.shape
    if n_seeds == 1 or n_problems == 1:
        return 0.0
    rest = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
    return float((rest**2).sum()) / ((n_seeds - 1) * (n_problems - 1)) / n_seeds


def sign_flip(differences: Sequence[float], n_drawn: int = N_FLIPS) -> float:
    """Two-sided mid-p value of a sum of paired differences, whose signs are coins where there is no difference.

    How often the sum of so many signed differences is larger than this one, and half of how often it is equal: exact
    for differences of one size (single answers: McNemar's mid-p test) and for up to 20 others, drawn beyond.  With ties
    in full it would be below 5% for every number of differing problems, and near 1% where few differ; the mid-p value
    keeps to 5% over that number (Fagerland and others 2013, doi:10.1186/1471-2288-13-91; `bench/intervals.py`).
    """
    moved = np.array([value for value in differences if abs(value) > 1e-12])
    if moved.size == 0:
        return 1.0
    if np.ptp(np.abs(moved)) < 1e-12:
        return mcnemar(int((moved > 0).sum()), int((moved < 0).sum()))
    observed, n = abs(math.fsum(moved)), 2**moved.size
    if n <= max(n_drawn, 2**N_EXACT * (n_drawn >= N_FLIPS)):
        sums = np.zeros(1)
        for value in moved:
            sums = np.concatenate([sums + value, sums - value])
    else:
        rng, n = np.random.default_rng(0), n_drawn + 1
        drawn = [rng.integers(0, 2, (min(1000, n_drawn - i), moved.size)) * 2 - 1 for i in range(0, n_drawn, 1000)]
        sums = np.append(np.concatenate([signs @ moved for signs in drawn]), observed)
    above, below = observed * (1 + 1e-9) + 1e-12, observed * (1 - 1e-9) - 1e-12
    return float((np.abs(sums) > above).sum() + (np.abs(sums) >= below).sum()) / (2 * n)


@lru_cache(maxsize=1 << 14)
def mcnemar(n_only_a: int, n_only_b: int) -> float:
    """McNemar's two-sided mid-p value of the discordant problems: those that only a, and only b, has right."""
    n, fewer = n_only_a + n_only_b, min(n_only_a, n_only_b)
    farther = 2 * sum(math.comb(n, k) for k in range(fewer))
    equal = math.comb(n, fewer) * (1 if n_only_a == n_only_b else 2)
    return (2 * farther + equal) / 2 ** (n + 1) if n else 1.0


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """Holm's adjusted p values of a table of comparisons: an error anywhere in it stays below the level."""
    adjusted, most = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        most = max(most, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = most
    return {name: adjusted[name] for name in p_values}
