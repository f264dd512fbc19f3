"""The compare stage: is one arm better than another?  The paired difference with an interval.

Both arms answer the same problems, so the difference is taken problem by problem: what makes a problem hard for both
cancels.  Training seeds are resampled as well as problems (single-seed swings are 5 to 15 points, 2504.07086).  Each
benchmark counts once, whatever its size.  Many comparisons are not corrected for.

    outcomes = read_outcomes(["runs/base", "runs/limo"])     # arm, seed, benchmark, problem id -> pass rate in 0..1
    print(compare(outcomes, "limo", "base").sentence)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limo.core.errors import InputError, MissingFileError
from limo.core.stats import Interval, difference_interval, mcnemar, seeds_interval
from limo.stages.evaluate import SCORES

Rates = Mapping[str, float]  # problem -> pass rate in 0..1
Outcomes = Mapping[str, Mapping[Any, Mapping[str, Rates]]]  # arm -> seed -> benchmark -> Rates


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` = `arm` minus `against`, in -1..1, with its 95% interval; `separable` where that leaves out 0.

    `n_better`, `n_worse`, `n_same` count problems by mean pass rate over seeds.  `p_value` is exact McNemar's and
    given only where both arms have one seed and one answer a problem.  `n_left_out` problems were not decided in
    every seed of both arms.
    """

    arm: str
    against: str
    difference: float
    low: float
    high: float
    separable: bool
    n_problems: int
    n_seeds: tuple[int, int]
    n_better: int
    n_worse: int
    n_same: int
    n_left_out: int
    p_value: float | None
    sentence: str
    by_benchmark: dict[str, Interval] = field(default_factory=dict)


def run(runs: Sequence[str | Path], arm: str | None = None, against: str | None = None) -> Comparison:
    """Compare two arms of runs; of two arms the second is held against the first where none is named.

    Raises InputError for arms that are not there or not named, MissingFileError for a run without scores.
    """
    outcomes = read_outcomes(runs)
    names = list(outcomes)
    if (arm is None or against is None) and len(names) != 2:
        raise InputError("the runs do not hold two arms", ", ".join(names), "two names", "give --arm and --against")
    return compare(outcomes, arm or names[1 - (against == names[1])], against or names[arm == names[0]])


def read_outcomes(runs: Sequence[str | Path]) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """Arm -> training seed -> benchmark -> problem id -> pass rate, from the `scores.json` of every run."""
    outcomes: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    for folder in runs:
        file = Path(folder) / SCORES
        if not file.is_file():
            raise MissingFileError("this run has no scores", file, "a run of `limo evaluate` or a lab", "make it")
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            measurements = [(name, row["seed"], row["outcomes"]) for name, rows in stored.items() for row in rows]
        except (ValueError, TypeError, KeyError, AttributeError):
            what = "this file does not hold scores"
            raise InputError(what, file, "what `limo evaluate` writes", "evaluate again") from None
        for name, seed, by_benchmark in measurements:
            of_seed = outcomes.setdefault(name, {}).setdefault(seed, {})
            if repeated := sorted(of_seed.keys() & by_benchmark.keys()):
                what = f"two runs measured {name} with seed {seed}"
                raise InputError(what, repeated[0], "one", "give each model its name and each training its seed")
            of_seed.update(by_benchmark)
    return outcomes


def compare(outcomes: Outcomes, arm: str, against: str, benchmarks: Sequence[str] | None = None) -> Comparison:
    """Compare two arms over `benchmarks` (all that both have, when left out).  Raises InputError where that is none."""
    names = _benchmarks(outcomes, (arm, against), benchmarks)
    tables = {name: _paired(outcomes[arm], outcomes[against], name) for name in names}
    a, b = [table[0] for table in tables.values()], [table[1] for table in tables.values()]
    difference = difference_interval(a, b)
    separable = difference.low > 0 or difference.high < 0
    gaps = [gap for left, right in zip(a, b, strict=True) for gap in left.mean(axis=0) - right.mean(axis=0)]
    n_better, n_worse = sum(bool(gap > 1e-9) for gap in gaps), sum(bool(gap < -1e-9) for gap in gaps)
    n_seeds = (len(outcomes[arm]), len(outcomes[against]))
    return Comparison(
        arm, against, *difference, separable, len(gaps), n_seeds, n_better, n_worse, len(gaps) - n_better - n_worse,
        n_left_out=sum(table[2] for table in tables.values()),
        p_value=mcnemar(n_better, n_worse) if n_seeds == (1, 1) and _single(a + b) else None,
        sentence=_sentence(arm, against, difference, separable, len(gaps), len(names), n_seeds),
        by_benchmark={name: difference_interval([left], [right]) for name, (left, right, _) in tables.items()},
    )  # fmt: skip


def average(outcomes: Outcomes, arm: str, benchmarks: Sequence[str] | None = None) -> Interval:
    """An arm's pass@1 over benchmarks, each counting once, and over its training seeds, with a 95% interval."""
    names = _benchmarks(outcomes, (arm,), benchmarks)
    return seeds_interval([_paired(outcomes[arm], None, name)[0] for name in names])


def _benchmarks(outcomes: Outcomes, arms: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    for arm in arms:
        if not outcomes.get(arm):
            raise InputError("there is no such arm", arm, ", ".join(outcomes) or "none", "measure it first")
    tables = [by_benchmark for arm in arms for by_benchmark in outcomes[arm].values()]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    names = shared if wanted is None else list(wanted)
    missing = [name for name in names if name not in shared]
    if missing or not names:
        what = "not every seed of these arms has been measured on"
        raise InputError(what, ", ".join(missing) or "any benchmark", ", ".join(shared) or "none", "measure the rest")
    return names


def _paired(a: Mapping[Any, Any], b: Mapping[Any, Any] | None, benchmark: str) -> tuple[Any, Any, int]:
    """Arrays (seeds, problems) of both arms over the problems that every seed has, and how many were left out."""
    import numpy as np

    tables = [seed[benchmark] for arm in (a, b) if arm is not None for seed in arm.values()]
    every = set().union(*tables)
    problems = sorted(every.intersection(*tables))
    if not problems:
        raise InputError("the arms share no problem of this benchmark", benchmark, "the same problems", "measure again")
    rows = np.array([[table[problem] for problem in problems] for table in tables], dtype=float)
    if not ((rows >= 0) & (rows <= 1)).all():
        raise InputError("a pass rate is outside 0..1", benchmark, "0..1", "divide the correct by the decided rollouts")
    return rows[: len(a)], rows[len(a) :], len(every) - len(problems)


def _single(tables: list[Any]) -> bool:
    """Whether every pass rate is 0 or 1, as one greedy answer a problem makes it."""
    return all(((rows == 0) | (rows == 1)).all() for rows in tables)


def _sentence(
    arm: str, against: str, difference: Interval, separable: bool, n_problems: int, n_benchmarks: int,
    n_seeds: tuple[int, int],
) -> str:  # fmt: skip
    points = [100 * share for share in difference]
    interval = f"95% interval {points[1]:+.1f} to {points[2]:+.1f}"
    if separable:
        text = f"{arm} is {abs(points[0]):.1f} points {'above' if points[0] > 0 else 'below'} {against} ({interval})"
    else:
        text = f"{arm} and {against} are not separable: {points[0]:+.1f} points ({interval} holds 0)"
    seeds = f"{n_seeds[0]} and {n_seeds[1]} training seeds" if max(n_seeds) > 1 else "one training seed each"
    of = f"{n_benchmarks} benchmark{'s' if n_benchmarks > 1 else ''}"
    return f"{text}; {n_problems} problems of {of}, {seeds}"
