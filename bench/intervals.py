"""What intervals of scores and of paired differences cover, and how wide they are, beside evalstats and Inspect.

    python bench/intervals.py [../shared/data] [--draws 2000]      # rivals: pip install evalstats inspect-ai

Scores are simulated: each problem's pass rate from a beta distribution of mean p and correlation rho (0: all alike, 1:
each solved always or never), each of its rollouts a coin.  Every rival gets the same draws (the first `--rival-draws`
of each cell).  A rival's mean width is given beside ours on those draws, over the cells in which it covers 93%.
A folder adds real verdicts: samples of the 500 problems of recorded models, whose mean over all 500 is the truth.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from limo.core.stats import difference_interval, macro_interval, score_interval, sign_flip

SIZES, RATES, CORRELATIONS = (15, 30, 75, 200, 500), (0.05, 0.2, 0.5, 0.8, 0.95), (0.0, 0.3, 0.7, 1.0)
ROLLOUTS: tuple[int | str, ...] = (1, 4, 16, "unequal")
SLOW = {"inspect ci_wilson(cluster)": 75}  # the most problems that it is run on: an object for each rollout
Rows = list[np.ndarray]  # of each problem, the outcomes of its rollouts


def pass_rates(rng: Any, n: int, p: float, rho: float) -> np.ndarray:
    """True pass rates of problems."""
    if rho in (0.0, 1.0):
        return np.full(n, p) if rho == 0 else (rng.random(n) < p) * 1.0
    return rng.beta(p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho, n)


def rivals() -> dict[str, Callable[[Rows], tuple[float, float] | None]]:
    """Intervals of a score by installed packages; None where a package has none for such rows."""
    found: dict[str, Callable[[Rows], tuple[float, float] | None]] = {}
    try:
        from evalstats.core.resampling import wilson_nested_od_t

        def evalstats(rows: Rows) -> tuple[float, float] | None:
            return wilson_nested_od_t(np.array(rows, float), 0.05) if len({len(row) for row in rows}) == 1 else None

        found["evalstats wilson_nested_od_t"] = evalstats
    except ImportError:
        print("evalstats is not installed")
    try:
        from inspect_ai.scorer import ci_wilson

        metric = ci_wilson(to_float=float, cluster="problem")

        def inspect(rows: Rows) -> tuple[float, float] | None:
            scores = [
                SimpleNamespace(score=SimpleNamespace(value=value), sample_id=i, sample_metadata={"problem": i})
                for i, row in enumerate(rows) for value in row.tolist()
            ]  # fmt: skip
            ends = metric(scores)
            return ends["lower"], ends["upper"]

        found["inspect ci_wilson(cluster)"] = inspect
    except ImportError:
        print("inspect-ai is not installed")
    return found


def measure_scores(n_draws: int, n_rival: int) -> None:
    """Coverage of the mean pass rate over the grid, size by size."""
    rng, others = np.random.default_rng(0), rivals()
    for n in SIZES:
        held: list[tuple[float, str]] = []
        beside: dict[str, list[tuple[float, float, float]]] = defaultdict(list)  # coverage, width, our width
        for p, rho, r in itertools.product(RATES, CORRELATIONS, ROLLOUTS):
            hits, sums = 0, defaultdict(lambda: np.zeros(4))
            for draw in range(n_draws):
                sizes = rng.choice([1, 2, 4, 16], n) if r == "unequal" else np.full(n, int(r))
                counts = rng.binomial(sizes, pass_rates(rng, n, p, rho))
                found = score_interval(counts / sizes, sizes)
                hits += found.low - 1e-12 <= p <= found.high + 1e-12
                if draw >= n_rival:
                    continue
                rows = [np.repeat([1.0, 0.0], [c, k - c]) for c, k in zip(counts, sizes, strict=True)]
                for name, interval in others.items():
                    if (name not in SLOW or n <= SLOW[name]) and (ends := interval(rows)):
                        covers = ends[0] - 1e-12 <= p <= ends[1] + 1e-12
                        sums[name] += [covers, ends[1] - ends[0], found.high - found.low, 1]
            held.append((hits / n_draws, f"p={p} rho={rho} rollouts={r}"))
            for name, (n_held, width, our_width, k) in sums.items():
                beside[name].append((n_held / k, width / k, our_width / k))
        shares = [share for share, _ in held]
        n_low, mean = sum(share < 0.93 for share in shares), sum(shares) / len(shares)
        print(f"scores, n={n}, {len(held)} cells of {n_draws} draws: limo least {min(shares):.3f} ({min(held)[1]})")
        print(f"  mean {mean:.3f}, below 93%: {n_low}", flush=True)
        for name, rows_of in beside.items():
            table = np.array(rows_of)
            good = table[table[:, 0] >= 0.93]
            told = f"least {table[:, 0].min():.3f} mean {table[:, 0].mean():.3f}"
            told += f", below 93%: {(table[:, 0] < 0.93).sum()} of {len(table)}"
            ratio = (good[:, 2] / good[:, 1]).mean()
            print(f"  {name} ({n_rival} draws): {told}; our width / its where it covers {ratio:.3f}", flush=True)


def measure_averages(n_draws: int) -> None:
    """Coverage of the average over three benchmarks of different sizes and pass rates."""
    rng, shares = np.random.default_rng(3), []
    for ps, rho, r in itertools.product(
        ((0.05, 0.3, 0.9), (0.2, 0.5, 0.8), (0.95, 0.95, 0.5)), CORRELATIONS, (1, 4, 16)
    ):
        hits = 0
        for _ in range(n_draws):
            scores = [
                score_interval(rng.binomial(r, pass_rates(rng, n, p, rho)) / r, np.full(n, r))
                for n, p in zip((30, 40, 120), ps, strict=True)
            ]
            found = macro_interval(scores)
            hits += found.low <= sum(ps) / 3 <= found.high
        shares.append(hits / n_draws)
    print(f"averages of benchmarks of 30, 40 and 120 problems, {len(shares)} cells: least {min(shares):.3f}, "
          f"mean {sum(shares) / len(shares):.3f}", flush=True)  # fmt: skip


def measure_differences(n_draws: int) -> None:
    """Coverage of paired differences, where a share of the problems is now always solved."""
    from scipy.stats import t

    rng, cells = np.random.default_rng(1), []
    grid = itertools.product((15, 30, 75, 200), (0.05, 0.3, 0.7), (0.3, 0.9), (1, 4), (0.0, 0.1, 0.3))
    for n, p, rho, r, lift in grid:
        held, widths, quantile = np.zeros(2), np.zeros(2), t.ppf(0.975, n - 1)
        for _ in range(n_draws):
            rates = pass_rates(rng, n, p, rho)
            a = rng.binomial(r, np.where(rng.random(n) < lift, 1.0, rates)) / r
            b, truth = rng.binomial(r, rates) / r, lift * (1 - p)
            found, value = difference_interval([a], [b]), float(np.mean(a - b))
            half = quantile * (a - b).std(ddof=1) / n**0.5
            held += [found.low <= truth <= found.high, abs(value - truth) <= half]
            widths += [found.high - found.low, 2 * half]
        cells.append((n, *held / n_draws, widths[0] / max(widths[1], 1e-12)))
    table = np.array(cells)
    for n in (15, 30, 75, 200):
        part = table[table[:, 0] == n]
        told = [
            f"{name} least {part[:, k].min():.3f} mean {part[:, k].mean():.3f}"
            for k, name in ((1, "limo"), (2, "plain t"))
        ]
        print(
            f"differences, n={n}, {len(part)} cells: {'; '.join(told)}; median width ratio {np.median(part[:, 3]):.2f}",
            flush=True,
        )


def measure_alarms(n_draws: int) -> None:
    """False alarms of the paired test where two models are alike, by how many problems differ on average."""
    from scipy.stats import binomtest

    exact_p = lru_cache(lambda k, n: binomtest(k, n).pvalue)  # ties in full
    rng, cells = np.random.default_rng(4), []
    grid = itertools.product((15, 30, 75, 200), (0.05, 0.2, 0.5, 0.8), (0.0, 0.3, 0.9), (1, 4))
    for n, p, rho, r in grid:
        sums = np.zeros(4)
        for _ in range(n_draws):
            rates = pass_rates(rng, n, p, rho)
            a, b = rng.binomial(r, rates), rng.binomial(r, rates)
            is_low, found = sign_flip((a - b) / r, 999) < 0.05, difference_interval([a / r], [b / r])
            n_moved = np.count_nonzero(a - b)
            exact = n_moved and r == 1 and exact_p(int((a > b).sum()), n_moved) < 0.05
            sums += [n_moved, is_low, is_low and not found.low <= 0 <= found.high, exact]
        cells.append((*sums / n_draws, r))
    table = np.array(cells)
    for low, high in ((0, 5), (5, 10), (10, 20), (20, 200)):
        part = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        share = f"{part[:, 1].mean():.3f} ({part[:, 1].min():.3f} to {part[:, 1].max():.3f})"
        print(f"false alarms where {low} to {high} problems differ, {len(part)} cells: {share}")
        told = f"{part[:, 2].mean():.3f} (most {part[:, 2].max():.3f})"
        print(f"  called separable {told}; exact McNemar {part[part[:, 4] == 1, 3].mean():.3f}", flush=True)


def measure_recorded(data: Path, n_draws: int) -> None:
    """Coverage over samples of the problems of recorded models, by model and by pair of models."""
    by_model: dict[str, dict[str, float]] = defaultdict(dict)
    with gzip.open(data / "samples" / "sky_short_math500.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
        for row in map(json.loads, lines):
            by_model[row["model"]][row["problem"]] = float(row["correct"])
    problems = sorted(set.intersection(*(set(rates) for rates in by_model.values())))
    table = np.array([[rates[problem] for problem in problems] for rates in by_model.values()])
    rng = np.random.default_rng(2)
    for n in (30, 75):
        held: dict[str, list[bool]] = defaultdict(list)
        for _ in range(n_draws):
            some = rng.choice(len(problems), n, replace=False)
            for rates in table:
                found = score_interval(rates[some], [1] * n)
                held["one model, 1 rollout"].append(found.low <= rates.mean() <= found.high)
            runs = rng.permutation(len(table))
            mixed = score_interval(table[runs[:4]][:, some].mean(axis=0), [4] * n)
            held["4 models as 4 rollouts"].append(mixed.low <= table[runs[:4]].mean() <= mixed.high)
            a, b = table[runs[0]], table[runs[1]]
            found = difference_interval([a[some]], [b[some]])
            held["pair of models"].append(found.low <= a.mean() - b.mean() <= found.high)
        shares = ", ".join(f"{name} {sum(of) / len(of):.3f}" for name, of in held.items())
        print(f"recorded MATH500, {n} of {len(problems)} problems: {shares}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="folder of recorded verdicts")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--rival-draws", type=int, default=200)
    given = parser.parse_args()
    measure_scores(given.draws, given.rival_draws)
    measure_averages(given.draws)
    measure_differences(given.draws)
    measure_alarms(given.draws)
    if given.data:
        measure_recorded(given.data, given.draws)
